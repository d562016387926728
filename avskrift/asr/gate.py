"""Whether a chunk's text can be believed, what to try if not, and which attempt to take.

Pure: numbers in, verdicts out. Coverage first: a chunk that lost two thirds of its words passes every threshold on
probabilities, and a loop has high ones. So the gate asks how much of the speech got text and whether that goes round in
circles; log-probability decides last. ``docs/quality-gate.md`` says what each measure catches and misses.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from avskrift.asr.audit import Fault, How
from avskrift.asr.language import are_neighbours

#: The first attempt and the retries after it, while none has passed.
MAX_ATTEMPTS = 3
#: Where most chunks of a batch fail at first, it is the recording that is hopeless: one retry each tells.
MAX_HOPELESS_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Measures:
    """What an attempt gave."""

    tokens: int
    """Text tokens."""
    speech_s: float
    """Of the chunk, as VAD found it."""
    repeated_tokens: int
    """Those of the longest loop that add nothing."""
    compression: float
    """Bytes of the text per byte of it compressed."""
    log_probability: float
    """Mean over tokens."""
    no_speech_probability: float
    language: str
    """The one it was decoded in."""
    uncovered_s: float | None = None
    """The longest speech without a word; None where nothing was aligned."""
    heard: tuple[str, float] | None = None
    """The language that the model hears in it, and how likely; None where it was not asked."""

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.speech_s if self.speech_s else 0.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a measure is a fault."""

    source: str
    """What they were fitted to."""
    tokens_per_s: float = 1.2
    """Fewer, over at least ``coverage_from_s`` of speech, are too few."""
    coverage_from_s: float = 4.0
    doubtful_tokens_per_s: float = 2.0
    """Below this a text is aligned to see what it covers, also where nobody asked for word times."""
    uncovered_s: float = 3.0
    repeated_tokens: int = 16
    compression: float = 2.2
    log_probability: float = -1.3
    doubtful_log_probability: float = -0.6
    """Below this the language is listened for, where it was detected and not given."""
    no_speech_probability: float = 0.5
    """Together with one of the next two."""
    no_speech_log_probability: float = -1.4
    no_speech_tokens_per_s: float = 0.4
    language_probability: float = 0.8

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


BASE = Thresholds(source="base, int8: scripts/gate, 2026-11-21")
#: By what a model's name contains, the longest first. All others take those of base, and say so.
BY_MODEL: dict[str, Thresholds] = {"base": BASE}


def thresholds_for(model: str) -> Thresholds:
    """Those measured for a model of this name, else base's."""
    name = model.rsplit("/", 1)[-1]
    return BY_MODEL.get(name) or replace(BASE, source=f"not measured for {name}; as {BASE.source}")


_REMEDIES: dict[Fault, tuple[How, ...]] = {
    Fault.LANGUAGE: (How.LANGUAGE,),
    Fault.LOOP: (How.WINDOWS, How.NO_REPEAT),
    Fault.FEW_TOKENS: (How.WINDOWS, How.TIMESTAMPS),
    Fault.UNCOVERED: (How.WINDOWS, How.TIMESTAMPS),
    Fault.LOW_LOG_PROBABILITY: (How.BEAM,),
}
_COVERAGE = {Fault.FEW_TOKENS, Fault.UNCOVERED}


class Tried(Protocol):
    """An attempt that has been judged."""

    @property
    def how(self) -> How: ...
    @property
    def measures(self) -> Measures: ...
    @property
    def faults(self) -> tuple[Fault, ...]: ...


def faults_of(measures: Measures, limits: Thresholds) -> tuple[Fault, ...]:
    """What is wrong with an attempt, worst first."""
    checks = (
        (Fault.NO_SPEECH, _is_no_speech(measures, limits)),
        (Fault.LANGUAGE, _is_other_language(measures, limits)),
        (Fault.LOOP, _is_loop(measures, limits)),
        (Fault.FEW_TOKENS, _has_fewer_tokens(measures, limits, limits.tokens_per_s)),
        (Fault.UNCOVERED, measures.uncovered_s is not None and measures.uncovered_s >= limits.uncovered_s),
        (Fault.LOW_LOG_PROBABILITY, measures.tokens > 0 and measures.log_probability < limits.log_probability),
    )
    return tuple(fault for fault, found in checks if found)


def is_doubtful(measures: Measures, limits: Thresholds) -> bool:
    """Whether so few tokens are worth an alignment of its own."""
    return measures.tokens > 0 and _has_fewer_tokens(measures, limits, limits.doubtful_tokens_per_s)


def most_attempts(firsts: Sequence[Tried]) -> int:
    """How often a chunk may be tried, told from the first attempts of its batch."""
    failed = sum(bool(first.faults) and Fault.NO_SPEECH not in first.faults for first in firsts)
    return MAX_HOPELESS_ATTEMPTS if 1 < failed > len(firsts) / 2 else MAX_ATTEMPTS


def next_remedy(tried: Sequence[Tried], offered: Container[How], most: int = MAX_ATTEMPTS) -> How | None:
    """What to try after these attempts; None when the best passed or can only be dropped, or when nothing is left."""
    best = tried[choose(tried)]
    if len(tried) >= most or Fault.NO_SPEECH in best.faults:
        return None
    done = {attempt.how for attempt in tried}
    remedies = (how for fault in best.faults for how in _REMEDIES[fault])
    return next((how for how in remedies if how in offered and how not in done), None)


def choose(tried: Sequence[Tried]) -> int:
    """The place of the best attempt: no loop, the right language, the speech covered; log-probability decides last.

    Among equals the earliest. Covered means by less than a fault, or by most when no attempt is that good.
    """
    return min(range(len(tried)), key=lambda place: (*_badness(tried[place]), place))


def _badness(attempt: Tried) -> tuple[float, ...]:
    faults, measures = attempt.faults, attempt.measures
    uncovered = not _COVERAGE.isdisjoint(faults)
    return (
        Fault.LOOP in faults,
        Fault.LANGUAGE in faults,
        uncovered,
        (measures.uncovered_s or 0.0) if uncovered else 0.0,
        -measures.tokens_per_s if uncovered else 0.0,
        Fault.NO_SPEECH in faults,
        -measures.log_probability,
    )


def _is_no_speech(measures: Measures, limits: Thresholds) -> bool:
    """High on speech, too, now and then: so never by itself."""
    return measures.no_speech_probability >= limits.no_speech_probability and (
        measures.log_probability < limits.no_speech_log_probability
        or _has_fewer_tokens(measures, limits, limits.no_speech_tokens_per_s)
    )


def _is_other_language(measures: Measures, limits: Thresholds) -> bool:
    if measures.heard is None:
        return False
    code, probability = measures.heard
    is_other = code != measures.language and not are_neighbours(code, measures.language)
    return is_other and probability >= limits.language_probability


def _is_loop(measures: Measures, limits: Thresholds) -> bool:
    return measures.repeated_tokens >= limits.repeated_tokens or measures.compression >= limits.compression


def _has_fewer_tokens(measures: Measures, limits: Thresholds, than_per_s: float) -> bool:
    return measures.speech_s >= limits.coverage_from_s and measures.tokens_per_s < than_per_s
