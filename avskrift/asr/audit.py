"""What became of every chunk at the quality gate: which attempts were made, what was wrong with each, which was taken.

``ChunkAudit`` travels with a chunk, also through checkpoints, which are not believed: ``from_dict`` raises
``ValueError`` for what this module could not have written. ``audit_of`` makes the transcript's ``audit`` of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Protocol

from avskrift.asr.coverage import Stretch, TimedWord, uncovered
from avskrift.asr.packing import ChunkClock
from avskrift.asr.vad import Bounds
from avskrift.audio import SAMPLE_RATE_HZ
from avskrift.languages import LANGUAGES

#: Speech of at least this length without a word is listed.
SILENT_SPEECH_S = 2.0
#: More tokens than Whisper's decoder has positions were never generated, not even by two half windows.
_MAX_TOKENS = 4 * 448
#: No measure comes near.
_HIGHEST = 1e6


class Fault(StrEnum):
    """What can be wrong with an attempt."""

    FEW_TOKENS = "few_tokens"
    """Fewer text tokens per second of speech than anybody speaks."""
    UNCOVERED = "uncovered"
    """A long stretch of speech to which alignment gives no word."""
    LOOP = "loop"
    """The same words over and over."""
    LOW_LOG_PROBABILITY = "low_log_probability"
    """The model hardly believes its own text."""
    NO_SPEECH = "no_speech"
    """Probably no speech, and a text that the model hardly believes: the text is dropped."""
    LANGUAGE = "language"
    """The chunk is surely in another language than it was decoded in."""


class How(StrEnum):
    """How an attempt was made."""

    FIRST = "first"
    WINDOWS = "windows"
    """In windows of half the length or less, cut at pauses."""
    TIMESTAMPS = "timestamps"
    """With timestamp tokens in the text."""
    BEAM = "beam"
    """With a beam of 5."""
    NO_REPEAT = "no_repeat"
    """With no run of tokens twice: the reproducible stand-in for a temperature."""
    LANGUAGE = "language"
    """In the language that was detected anew."""


@dataclass(frozen=True, slots=True)
class AttemptAudit:
    """What one attempt measured."""

    how: How
    faults: tuple[Fault, ...]
    tokens: int
    """Text tokens, all windows together."""
    tokens_per_s: float
    """Per second of speech."""
    compression: float
    """Bytes of the text per byte of it compressed."""
    log_probability: float
    """Mean over tokens."""
    no_speech_probability: float
    uncovered_s: float | None
    """The longest speech without a word; None where nothing was aligned."""
    language: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "how": self.how.value, "faults": [fault.value for fault in self.faults]}

    @classmethod
    def from_dict(cls, value: Any) -> AttemptAudit:
        """Raises ``ValueError`` for what ``to_dict`` cannot have written."""
        given = _object(value, {field.name for field in fields(cls)})
        tokens, language, aligned = given["tokens"], given["language"], given["uncovered_s"]
        if type(tokens) is not int or not 0 <= tokens <= _MAX_TOKENS:
            raise ValueError("a number of tokens")
        if not isinstance(language, str) or language not in LANGUAGES:
            raise ValueError("a language")
        return cls(
            how=How(given["how"]),
            faults=tuple(Fault(fault) for fault in _list(given["faults"])),
            tokens=tokens,
            tokens_per_s=_number(given["tokens_per_s"], 0, _HIGHEST),
            compression=_number(given["compression"], 0, _HIGHEST),
            log_probability=_number(given["log_probability"], -_HIGHEST, 1e-3),
            no_speech_probability=_number(given["no_speech_probability"], 0, 1 + 1e-3),
            uncovered_s=None if aligned is None else _number(aligned, 0, _HIGHEST),
            language=language,
        )


@dataclass(frozen=True, slots=True)
class ChunkAudit:
    """All attempts at a chunk in the order they were made, and which of them was taken."""

    attempts: tuple[AttemptAudit, ...]
    chosen: int = 0

    @property
    def taken(self) -> AttemptAudit:
        return self.attempts[self.chosen]

    @property
    def passed_at_once(self) -> bool:
        return not self.attempts[0].faults

    def to_dict(self) -> dict[str, Any]:
        """For checkpoints: everything."""
        return {"attempts": [attempt.to_dict() for attempt in self.attempts], "chosen": self.chosen}

    @classmethod
    def from_dict(cls, value: Any) -> ChunkAudit:
        """Raises ``ValueError`` for what ``to_dict`` cannot have written."""
        given = _object(value, {"attempts", "chosen"})
        attempts = tuple(AttemptAudit.from_dict(attempt) for attempt in _list(given["attempts"]))
        chosen = given["chosen"]
        if not attempts or len(attempts) > len(How):
            raise ValueError("a number of attempts")
        if type(chosen) is not int or not 0 <= chosen < len(attempts):
            raise ValueError("a choice among attempts")
        return cls(attempts, chosen)


class AuditedChunk(Protocol):
    """What is needed of a decoded chunk."""

    @property
    def clock(self) -> ChunkClock: ...
    @property
    def words(self) -> Sequence[TimedWord]: ...
    @property
    def audit(self) -> ChunkAudit: ...


def audit_of(
    chunks: Sequence[AuditedChunk], loud_without_speech: Iterable[Bounds] = (), gate: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The transcript's ``audit``: every chunk's way through the gate, and what may have been missed.

    ``chunks`` come in order; ``gate`` says which thresholds held. Seconds on the recording's clock, to milliseconds.
    """
    return {
        "gate": dict(gate or {}),
        "chunks": [_chunk_entry(chunk) for chunk in chunks],
        "retried": sum(len(chunk.audit.attempts) > 1 for chunk in chunks),
        "speech_without_text": [_rounded(stretch) for stretch in _joined(_without_text(chunks))],
        "loud_without_speech": [_seconds(bounds) for bounds in loud_without_speech],
    }


def _chunk_entry(chunk: AuditedChunk) -> dict[str, Any]:
    """``faults`` are those that the text taken still has; attempts are told where the first one failed."""
    audit, clock = chunk.audit, chunk.clock
    return {
        "start_s": round(clock.spans[0][0] / SAMPLE_RATE_HZ, 3),
        "end_s": round(clock.end_s, 3),
        "speech_s": round(clock.duration_s, 3),
        "faults": [fault.value for fault in audit.taken.faults],
        "attempts": [] if audit.passed_at_once else [_attempt_entry(attempt) for attempt in audit.attempts],
        "chosen": audit.taken.how.value,
    }


def _attempt_entry(attempt: AttemptAudit) -> dict[str, Any]:
    entry = attempt.to_dict()
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in entry.items()}


def _without_text(chunks: Iterable[AuditedChunk]) -> Iterator[Stretch]:
    """Speech without a word, span by span, on the recording's clock."""
    for chunk in chunks:
        clock, at_s = chunk.clock, 0.0
        gaps = uncovered(chunk.words, clock.duration_s)
        for start, end in clock.spans:
            length_s = (end - start) / SAMPLE_RATE_HZ
            for gap_start_s, gap_end_s in gaps:
                low_s, high_s = max(gap_start_s, at_s), min(gap_end_s, at_s + length_s)
                if low_s < high_s:
                    yield clock.to_recording(low_s, high_s)
            at_s += length_s


def _joined(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Those that touch as one; what is short then is left out."""
    joined: list[Stretch] = []
    for start_s, end_s in stretches:
        if joined and start_s - joined[-1][1] < 0.001:
            joined[-1] = joined[-1][0], end_s
        else:
            joined.append((start_s, end_s))
    return (stretch for stretch in joined if stretch[1] - stretch[0] >= SILENT_SPEECH_S)


def _seconds(bounds: Bounds) -> list[float]:
    return _rounded((bounds[0] / SAMPLE_RATE_HZ, bounds[1] / SAMPLE_RATE_HZ))


def _rounded(stretch: Stretch) -> list[float]:
    return [round(stretch[0], 3), round(stretch[1], 3)]


def _object(value: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError("an object with other names")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return value


def _number(value: Any, lowest: float, highest: float) -> float:
    if type(value) not in (int, float) or not lowest <= value <= highest:
        raise ValueError("a number")
    return float(value)
