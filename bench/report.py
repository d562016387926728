"""What a bench has to say: rows of repeated measurements, as a table for a person or as JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

_WIDTH = 120
"""Columns where stdout is no terminal: a table in a file should not be folded."""
_DECIMALS = {"s": 2, "x": 3, "%": 1, "MB": 2, "files": 0}


@dataclass(frozen=True)
class Row:
    """One quantity, measured once or several times. ``unit``: s, x (a ratio), %, MB or files."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "unit": self.unit, "median": self.median, "values": list(self.values)}


@dataclass(frozen=True)
class Section:
    """Rows about one thing; ``title`` says under which conditions they were measured."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Report:
    """A finished bench."""

    bench: str
    quick: bool
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    sections: tuple[Section, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "quick": self.quick,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "sections": [
                {"title": section.title, "rows": [row.to_dict() for row in section.rows]} for section in self.sections
            ],
        }

    def show(self, console: Console) -> None:
        show(console, self)


class Narrator:
    """Says on stderr what is going on, with the seconds since the start."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(f"[{time.monotonic() - self._started:6.1f} s] {text}", markup=False, style="dim")


def ratios(name: str, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    """Ours divided by theirs, round by round: what slowed a whole round down cancels out."""
    return Row(name, "x", tuple(our / their for our, their in zip(ours, theirs, strict=True)))


def show(console: Console, report: Report) -> None:
    """Print the tables, then the machine and the versions."""
    if not console.is_terminal:
        console.width = _WIDTH
    for section in report.sections:
        console.print(section.title, style="bold", markup=False)
        console.print(_table(section))
    for facts in (report.machine, report.versions):
        console.print("; ".join(f"{name} {value}" for name, value in facts.items()), markup=False)
    if report.quick:
        console.print("Measured with --quick: too few runs to quote.", style="yellow")


def _table(section: Section) -> Table:
    table = Table()
    table.add_column("measured")
    for heading in ("median", "lowest", "highest", "runs"):
        table.add_column(heading, justify="right")
    for row in section.rows:
        lowest, highest = (_shown(value, row.unit) for value in (min(row.values), max(row.values)))
        table.add_row(row.name, f"{_shown(row.median, row.unit)} {row.unit}", lowest, highest, str(len(row.values)))
    return table


def _shown(value: float, unit: str) -> str:
    return f"{value:.{_DECIMALS[unit]}f}"
