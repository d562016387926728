"""The one value that flows through everything: engine, formats, jobs, clients.

Times are seconds as floats on the clock of the original recording. They are rounded once, to milliseconds, when a
transcript is written. Immutable, so that a format or a webhook can never change what the engine said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from avskrift import json_text
from avskrift.errors import UnsupportedMedia

SCHEMA_NAME = "avskrift.transcript"
SCHEMA_VERSION = 1

#: The model of what was read from a file that names none.
UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word. ``text`` carries no surrounding space; ``confidence`` is the model's probability, 0 to 1."""

    start_s: float
    end_s: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of speech, about a sentence. ``words`` is empty where no alignment ran."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who spoke: ``id`` is what segments refer to, ``name`` what a reader sees."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in one recording.

    ``duration_s`` is the decoded audio's length, ``speech_s`` how much of it voice activity detection kept.
    ``engine`` says what produced it (versions, device, compute type): same values, same output.
    """

    language: str | None
    duration_s: float
    speech_s: float
    model: str
    segments: tuple[Segment, ...] = ()
    language_probability: float | None = None
    speakers: tuple[Speaker, ...] = ()
    engine: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    audit: dict[str, Any] = field(default_factory=dict)
    """How every chunk passed the quality gate, and what may have been missed; empty where nothing was audited."""

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def word_count(self) -> int:
        return sum(len(segment.text.split()) for segment in self.segments)

    def to_dict(self) -> dict[str, Any]:
        """The published JSON form (``docs/transcript-schema.md``), times rounded to milliseconds."""
        return {
            "schema": SCHEMA_NAME,
            "version": SCHEMA_VERSION,
            "language": self.language,
            "language_probability": _rounded(self.language_probability),
            "duration_s": _time(self.duration_s),
            "speech_s": _time(self.speech_s),
            "model": self.model,
            "text": self.text,
            "segments": [_segment_to_dict(segment) for segment in self.segments],
            "speakers": [{"id": speaker.id, "name": speaker.name} for speaker in self.speakers],
            "engine": self.engine,
            "warnings": list(self.warnings),
            "audit": self.audit,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Transcript:
        """Read the JSON form back; ``UnsupportedMedia`` when it is none of ours."""
        if data.get("schema") != SCHEMA_NAME or data.get("version") != SCHEMA_VERSION:
            raise UnsupportedMedia(
                f"This is not a transcript of schema {SCHEMA_NAME} version {SCHEMA_VERSION}: "
                f"found {data.get('schema')!r} version {data.get('version')!r}."
            )
        return cls(
            language=data["language"],
            language_probability=data["language_probability"],
            duration_s=data["duration_s"],
            speech_s=data["speech_s"],
            model=data["model"],
            segments=tuple(_segment_from_dict(segment) for segment in data["segments"]),
            speakers=tuple(Speaker(**speaker) for speaker in data["speakers"]),
            engine=data["engine"],
            warnings=tuple(data["warnings"]),
            audit=data.get("audit", {}),
        )

    def to_json(self) -> str:
        """``to_dict`` as text, a line for each word."""
        return json_text.dump(self.to_dict())


def _time(seconds: float) -> float:
    """Rounded to milliseconds; the beginning for what no recording's clock can show."""
    return max(0.0, round(seconds, 3)) if math.isfinite(seconds) else 0.0


def _rounded(probability: float | None) -> float | None:
    return None if probability is None or not math.isfinite(probability) else round(probability, 3)


def _segment_to_dict(segment: Segment) -> dict[str, Any]:
    return {
        "start_s": _time(segment.start_s),
        "end_s": _time(segment.end_s),
        "text": segment.text,
        "speaker": segment.speaker,
        "language": segment.language,
        "confidence": _rounded(segment.confidence),
        "words": [
            {
                "start_s": _time(word.start_s),
                "end_s": _time(word.end_s),
                "text": word.text,
                "confidence": _rounded(word.confidence),
            }
            for word in segment.words
        ],
    }


def _segment_from_dict(data: dict[str, Any]) -> Segment:
    return Segment(
        start_s=data["start_s"],
        end_s=data["end_s"],
        text=data["text"],
        words=tuple(Word(**word) for word in data["words"]),
        speaker=data["speaker"],
        language=data["language"],
        confidence=data["confidence"],
    )
