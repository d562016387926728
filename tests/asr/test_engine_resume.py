"""The real model, stopped in the middle of a recording and gone on from its checkpoint, as the agent does it."""

from __future__ import annotations

import json
import os
import signal
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avskrift.asr import embedded
from avskrift.asr.engine import Engine, EngineConfig, Progress
from avskrift.audio import SAMPLE_RATE_HZ, load
from avskrift.errors import Cancelled
from avskrift.errors import WorkerCrashed as Crashed
from avskrift.transcript import Transcript

pytestmark = [
    pytest.mark.speech,
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]


@dataclass(frozen=True)
class Uninterrupted:
    """What is to be had in the end, with or without a stop on the way."""

    transcript: Transcript
    checkpoint: bytes
    progress: list[Progress]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Of small windows: two chunks."""
    with Engine(EngineConfig(model="base", device="cpu", threads=1, batch=1)) as engine:
        yield engine


@pytest.fixture(scope="module")
def recording(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two and a half minutes in two languages: five chunks with odd pauses between and within."""
    voices = [load(samples / "sv.ogg"), load(samples / "en.ogg")]
    parts = [part for n in range(8) for part in (voices[n % 2], np.zeros(n * 3_001, np.float32))]
    path = tmp_path_factory.mktemp("sound") / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.concatenate(parts) * 32_000).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def uninterrupted(engine: Engine, recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    checkpoint = tmp_path_factory.mktemp("uninterrupted") / "checkpoint.jsonl"
    progress: list[Progress] = []
    transcript = engine.transcribe(recording, on_progress=progress.append, checkpoint=checkpoint)
    assert [len(chunks) for chunks in windows_in(checkpoint)] == [2, 2, 1]
    return Uninterrupted(transcript, checkpoint.read_bytes(), progress)


def windows_in(checkpoint: Path) -> list[list[Any]]:
    """The chunks of each finished window; a torn line is none."""
    if not checkpoint.exists():
        return []
    lines = checkpoint.read_bytes().splitlines(keepends=True)[1:]
    return [json.loads(line)["chunks"] for line in lines if line.endswith(b"\n")]


def once_a_window_is_finished(checkpoint: Path, act: Callable[[], object]) -> Callable[[Progress], None]:
    def on_progress(_: Progress) -> None:
        if windows_in(checkpoint):
            act()

    return on_progress


def check_resumed(engine: Engine, recording: Path, checkpoint: Path, expected: Uninterrupted) -> None:
    """Go on from the checkpoint: the same in the end, and nothing of what was finished done twice."""
    finished = [chunk for window in windows_in(checkpoint) for chunk in window]
    assert finished
    progress: list[Progress] = []
    resumed = engine.transcribe(recording, on_progress=progress.append, checkpoint=checkpoint)
    assert resumed.to_dict() == {
        **expected.transcript.to_dict(),
        "engine": {**expected.transcript.engine, "resumed_at_s": resumed.engine["resumed_at_s"]},
    }
    assert checkpoint.read_bytes() == expected.checkpoint, "spans, words and the network's state, to the last bit"
    assert progress[0].done_s == pytest.approx(resumed.engine["resumed_at_s"], abs=0.001)
    assert resumed.engine["resumed_at_s"] == pytest.approx(finished[-1]["spans"][-1][1] / SAMPLE_RATE_HZ, abs=0.001)
    # Progress is told at the start, at the end, and once for each batch decoded: here a chunk.
    assert len(progress) == len(expected.progress) - len(finished)
    assert len(finished) >= (len(expected.progress) - 2) / 3


@pytest.mark.slow  # an interrupted job in tests/instance/test_resume.py does it every time
def test_a_cancelled_recording_goes_on_where_it_was(
    engine: Engine, recording: Path, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    checkpoint, cancel = tmp_path / "checkpoint.jsonl", threading.Event()
    with pytest.raises(Cancelled):
        engine.transcribe(recording, None, once_a_window_is_finished(checkpoint, cancel.set), cancel, checkpoint)
    check_resumed(engine, recording, checkpoint, uninterrupted)


@pytest.mark.slow  # much the same
def test_a_worker_killed_in_the_middle_leaves_what_it_finished(
    engine: Engine, recording: Path, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.jsonl"

    def kill() -> None:
        assert engine.worker_pid
        os.kill(engine.worker_pid, signal.SIGKILL)

    with pytest.raises(Crashed, match="SIGKILL"):
        engine.transcribe(recording, on_progress=once_a_window_is_finished(checkpoint, kill), checkpoint=checkpoint)
    with checkpoint.open("ab") as file:
        file.write(b'{"chunks":[{"spans":[[')  # as if it had died while it wrote
    check_resumed(engine, recording, checkpoint, uninterrupted)
