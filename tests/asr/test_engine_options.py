"""What can be asked of the engine, asked of the real model."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from avskrift.asr import embedded
from avskrift.asr.engine import Engine, EngineConfig, TranscribeOptions
from avskrift.errors import BadOptions
from avskrift.transcript import Transcript

pytestmark = [
    pytest.mark.speech,
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(EngineConfig(model="base", device="cpu")) as engine:
        yield engine


def sound_of(path: Path) -> np.ndarray:
    """Mono, 16 bits, 16 kHz."""
    resampler = av.AudioResampler("s16", "mono", RATE_HZ)
    with av.open(str(path)) as media:
        frames = [it.to_ndarray() for frame in media.decode(audio=0) for it in resampler.resample(frame)]
    return np.concatenate(frames, axis=1)[0]


def write_wav(path: Path, *channels: np.ndarray) -> Path:
    """Channels side by side, the shorter ones silent at their end."""
    length = max(len(channel) for channel in channels)
    padded = [np.pad(channel, (0, length - len(channel))) for channel in channels]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.stack(padded, axis=1).astype("<i2").tobytes())
    return path


def text_in(transcript: Transcript, language: str | None) -> str:
    return " ".join(segment.text for segment in transcript.segments if segment.language == language)


def text_by(transcript: Transcript, speaker: str) -> str:
    return " ".join(segment.text for segment in transcript.segments if segment.speaker == speaker)


@pytest.mark.slow  # test_short_files.py hears two languages every time
def test_a_recording_in_two_languages_is_heard_in_both(engine: Engine, samples: Path, tmp_path: Path) -> None:
    swedish, english = sound_of(samples / "sv.ogg"), sound_of(samples / "en.ogg")
    pause = np.zeros(2 * RATE_HZ, np.int16)
    both = write_wav(tmp_path / "both.wav", np.concatenate([swedish, pause, swedish, pause, english]))
    transcript = engine.transcribe(both, TranscribeOptions(language="multi", home_language="sv"))
    assert transcript.language == "sv"
    assert {segment.language for segment in transcript.segments} == {None, "en"}
    assert "jag kommer från stockholm" in text_in(transcript, None).lower()
    assert "children are playing in the park" in text_in(transcript, "en").lower()


def test_each_channel_is_a_speaker_of_its_own(engine: Engine, samples: Path, tmp_path: Path) -> None:
    call = write_wav(tmp_path / "call.wav", sound_of(samples / "sv.ogg"), sound_of(samples / "en.ogg"))
    transcript = engine.transcribe(call, TranscribeOptions(language="multi", home_language="sv", channels="split"))
    one, other = (speaker.id for speaker in transcript.speakers)
    assert "stockholm" in text_by(transcript, one).lower()
    assert "welcome to the meeting" in text_by(transcript, other).lower()
    starts = [segment.start_s for segment in transcript.segments]
    assert starts == sorted(starts)


def test_one_channel_cannot_be_split(engine: Engine, samples: Path) -> None:
    with pytest.raises(BadOptions, match="take mix"):
        engine.transcribe(samples / "sv.ogg", TranscribeOptions(channels="split"))


def test_swedish_is_translated_to_english(engine: Engine, samples: Path) -> None:
    transcript = engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv", task="translate"))
    assert transcript.language == "sv"
    assert "from stockholm" in transcript.text.lower()
    assert "friday" in transcript.text.lower()


def test_a_clip_has_the_times_of_the_recording(engine: Engine, samples: Path) -> None:
    whole = engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv"))
    second = whole.segments[1]
    clip = TranscribeOptions(language="sv", clip=(second.start_s - 0.3, second.end_s + 0.3))
    part = engine.transcribe(samples / "sv.ogg", clip)
    assert part.text.split()[:3] == second.text.split()[:3]
    assert part.segments[0].start_s == pytest.approx(second.start_s, abs=0.3)


def test_terms_of_a_glossary_are_spelled_as_it_has_them(engine: Engine, samples: Path) -> None:
    """Misspelled, so that no model would write it by itself."""
    plain = engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv"))
    assert "Stockholm" in plain.text
    assert "Stokholm" not in plain.text
    told = engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv", glossary=("Stokholm",)))
    assert "Stokholm" in told.text
    assert "Stockholm" not in told.text


def test_a_glossary_too_long_for_the_model_is_refused_with_its_tokens(engine: Engine, samples: Path) -> None:
    glossary = tuple(f"återvinningscentral {number}" for number in range(60))
    with pytest.raises(BadOptions, match=r"glossary are \d{3} tokens together; the model has room for 223"):
        engine.transcribe(samples / "sv.ogg", TranscribeOptions(glossary=glossary))


@pytest.mark.parametrize("vad", ["sensitive", "off"])
def test_speech_is_heard_whatever_the_detector_is_set_to(engine: Engine, samples: Path, vad: str) -> None:
    transcript = engine.transcribe(samples / "sv.ogg", TranscribeOptions(language="sv", vad=vad))
    assert "jag kommer från stockholm" in transcript.text.lower()
    assert (transcript.speech_s == pytest.approx(transcript.duration_s, abs=0.1)) == (vad == "off")
