"""Ten hours cost no more memory than ten minutes, and nothing waits for the recording's end.

Real media, real turns, packing and sharing out; doubles stand for the two networks only.
"""

from __future__ import annotations

import threading
import tracemalloc
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avskrift.asr import vad
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.decoding import DecodedBatch
from avskrift.asr.options import TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.reading import Window
from avskrift.audio import AudioFile
from tests.asr.scripted_transcriber import Bench, LoudnessNetwork, ScriptedDecoder, make_bench

MINUTE_S = 60
HOUR_S = 3600
SLOW_RATE_HZ = 8_000
SWEDISH = TranscribeOptions(language="sv")


class WatchedDecoder(ScriptedDecoder):
    """Tells what has been read by the time it decodes, and may be made to wait."""

    def __init__(self, plan: DecodingPlan) -> None:
        super().__init__()
        self.plan = self.arranged = plan
        self.at_window: Callable[[], None] = lambda: None
        self.before_batch: Callable[[], None] = lambda: None

    def decode(
        self, windows: Iterable[Window], options: TranscribeOptions, language: str, cancel: threading.Event
    ) -> Iterator[DecodedBatch]:
        return super().decode(self._watched(windows), options, language, cancel)

    def _watched(self, windows: Iterable[Window]) -> Iterator[Window]:
        for window in windows:
            self.at_window()
            yield window

    def _decode_batch(self, chunks: Sequence[Chunk], task: Any) -> list[DecodedChunk]:
        self.before_batch()
        return super()._decode_batch(chunks, task)


@pytest.fixture(autouse=True, scope="module")
def network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vad, "get_vad_model", LoudnessNetwork)
        yield


@pytest.fixture
def seconds_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """How much of the recording has been read by now."""
    opened: list[AudioFile] = []
    enter = AudioFile.__enter__

    def watched(media: AudioFile) -> AudioFile:
        opened.append(enter(media))
        return opened[-1]

    monkeypatch.setattr(AudioFile, "__enter__", watched)
    return lambda: opened[-1].duration_s


@pytest.mark.parametrize(
    "options",
    [pytest.param(SWEDISH, id="told"), pytest.param(TranscribeOptions(), id="detected", marks=pytest.mark.slow)],
)
def test_an_hour_takes_little_more_memory_than_ten_minutes(tmp_path: Path, options: TranscribeOptions) -> None:
    short, long = (peak_bytes(tmp_path, seconds, options) for seconds in (10 * MINUTE_S, HOUR_S))
    assert long <= 1.2 * short


@pytest.mark.slow
def test_ten_hours_take_little_more_memory_than_ten_minutes(tmp_path: Path) -> None:
    short, long = (peak_bytes(tmp_path, seconds) for seconds in (10 * MINUTE_S, 10 * HOUR_S))
    assert long <= 1.2 * short


def test_the_first_batch_is_on_its_way_after_the_first_minute_of_speech(
    tmp_path: Path, seconds_read: Callable[[], float]
) -> None:
    read_by_window: list[float] = []
    decoder = WatchedDecoder(DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4))
    decoder.at_window = lambda: read_by_window.append(seconds_read())
    make(tmp_path, 10 * MINUTE_S, decoder).transcribe()
    assert 30 < read_by_window[0] <= 90


def test_reading_waits_for_a_decoder_that_is_slow(tmp_path: Path, seconds_read: Callable[[], float]) -> None:
    plan = DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4)
    decoder, may_go_on = WatchedDecoder(plan), threading.Event()
    decoder.before_batch = may_go_on.wait
    bench = make(tmp_path, HOUR_S, decoder)
    running = threading.Thread(target=bench.transcribe)
    running.start()
    read_s = settled(seconds_read, running)
    may_go_on.set()
    running.join()
    ahead = plan.windows.first + 2 * plan.workers * plan.batch
    assert 0 < read_s <= ahead * 30
    assert len(bench.decoder.decoded) > 100


def peak_bytes(folder: Path, seconds: int, options: TranscribeOptions = SWEDISH) -> int:
    """The most that Python and numpy held at a time."""
    bench = make(folder, seconds, WatchedDecoder(DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4)))
    bench.options = options
    tracemalloc.start()
    try:
        transcript = bench.transcribe()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert transcript.duration_s == pytest.approx(seconds, abs=1)
        assert len(bench.decoder.decoded) >= seconds / 40


def settled(seconds_read: Callable[[], float], running: threading.Thread) -> float:
    """How far reading came once it comes no further."""
    last = -1.0
    while running.is_alive():
        running.join(0.5)
        try:
            now = seconds_read()
        except IndexError:
            continue
        if now == last:
            return now
        last = now
    raise AssertionError("it did not wait")


def make(folder: Path, seconds: int, decoder: ScriptedDecoder) -> Bench:
    path = folder / f"{seconds}.wav"
    write_turns(path, seconds)
    bench = make_bench(path, folder)
    bench.checkpoint = folder / f"{seconds}.checkpoint"
    bench.decoder = decoder
    bench.options = SWEDISH
    return bench


def write_turns(path: Path, seconds: int) -> None:
    """Turns of 20 s of noise with pauses of 2 s, in 8 kB a second."""
    noise = np.random.default_rng(3).integers(90, 166, 20 * SLOW_RATE_HZ, np.uint8)
    turn = noise.tobytes() + b"\x80" * 2 * SLOW_RATE_HZ
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(SLOW_RATE_HZ)
        for written in range(0, seconds * SLOW_RATE_HZ, len(turn)):
            file.writeframes(turn[: seconds * SLOW_RATE_HZ - written])
