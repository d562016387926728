"""A thousand broken files, one after another, through the real worker: each has a verdict, and the engine goes on."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from avskrift.asr import embedded
from avskrift.asr.engine import Engine, EngineConfig, TranscribeOptions
from avskrift.errors import AvskriftError
from tests.audio.mutations import write_mutations

pytestmark = [
    pytest.mark.slow,
    pytest.mark.speech,
    pytest.mark.timeout(1_200),
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]

#: What a file that hangs is cancelled after, far beyond what any of these takes.
LIMIT_S = 120.0
OPTIONS = TranscribeOptions(language="sv", words=False, max_duration_s=600.0)
VERDICTS = {"transcript", "unsupported_media", "no_audio_stream", "too_long", "too_large"}


def verdict(engine: Engine, path: Path) -> str:
    cancel = threading.Event()
    watchdog = threading.Timer(LIMIT_S, cancel.set)
    watchdog.start()
    try:
        engine.transcribe(path, OPTIONS, cancel=cancel)
    except AvskriftError as error:
        return error.code
    finally:
        watchdog.cancel()
    return "transcript"


def test_a_thousand_mutated_files_end_with_a_verdict_and_the_engine_goes_on(tmp_path: Path, samples: Path) -> None:
    paths = write_mutations(tmp_path, range(1_000))
    with Engine(EngineConfig(model="base", device="cpu")) as engine:
        engine.start()
        worker = engine.worker_pid
        verdicts = {path.name: verdict(engine, path) for path in paths}
        assert {name: code for name, code in verdicts.items() if code not in VERDICTS} == {}
        assert engine.worker_pid == worker, "no file cost the worker"
        assert "Stockholm" in engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv")).text
    counted = Counter(verdicts.values())
    assert counted["transcript"] > 500
    assert counted["unsupported_media"] > 100
