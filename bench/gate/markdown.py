"""The gate's rates as Markdown, to be put into docs/quality-gate.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from avskrift.asr.audit import Fault
from avskrift.asr.gate import Thresholds
from bench.gate.rates import HARMLESS, KNOBS, proposed, rates, settings, value_now
from bench.gate.trial import Outcome

_HEADINGS = {
    Fault.FEW_TOKENS: "few tokens",
    Fault.UNCOVERED: "uncovered",
    Fault.LOOP: "loop",
    Fault.LOW_LOG_PROBABILITY: "low log-p.",
    Fault.NO_SPEECH: "no speech",
    Fault.LANGUAGE: "language",
}


def measures_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A row a kind: what the first attempt was caught by, and what became of it."""
    columns = ["kind", "chunks", *_HEADINGS.values(), "**any**", "then without fault", "then no text", "attempts"]
    yield from _head(columns)
    for kind in dict.fromkeys(outcome.case.kind for outcome in outcomes):
        row = rates(kind, outcomes)
        shares = [_percent(row.by_fault[fault], row.cases) for fault in _HEADINGS]
        after = [_of(row.mended, row.caught), _of(row.silenced, row.caught), f"{row.attempts:.2f}"]
        yield _row([kind, str(row.cases), *shares, f"**{_percent(row.caught, row.cases)}**", *after])


def whole_gate(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Catch rate and false alarms of all measures together."""
    harmless = [outcome for outcome in outcomes if outcome.case.kind in HARMLESS]
    planted = [outcome for outcome in outcomes if outcome.case.kind not in HARMLESS]
    flagged = [outcome for outcome in harmless if outcome.first.faults]
    caught = sum(bool(outcome.first.faults) for outcome in planted)
    yield f"All measures together caught {caught} of {len(planted)} planted failures ({_percent(caught, len(planted))})"
    yield f"and flagged {len(flagged)} of {len(harmless)} other chunks ({_percent(len(flagged), len(harmless))}):"
    yield ""
    yield from (_flagged(outcome) for outcome in flagged)


def _flagged(outcome: Outcome) -> str:
    attempts = "; ".join(
        f"{take.how.value}: {', '.join(take.faults) or 'passed'}, {take.measures.tokens} tokens, "
        f"{_seconds(take.measures.uncovered_s)} uncovered"
        for take in outcome.takes
    )
    length_s = outcome.case.chunk.clock.duration_s
    return f"- {outcome.case.name} ({length_s:.1f} s): {attempts}; taken: {outcome.taken.how.value}"


def thresholds_table(outcomes: Sequence[Outcome], limits: Thresholds) -> Iterator[str]:
    """A row a threshold: caught / false alarms at several values."""
    yield from _head(["threshold", "now", "proposed", "value: caught of what it is for / false alarms"])
    for knob in KNOBS:
        tried = settings(knob, outcomes)
        curve = ", ".join(f"{at.value:g}: {at.caught:.0%} / {at.false_alarms:.1%}" for at in tried)
        yield _row([knob.name, f"{value_now(knob, limits):g}", f"{proposed(tried).value:g}", curve])


def _head(columns: Sequence[str]) -> Iterator[str]:
    yield _row(columns)
    yield _row(["---", *("---:" for _ in columns[1:])])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if part else "–"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "–"


def _seconds(value: float | None) -> str:
    return "? s" if value is None else f"{value:.1f} s"
