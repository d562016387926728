"""Outcomes to rates: what each measure catches, what it flags for nothing, and which threshold would do better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from avskrift.asr.audit import Fault
from avskrift.asr.gate import Measures, Thresholds
from bench.gate.material import BADLY_HEARD, GOOD, WRONG_LANGUAGE
from bench.gate.trial import Outcome

HARMLESS = (GOOD, BADLY_HEARD)
#: A false alarm costs a retry of a text that was good; it weighs as much as so many failures that go unseen.
FALSE_ALARM_WEIGHT = 5.0


@dataclass(frozen=True)
class Rates:
    """What became of the cases of one kind."""

    kind: str
    cases: int
    by_fault: dict[Fault, int]
    """How many first attempts had it."""
    caught: int
    """How many had any."""
    mended: int
    """Of these: taken in another attempt, which passed."""
    silenced: int
    """Of these: no text at all in the end."""
    attempts: float
    """A case, on average."""


def rates(kind: str, outcomes: Iterable[Outcome]) -> Rates:
    of_kind = [outcome for outcome in outcomes if outcome.case.kind == kind]
    caught = [outcome for outcome in of_kind if outcome.first.faults]
    silenced = [outcome for outcome in caught if not outcome.text]
    return Rates(
        kind,
        len(of_kind),
        {fault: sum(fault in outcome.first.faults for outcome in of_kind) for fault in Fault},
        len(caught),
        sum(not outcome.taken.faults for outcome in caught),
        len(silenced),
        sum(len(outcome.takes) for outcome in of_kind) / max(1, len(of_kind)),
    )


@dataclass(frozen=True)
class Knob:
    """A threshold, the values to try, and the failures it is there for."""

    name: str
    values: Sequence[float]
    is_fault: Callable[[Measures, float], bool]
    meant_for: tuple[str, ...]


_LOST = ("lost middle", "lost end")
_LOOPS = ("loop of words", "stuck word", "reversed")
_NO_SPEECH = ("noise", "music", "silence")
KNOBS = (
    Knob("tokens_per_s", (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0), lambda m, at: _long(m) and m.tokens_per_s < at, _LOST),
    Knob("uncovered_s", (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0), lambda m, at: (m.uncovered_s or 0) >= at, _LOST),
    Knob("repeated_tokens", (6, 8, 12, 16, 24, 32, 48), lambda m, at: m.repeated_tokens >= at, _LOOPS),
    Knob("compression", (1.6, 1.8, 2.0, 2.2, 2.4, 2.8, 3.2), lambda m, at: m.compression >= at, _LOOPS),
    Knob(
        "log_probability",
        (-0.8, -0.9, -1.0, -1.1, -1.2, -1.3, -1.5),
        lambda m, at: m.log_probability < at,
        (WRONG_LANGUAGE, "−5 dB SNR"),
    ),
    Knob(
        "no_speech_log_probability (no-speech ≥ 0.5)",
        (-0.9, -1.0, -1.1, -1.2, -1.3, -1.4, -1.6),
        lambda m, at: m.no_speech_probability >= 0.5 and m.log_probability < at,
        _NO_SPEECH,
    ),
    Knob(
        "language_probability",
        (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95),
        lambda m, at: m.heard is not None and m.heard[0] != m.language and m.heard[1] >= at,
        (WRONG_LANGUAGE,),
    ),
)


@dataclass(frozen=True)
class Setting:
    """How a knob would do at one value: shares of first attempts."""

    value: float
    caught: float
    false_alarms: float


def settings(knob: Knob, outcomes: Sequence[Outcome]) -> list[Setting]:
    meant = [outcome for outcome in outcomes if outcome.case.kind in knob.meant_for]
    harmless = [outcome for outcome in outcomes if outcome.case.kind in HARMLESS]
    return [Setting(at, _share(knob, meant, at), _share(knob, harmless, at)) for at in knob.values]


def proposed(of_knob: Sequence[Setting]) -> Setting:
    """The one that catches most after its false alarms are weighed; of equals the one with fewer of them."""
    return max(of_knob, key=lambda it: (round(it.caught - FALSE_ALARM_WEIGHT * it.false_alarms, 6), -it.false_alarms))


def value_now(knob: Knob, limits: Thresholds) -> float:
    return float(getattr(limits, knob.name.split()[0]))


def _share(knob: Knob, outcomes: Sequence[Outcome], at: float) -> float:
    return sum(knob.is_fault(outcome.first.measures, at) for outcome in outcomes) / max(1, len(outcomes))


def _long(measures: Measures) -> bool:
    return measures.speech_s >= 4.0
