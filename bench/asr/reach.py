"""The goals, and what was seen of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.asr.contest import FALLING_BACK, INSTALLED, OURS, SEQUENTIAL, Contestant, Entry, Results, duration
from bench.asr.report import Grid, Part

#: A clip of ten seconds may take so much longer than with faster-whisper's sequential mode.
CLIP_LIMIT_S = 0.3
CLIP_LONGEST_S = 15.0
LOAD_LIMIT_S = 1.0
PEAK_LIMIT_MB = 1500.0


@dataclass(frozen=True)
class Goal:
    """Theirs divided by ours, whole processes, is to be ``at_least`` so much."""

    name: str
    theirs: Contestant
    at_least: float
    beam: int = 1
    timed: bool = False


GOALS = (
    Goal("text only: times faster than faster-whisper batched 8 as installed", INSTALLED, 1.8),
    Goal("srt: times faster than batched 8 with word times", INSTALLED, 1.8, timed=True),
    Goal("beam 5: times faster than batched 8 with beam 5", INSTALLED, 1.5, beam=5),
    Goal("text only: times faster than sequential as installed", FALLING_BACK, 3.3),
    Goal("text only: times faster than sequential, made faster: no fallback, no text before", SEQUENTIAL, 3.3),
)


#: The ratios that are wanted are those of ten minutes; in a shorter piece the start of the process weighs more.
RATIOS_FROM_S = 590.0


@dataclass(frozen=True)
class Verdict:
    """One goal and what was seen; nobody knows whether it is reached where too little was run."""

    name: str
    wanted: str
    seen: str
    is_reached: bool | None

    def __str__(self) -> str:
        return f"reach: {self.name}, wanted {self.wanted}, seen {self.seen}"

    @property
    def word(self) -> str:
        if self.is_reached is None:
            return "– (--goals)"
        return "yes" if self.is_reached else "NO"


def part(results: Results, loads: Sequence[float]) -> Part:
    """Every goal that the runs allow to judge."""
    found = [verdict for goal in GOALS if (verdict := _ratio(goal, results))]
    found += [verdict for verdict in (_clip(results), _peak(results)) if verdict]
    found.append(_at_most("worker import and model load", loads, LOAD_LIMIT_S, "s"))
    rows = tuple((str(verdict), verdict.word) for verdict in found)
    return Part("Reach: whole processes, medians", Grid(("goal", "reached"), rows), data={"loads_s": list(loads)})


def _ratio(goal: Goal, results: Results) -> Verdict | None:
    """Round by round, on one recording."""
    pair = _pair(goal.theirs, (False, goal.beam, goal.timed), results)
    if pair is None or pair[0].recording.duration_s <= CLIP_LONGEST_S:
        return None
    seen = [theirs / ours for ours, theirs in _in_same_rounds(*pair, results)]
    name = f"{goal.name}, {duration(pair[0].recording.duration_s)}"
    is_reached = median(seen) >= goal.at_least if pair[0].recording.duration_s >= RATIOS_FROM_S else None
    return Verdict(name, f"≥ {goal.at_least:.1f}", _summed_up(seen, "×"), is_reached)


def _clip(results: Results) -> Verdict | None:
    pair = _pair(SEQUENTIAL, (False, 1, False), results, longest_s=CLIP_LONGEST_S)
    if pair is None:
        return None
    seconds = [ours - theirs for ours, theirs in _in_same_rounds(*pair, results)]
    return _at_most("clip of 10 s: seconds more than sequential", seconds, CLIP_LIMIT_S, "s")


def _peak(results: Results) -> Verdict | None:
    peaks = [
        outcome.usage.peak_mb
        for entry, runs in results.items()
        for _, outcome in runs
        if entry.contestant is OURS and outcome.usage.peak_mb
    ]
    if not peaks:
        return None
    seen = f"{max(peaks):.0f} MB (the highest of {len(peaks)} runs)"
    return Verdict("peak of all our processes", f"< {PEAK_LIMIT_MB:.0f} MB", seen, max(peaks) < PEAK_LIMIT_MB)


def _pair(
    theirs: Contestant, asked: tuple[bool, int, bool], results: Results, longest_s: float = float("inf")
) -> tuple[Entry, Entry] | None:
    """Our entry and theirs with the same wishes, where both ran most often; among those the longest recording."""
    entries = {
        (entry.contestant.name, entry.recording): entry
        for entry in results
        if entry.asked == asked and entry.recording.duration_s <= longest_s
    }
    shared = [
        (ours, entries[theirs.name, recording])
        for (name, recording), ours in entries.items()
        if name == OURS.name and (theirs.name, recording) in entries
    ]
    return max(shared, key=lambda pair: (_rounds(pair, results), pair[0].recording.duration_s), default=None)


def _rounds(pair: tuple[Entry, Entry], results: Results) -> int:
    return min(len(results[entry]) for entry in pair)


def _in_same_rounds(ours: Entry, theirs: Entry, results: Results) -> list[tuple[float, float]]:
    """Seconds of both, round by round: what slowed a whole round down cancels out."""
    theirs_by_round = {number: outcome.usage.wall_s for number, outcome in results[theirs]}
    return [
        (outcome.usage.wall_s, theirs_by_round[number])
        for number, outcome in results[ours]
        if number in theirs_by_round
    ]


def _at_most(name: str, values: Sequence[float], limit: float, unit: str) -> Verdict:
    return Verdict(name, f"≤ {limit:g} {unit}", _summed_up(values, f" {unit}"), median(values) <= limit)


def _summed_up(values: Sequence[float], unit: str) -> str:
    return f"{median(values):.2f}{unit} ({min(values):.2f}–{max(values):.2f}, {len(values)} runs)"
