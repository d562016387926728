"""How long the files of a long transcript take, and how much memory: each format by itself, and all in one go.

The goals are for all formats of ten hours in one go, and are only judged on those.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from avskrift.formats import FORMATS
from bench import machine
from bench.long_talk import talk
from bench.report import Narrator, Report, Row, Section

FULL_S, QUICK_S = 36_000.0, 3_600.0
ROUNDS = 3
_LIBRARIES = ("avskrift", "jinja2", "lxml", "pysubs2", "python-docx")
ALL, HIGHLIGHTED = "all", "all, with --highlight-words"
Answer = dict[str, float]
"""What a run of ``bench.formats_run`` says of itself: ``read_s``, ``write_s``, ``peak_mb``, ``size_mb``."""


@dataclass(frozen=True)
class Goal:
    """What all formats together may take: ``below`` so much, as ``of`` sums the rounds up."""

    quantity: str
    what: str
    unit: str
    below: float
    of: Callable[[Sequence[float]], float]


GOALS = (
    Goal("write_s", "to make and write", "s", 6.0, median),
    Goal("peak_mb", "highest peak, with the json that was read", "MB", 500.0, max),
)


def run(narrator: Narrator, *, quick: bool) -> Report:
    """Every run is a process of its own; rounds take turns, so that a slow minute hits all alike."""
    load_before = machine.load_average()
    duration_s, rounds = (QUICK_S, 1) if quick else (FULL_S, ROUNDS)
    transcript = talk(duration_s)
    with tempfile.TemporaryDirectory(prefix="avskrift-bench-") as folder:
        path = Path(folder) / "transcript.json"
        path.write_text(transcript.to_json(), encoding="utf-8")
        narrator.say(f"a transcript of {duration_s / 3_600:.0f} h: {transcript.word_count:,} words")
        wanted = {name: [name] for name in FORMATS}
        wanted |= {ALL: [*FORMATS], HIGHLIGHTED: ["--highlight-words", *FORMATS]}
        answers: dict[str, list[Answer]] = {name: [] for name in wanted}
        for number in range(rounds):
            for name, arguments in wanted.items():
                answers[name].append(_measured(path, arguments))
            narrator.say(f"round {number + 1} of {rounds}: all formats in {answers[ALL][-1]['write_s']:.2f} s")
    title = f"{duration_s / 3_600:.0f} hours, {transcript.word_count:,} words, each in a process of its own"
    facts = machine.describe(load_before)
    return Report(
        "formats", quick, facts, machine.versions(_LIBRARIES), (*_sections(title, answers), goals(answers, duration_s))
    )


def goals(answers: Mapping[str, Sequence[Answer]], duration_s: float) -> Section:
    """Whether each is reached, in the name of its row; of less than ten hours nobody can say."""
    rows = []
    for name in (ALL, HIGHLIGHTED):
        for goal in GOALS:
            values = tuple(answer[goal.quantity] for answer in answers[name])
            verdict = "reached" if goal.of(values) < goal.below else "NOT REACHED"
            if duration_s < FULL_S:
                verdict = "not judged"
            rows.append(Row(f"{name}: {goal.what}, < {goal.below:g} {goal.unit}: {verdict}", goal.unit, values))
    return Section(f"Goals, for {FULL_S / 3_600:.0f} hours", tuple(rows))


def _measured(path: Path, arguments: Sequence[str]) -> Answer:
    command = [sys.executable, "-m", "bench.formats_run", str(path), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    answer: Answer = json.loads(done.stdout)
    return answer


def _sections(title: str, answers: dict[str, list[Answer]]) -> tuple[Section, ...]:
    every = [answer for answers_of_one in answers.values() for answer in answers_of_one]
    read = Row("read the json", "s", tuple(answer["read_s"] for answer in every))
    return (
        Section(f"Seconds to make and write: {title}", (read, *_rows(answers, "write_s", "s"))),
        Section(f"Peak memory of the process: {title}", _rows(answers, "peak_mb", "MB")),
        Section("Size of the files", _rows(answers, "size_mb", "MB")),
    )


def _rows(answers: dict[str, list[Answer]], quantity: str, unit: str) -> tuple[Row, ...]:
    return tuple(Row(name, unit, tuple(answer[quantity] for answer in each)) for name, each in answers.items())
