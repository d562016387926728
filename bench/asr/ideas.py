"""What each idea of the engine gains: everything as it is, and then with one thing changed, in turns."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from avskrift.asr.process import ALLOCATOR_ENVIRONMENT
from bench.asr.contest import STRAY, Bench, duration
from bench.asr.measured import Usage, run
from bench.asr.recordings import Recordings
from bench.asr.report import Grid, Part
from bench.asr.texts import edits, tokens_of
from bench.report import Narrator
from bench.speech import Recording
from bench.words import percent_apart

ROUNDS = 3
PIECE_S = 300
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_WAITING = "OMP_WAIT_POLICY"


@dataclass(frozen=True)
class Idea:
    """One change to what the engine does."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    environment: Mapping[str, str] = field(default_factory=lambda: ALLOCATOR_ENVIRONMENT, hash=False)


AS_IT_IS = Idea("as it is: text only")
IDEAS = (
    AS_IT_IS,
    Idea("allocator: glibc's own settings", environment={}),
    Idea("allocator: in huge pages", environment={**ALLOCATOR_ENVIRONMENT, **_HUGE_PAGES}),
    *(
        Idea(f"threads that wait for each other are {policy}", environment={**ALLOCATOR_ENVIRONMENT, _WAITING: policy})
        for policy in ("active", "passive")
    ),
    Idea("encode a whole batch at once", {"one_by_one": False}),
    Idea("encoder output cut 4 s behind the speech", {"silence_behind_s": 4.0}),
    Idea("encoder output cut at the end of speech", {"silence_behind_s": 0.0}),
    Idea("one worker × two threads", {"workers": 1, "threads": 2}),
    *(Idea(f"batch {batch}", {"batch": batch}) for batch in (1, 2, 4, 6, 8)),
    Idea("chunks not sorted by length", {"sorted": False}),
    Idea("all read before decoding begins", {"overlap": False}),
    Idea("float32 instead of int8", {"compute_type": "float32"}),
    Idea("words aligned too", {"words": True}),
    Idea("no chunk decoded again, whatever the gate says", {"attempts": 1}),
)


@dataclass(frozen=True)
class Tried:
    """One run with one idea."""

    usage: Usage
    text: str


Trials = dict[Idea, list[Tried]]


def measure(recordings: Recordings, bench: Bench, narrator: Narrator) -> list[Part]:
    """Three rounds of all of them, each beginning one further on."""
    recorded = recordings.piece(PIECE_S)
    trials: Trials = {idea: [] for idea in IDEAS}
    for number in range(ROUNDS):
        for idea in (*IDEAS[number:], *IDEAS[:number]):
            tried = _try(idea, recorded, bench)
            trials[idea].append(tried)
            narrator.say(f"round {number + 1} of {ROUNDS}: {idea.name}: {tried.usage.wall_s:.2f} s")
    return [part_of(trials, recorded, bench)]


def _try(idea: Idea, recorded: Recording, bench: Bench) -> Tried:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STRAY)}
    command = [sys.executable, "-m", "bench.asr.ideas_run", str(recorded.path), json.dumps(dict(idea.changes))]
    finished = run(command, {**kept, **idea.environment})
    return Tried(finished.usage, finished.stdout)


def part_of(trials: Trials, recorded: Recording, bench: Bench) -> Part:
    """A row for each idea, held against the engine as it is."""
    rows = tuple(_row(idea, trials, recorded, bench) for idea in trials)
    heading = ("idea", "wall s", "low–high", "× as it is", "CPU s", "peak MB", "faults", "tokens apart", "words off")
    notes = (
        f"{duration(recorded.duration_s)} of audio, whole process without the command line around it, medians of "
        f"{len(trials[AS_IT_IS])} runs in turns. × as it is: its time over that of the unchanged engine in the same "
        "round, above 1 is slower. Tokens apart: percent, from the unchanged engine's text; words off: as above.",
    )
    data = {idea.name: [one.usage.wall_s for one in tried] for idea, tried in trials.items()}
    return Part("Ideas: what each is worth", Grid(heading, rows), notes, {"wall_s": data})


def _row(idea: Idea, trials: Trials, recorded: Recording, bench: Bench) -> tuple[str, ...]:
    tried, unchanged = trials[idea], trials[AS_IT_IS]
    walls = [one.usage.wall_s for one in tried]
    slower = median(wall / base.usage.wall_s for wall, base in zip(walls, unchanged, strict=True))
    wanted, got = (tokens_of(one[-1].text, bench.model_directory) for one in (unchanged, tried))
    return (
        idea.name,
        f"{median(walls):.2f}",
        f"{min(walls):.2f}–{max(walls):.2f}",
        f"{slower:.2f}",
        f"{median(one.usage.cpu_s for one in tried):.1f}",
        f"{median(one.usage.peak_mb or 0 for one in tried):.0f}",
        f"{median(one.usage.page_faults for one in tried) / 1000:,.0f} k",
        f"{100 * edits(wanted, got) / max(1, len(wanted)):.1f}",
        f"{percent_apart(recorded.spoken, tried[-1].text):.1f}" if recorded.spoken else "–",
    )
