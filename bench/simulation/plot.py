"""Latency and cost over uploads a day, as a small SVG written by hand: two panels need no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import svg

WIDTH, HEIGHT = 380, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 30, 40
COLOURS = {"draining": "#0b6e4f", "one-shot": "#c8553d"}
Run = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """A logarithmic scale from one power of ten to another, onto pixels."""

    lowest: int
    highest: int
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> Axis:
        lowest, highest = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(lowest, max(highest, lowest + 1), begin, end)

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.lowest) / (self.highest - self.lowest)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.lowest, self.highest + 1)]


@dataclass(frozen=True)
class Line:
    """What one line of a panel shows."""

    fleet: str
    label: str
    dash: str
    value: Callable[[Run], float]


def plot(runs: Sequence[Run]) -> str:
    """An SVG document: seconds from upload to webhook at the left, dollars per audio hour at the right."""
    fleets = [fleet for fleet in COLOURS if any(run["fleet"] == fleet for run in runs)]
    shares = (("p50", ""), ("p95", "5 3"))
    latency = [
        Line(fleet, f"{fleet} {name}", dash, lambda run, name=name: run["latency_s"][name])  # type: ignore[misc]
        for fleet in fleets
        for name, dash in shares
    ]
    cost = [Line(fleet, fleet, "", lambda run: run["usd_per_audio_h"]) for fleet in fleets]
    panels = _panel(runs, latency, "upload → webhook, seconds", 0) + _panel(runs, cost, "USD per audio hour", WIDTH)
    return svg.document(2 * WIDTH, HEIGHT, panels)


def _panel(runs: Sequence[Run], lines: Sequence[Line], title: str, offset: float) -> list[str]:
    across = Axis.over([run["uploads_per_day"] for run in runs], offset + LEFT, offset + WIDTH - RIGHT)
    values = [line.value(run) for line in lines for run in runs if run["fleet"] == line.fleet]
    up = Axis.over(values, HEIGHT - BOTTOM, TOP)
    parts = [svg.text(offset + LEFT, TOP - 12, title, "start"), *_frame(across, up)]
    for number, line in enumerate(lines):
        points = sorted((run["uploads_per_day"], line.value(run)) for run in runs if run["fleet"] == line.fleet)
        parts += _curve([(across.at(x), up.at(y)) for x, y in points], line)
        parts.append(svg.text(across.begin + 8, TOP + 12 + 13 * number, line.label, "start", COLOURS[line.fleet]))
    parts.append(svg.text((across.begin + across.end) / 2, HEIGHT - 8, "uploads a day", "middle"))
    return parts


def _frame(across: Axis, up: Axis) -> list[str]:
    grid = [svg.rule(across.at(tick), TOP, across.at(tick), HEIGHT - BOTTOM) for tick in across.ticks()]
    grid += [svg.rule(across.begin, up.at(tick), across.end, up.at(tick)) for tick in up.ticks()]
    labels = [svg.text(across.at(tick), HEIGHT - BOTTOM + 14, f"{tick:,.0f}", "middle") for tick in across.ticks()]
    return [
        *grid,
        *labels,
        *(svg.text(across.begin - 5, up.at(tick) + 4, f"{tick:,.10g}", "end") for tick in up.ticks()),
    ]


def _curve(points: Sequence[tuple[float, float]], line: Line) -> list[str]:
    colour = COLOURS[line.fleet]
    path = " ".join(f"{x},{y}" for x, y in points)
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    dots = [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in points]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>', *dots]
