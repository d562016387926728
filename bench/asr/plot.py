"""Seconds of whole processes as bars, one panel for each recording that several took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench import svg
from bench.asr.contest import Entry, Results, duration

WIDTH, LABELS, RIGHT = 760, 330, 60
BAR, GAP, TOP, BOTTOM = 14, 6, 26, 14
OURS, THEIRS = "#0b6e4f", "#c8553d"


@dataclass(frozen=True)
class Bar:
    """One entry: the median, and the extremes as a thin line."""

    label: str
    is_ours: bool
    seconds: tuple[float, ...]


def bars(results: Results) -> str:
    """An SVG document, the longest recording first; empty if no two entries share a recording."""
    panels = [panel for panel in _panels(results) if len(panel[1]) > 1]
    parts: list[str] = []
    top = 0.0
    for title, rows in panels:
        parts += _panel(title, rows, top)
        top += TOP + len(rows) * (BAR + GAP) + BOTTOM
    return svg.document(WIDTH, top, parts) if panels else ""


def _panels(results: Results) -> list[tuple[str, list[Bar]]]:
    processes = [entry for entry in results if not entry.loop and results[entry]]
    recordings = sorted({entry.recording for entry in processes}, key=lambda it: -it.duration_s)
    return [
        (
            f"{duration(recording.duration_s)} of audio: seconds, whole process (median, lowest–highest)",
            [_bar(entry, results) for entry in processes if entry.recording == recording],
        )
        for recording in recordings
    ]


def _bar(entry: Entry, results: Results) -> Bar:
    wishes = [f"beam {entry.beam}"] * (entry.beam > 1) + ["word times"] * entry.timed
    label = ", ".join([entry.contestant.name, *wishes])
    return Bar(label, entry.contestant.is_ours, tuple(outcome.usage.wall_s for _, outcome in results[entry]))


def _panel(title: str, rows: Sequence[Bar], top: float) -> list[str]:
    longest = max(max(row.seconds) for row in rows)
    scale = (WIDTH - LABELS - RIGHT) / longest
    parts = [svg.text(8, top + 16, title, "start")]
    for number, row in enumerate(rows):
        parts += _row(row, top + TOP + number * (BAR + GAP), scale)
    return parts


def _row(row: Bar, y: float, scale: float) -> list[str]:
    middle = median(row.seconds)
    low, high = (round(LABELS + end(row.seconds) * scale, 1) for end in (min, max))
    return [
        svg.text(LABELS - 6, y + 11, row.label, "end"),
        svg.box(LABELS, y, round(middle * scale, 1), BAR, OURS if row.is_ours else THEIRS),
        svg.rule(low, y + BAR / 2, high, y + BAR / 2, "#222"),
        svg.text(max(high, LABELS) + 5, y + 11, f"{middle:.1f}", "start"),
    ]
