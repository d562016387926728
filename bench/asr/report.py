"""What ``scripts/bench asr`` has to say: tables and sentences, for a terminal, for a page, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

_WIDTH = 160
"""Columns where stdout is no terminal: a table in a file should not be folded."""


@dataclass(frozen=True)
class Grid:
    """A table; every column but the first is numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> list[str]:
        ruler = ("---", *("---:" for _ in self.headings[1:]))
        return [f"| {' | '.join(row)} |" for row in (self.headings, ruler, *self.rows)]


@dataclass(frozen=True)
class Part:
    """One question and its answer."""

    title: str
    grid: Grid
    notes: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """Everything behind the table, JSON-able."""
    svg: str = ""

    def markdown(self) -> str:
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"### {self.title}", "", *self.grid.markdown(), "", *notes]).rstrip() + "\n"


@dataclass(frozen=True)
class AsrReport:
    """A finished bench."""

    quick: bool
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    parts: Sequence[Part]

    def to_dict(self) -> dict[str, Any]:
        return {
            "bench": "asr",
            "quick": self.quick,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "parts": [_part_as_dict(part) for part in self.parts],
        }

    def show(self, console: Console) -> None:
        if not console.is_terminal:
            console.width = _WIDTH
        for part in self.parts:
            console.print(part.title, style="bold", markup=False)
            console.print(_table(part.grid))
            for note in part.notes:
                console.print(note, markup=False)
            console.print()
        for facts in (self.machine, self.versions):
            console.print(_listed(facts), markup=False)
        if self.quick:
            console.print("Measured with --quick: too few runs to quote.", style="yellow")

    def markdown(self) -> str:
        """Sections for docs/performance.md."""
        facts = f"{_listed(self.machine)}.\n\n{_listed(self.versions)}.\n"
        return "\n".join([facts, *(part.markdown() for part in self.parts)])

    @property
    def svg(self) -> str:
        """The first plot there is, or nothing."""
        return next((part.svg for part in self.parts if part.svg), "")


def _part_as_dict(part: Part) -> dict[str, Any]:
    rows = [dict(zip(part.grid.headings, row, strict=True)) for row in part.grid.rows]
    return {"title": part.title, "rows": rows, "notes": list(part.notes), **part.data}


def _listed(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in facts.items())


def _table(grid: Grid) -> Table:
    table = Table()
    for number, heading in enumerate(grid.headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in grid.rows:
        table.add_row(*row)
    return table
