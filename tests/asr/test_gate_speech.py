"""The gate with the real model: what loops is mended, what nobody said stays unsaid, the same each time."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avskrift.asr import embedded
from avskrift.asr.engine import Engine, EngineConfig, TranscribeOptions
from avskrift.asr.gate import BASE
from avskrift.asr.loops import compression
from avskrift.audio import SAMPLE_RATE_HZ
from avskrift.transcript import Transcript

pytestmark = [
    pytest.mark.speech,
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(EngineConfig(model="base", device="cpu")) as engine:
        yield engine


@pytest.fixture(scope="module")
def crosstalk(engine: Engine, corpus: Path) -> Transcript:
    """Four talk at once: greedy decoding says "yeah" to the last token."""
    return engine.transcribe(corpus / "multi_ami_pyannote_tst00.flac", TranscribeOptions(language="en"))


@pytest.fixture
def hiss(tmp_path: Path) -> Path:
    """Twelve seconds of it."""
    noise = np.random.default_rng(5).standard_normal(12 * SAMPLE_RATE_HZ)
    path = tmp_path / "hiss.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((noise * 3000).clip(-32768, 32767).astype("<i2").tobytes())
    return path


def attempts_of(transcript: Transcript) -> list[list[dict[str, Any]]]:
    return [chunk["attempts"] for chunk in transcript.audit["chunks"]]


def test_a_loop_is_heard_and_mended(crosstalk: Transcript) -> None:
    [[first, *later]] = attempts_of(crosstalk)
    assert "loop" in first["faults"]
    assert later
    assert compression(crosstalk.text) < BASE.compression
    assert crosstalk.audit["chunks"][0]["chosen"] != "first"


def test_the_same_sound_gives_the_same_attempts(engine: Engine, corpus: Path, crosstalk: Transcript) -> None:
    again = engine.transcribe(corpus / "multi_ami_pyannote_tst00.flac", TranscribeOptions(language="en"))
    assert attempts_of(again) == attempts_of(crosstalk)
    assert again.segments == crosstalk.segments


def test_ordinary_speech_passes_at_once(engine: Engine, samples: Path) -> None:
    told = engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv"))
    assert told.audit["retried"] == 0
    assert [chunk["faults"] for chunk in told.audit["chunks"]] == [[]]
    assert told.audit["speech_without_text"] == []


def test_noise_that_speech_detection_cannot_stop_gets_no_text(engine: Engine, hiss: Path) -> None:
    told = engine.transcribe(hiss, TranscribeOptions(language="sv", vad="off"))
    assert told.text == ""
    assert ["no_speech" in chunk["faults"] for chunk in told.audit["chunks"]] == [True]
