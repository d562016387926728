"""The gate with the real model: every remedy gives the text of the speech, and what nobody said stays unsaid."""

from __future__ import annotations

import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from avskrift.asr import embedded, models
from avskrift.asr.audit import How
from avskrift.asr.decoding import Decoder
from avskrift.asr.gate import BASE
from avskrift.asr.options import EngineConfig, TranscribeOptions
from avskrift.asr.packing import pack
from avskrift.asr.takes import Takes
from avskrift.asr.task import Task
from avskrift.asr.transcriber import Job, Transcriber
from avskrift.asr.vad import speech_spans
from avskrift.audio import SAMPLE_RATE_HZ, AudioFile
from bench.words import percent_apart

pytestmark = [
    pytest.mark.speech,
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]

#: Two halves, timestamps in the text, no repeated tokens, a beam: what the gate may try with this speech.
REMEDIES = (How.WINDOWS, How.TIMESTAMPS, How.NO_REPEAT, How.BEAM)


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    model = models.resolve("base")
    return Transcriber(model, Decoder(model, EngineConfig(model="base", device="cpu")))


@pytest.fixture(scope="module")
def takes(transcriber: Transcriber, samples: Path) -> Takes:
    with AudioFile(samples / "en.ogg") as media:
        [chunk] = pack(speech_spans(media.blocks()))
    task = Task(TranscribeOptions(language="en"), "en", (), threading.Event())
    return Takes(transcriber.decoder.whisper, [chunk], task)


def test_ordinary_speech_passes_at_once(takes: Takes) -> None:
    [take] = takes.first()
    assert take.faults == ()


@pytest.mark.parametrize("how", REMEDIES)
def test_every_remedy_gives_the_text_of_the_speech(takes: Takes, samples: Path, how: How) -> None:
    """In order, and on the chunk's clock."""
    [take] = takes.again(how, [0])
    ends = [0.0, *(word.end_s for word in take.words)]
    spoken = (samples / "en.txt").read_text(encoding="utf-8")
    assert percent_apart(spoken, "".join(word.text for word in take.words)) <= 15
    assert ends == sorted(ends)
    assert ends[-1] <= takes.chunks[0].clock.duration_s + 0.1


@pytest.mark.parametrize("how", [How.WINDOWS, How.NO_REPEAT])
def test_the_same_speech_gives_the_same_attempt(takes: Takes, how: How) -> None:
    assert takes.again(how, [0]) == takes.again(how, [0])


def test_noise_that_speech_detection_does_not_stop_gets_no_text(transcriber: Transcriber, tmp_path: Path) -> None:
    hiss = np.random.default_rng(5).standard_normal(12 * SAMPLE_RATE_HZ) * 3000
    with wave.open(str(tmp_path / "hiss.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(hiss.clip(-32768, 32767).astype("<i2").tobytes())
    options = TranscribeOptions(language="sv", vad="off")
    told = transcriber.transcribe(Job(tmp_path / "hiss.wav", options, lambda progress: None, threading.Event()))
    assert told.text == ""
    assert ["no_speech" in chunk["faults"] for chunk in told.audit["chunks"]] == [True]
    assert told.audit["gate"] == BASE.to_dict()
