"""Who is measured on what, how often, and in which order."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avskrift.asr.process import ALLOCATOR_ENVIRONMENT
from bench.asr.measured import Server, Usage, run
from bench.asr.texts import text_of_srt
from bench.report import Narrator
from bench.speech import COMPUTE_TYPE, LANGUAGE, MODEL, Recording

#: What would change the runs if it happened to be set where the bench is started.
STRAY = ("MALLOC_", "GLIBC_TUNABLES", "OMP_", "CT2_", "LD_PRELOAD")


@dataclass(frozen=True)
class Contestant:
    """A way to turn speech into text."""

    name: str
    batch: int | None = None
    """Faster-whisper's batch size, 0 for its sequential mode; None is this project's engine."""
    fallback: bool = True
    """Whether the sequential mode may decode a chunk again at higher temperatures and takes the text before as context,
    as it does unless told not to. Without, it is faster and never loops from one chunk into the next."""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    peer: tuple[str, ...] = ()
    """Command of a server from another environment; it speaks as ``bench.faster_whisper_run`` does."""

    @property
    def is_ours(self) -> bool:
        return self.batch is None and not self.peer


OURS = Contestant("avskrift")
INSTALLED = Contestant("faster-whisper batched 8", 8)
TUNED = Contestant("faster-whisper batched 8, our allocator settings", 8, environment=ALLOCATOR_ENVIRONMENT)
SEQUENTIAL = Contestant("faster-whisper sequential, without fallback", 0, fallback=False)
FALLING_BACK = Contestant("faster-whisper sequential, as installed", 0)


@dataclass(frozen=True)
class Entry:
    """One row of the table."""

    contestant: Contestant
    recording: Recording
    rounds: int
    beam: int = 1
    timed: bool = False
    """With word times: srt from us."""
    loop: bool = False
    """Model loaded before, and kept; else a whole process."""

    @property
    def asked(self) -> tuple[bool, int, bool]:
        return self.loop, self.beam, self.timed


@dataclass(frozen=True)
class Outcome:
    """One run of an entry."""

    usage: Usage
    text: str
    first_text_s: float | None = None
    """From when the file was handed to a loaded model."""
    retried: float | None = None
    """Share of the chunks that were decoded more than once."""


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    model_directory: Path
    cores: int
    folder: Path
    language: str = LANGUAGE


Results = dict[Entry, list[tuple[int, Outcome]]]
"""The outcomes of each entry, each with the number of its round."""


def in_turn(entries: Sequence[Entry], rounds: int) -> Iterator[tuple[int, Entry]]:
    """Round by round, each beginning one place further on; entries with fewer rounds are spread over them all."""
    for number in range(rounds):
        turn = number % len(entries)
        for entry in (*entries[turn:], *entries[:turn]):
            if number * entry.rounds // rounds != (number + 1) * entry.rounds // rounds:
                yield number, entry


def compete(entries: Sequence[Entry], bench: Bench, narrator: Narrator) -> Results:
    """Run them all: whole processes first, then those with a loaded model, which would be in the way."""
    results: Results = {entry: [] for entry in entries}
    processes = [entry for entry in entries if not entry.loop]
    _run_rounds(processes, results, narrator, lambda entry: run_process(entry, bench))
    loops = [entry for entry in entries if entry.loop]
    with ExitStack() as stack:
        contestants = list(dict.fromkeys(entry.contestant.name for entry in loops))
        by_name = {entry.contestant.name: entry.contestant for entry in loops}
        servers = {name: stack.enter_context(serve(by_name[name], bench)) for name in contestants}
        _run_rounds(loops, results, narrator, lambda entry: run_loop(entry, servers[entry.contestant.name], bench))
    return results


def _run_rounds(entries: Sequence[Entry], results: Results, narrator: Narrator, run_one: Any) -> None:
    rounds = max((entry.rounds for entry in entries), default=0)
    for number, entry in in_turn(entries, rounds):
        outcome = run_one(entry)
        results[entry].append((number, outcome))
        narrator.say(f"round {number + 1} of {rounds}: {described(entry)}: {outcome.usage.wall_s:.2f} s")


def described(entry: Entry) -> str:
    loop, beam, timed = entry.asked
    told = [entry.contestant.name, duration(entry.recording.duration_s), f"beam {beam}" if beam > 1 else "greedy"]
    told += ["word times"] if timed else []
    told += ["model loaded"] if loop else []
    return ", ".join(told)


def duration(seconds: float) -> str:
    """As people say it: 10 s, 2 min, 1 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3000 else f"{seconds / 3600:.0f} h"


def run_process(entry: Entry, bench: Bench) -> Outcome:
    """A process of its own from start to end."""
    if entry.contestant.is_ours:
        return _run_command_line(entry, bench)
    command = server_command(entry.contestant, bench)
    finished = run(command, environment(entry.contestant), json.dumps(request(entry, bench)))
    answer = json.loads(finished.stdout.splitlines()[-1])
    return Outcome(finished.usage, answer["text"], answer["first_text_s"])


def _run_command_line(entry: Entry, bench: Bench) -> Outcome:
    kind = "srt" if entry.timed else "txt"
    with tempfile.TemporaryDirectory(dir=bench.folder) as output:
        command = [str(Path(sys.executable).with_name("avskrift")), "transcribe", str(entry.recording.path)]
        command += ["--model", MODEL, "--language", bench.language, "--device", "cpu", "--threads", str(bench.cores)]
        command += ["--beam-size", str(entry.beam), "--format", kind, "--output-dir", output, "--quiet"]
        finished = run(command, environment(entry.contestant))
        (written,) = Path(output).iterdir()
        text = written.read_text(encoding="utf-8")
    return Outcome(finished.usage, text_of_srt(text) if entry.timed else text)


def run_loop(entry: Entry, server: Server, bench: Bench) -> Outcome:
    """One file through a process that has its model loaded."""
    answer, usage = server.ask(request(entry, bench))
    return Outcome(usage, answer["text"], answer["first_text_s"], answer.get("retried"))


def serve(contestant: Contestant, bench: Bench) -> Server:
    return Server(server_command(contestant, bench), environment(contestant))


def server_command(contestant: Contestant, bench: Bench) -> list[str]:
    settings: dict[str, Any] = {"compute_type": COMPUTE_TYPE, "cores": bench.cores}
    if contestant.peer:
        return [*contestant.peer, json.dumps(settings)]
    if contestant.is_ours:
        return [sys.executable, "-m", "bench.asr.engine_run", MODEL, json.dumps(settings)]
    settings |= {"batch": contestant.batch, "fallback": contestant.fallback}
    return [sys.executable, "-m", "bench.faster_whisper_run", str(bench.model_directory), json.dumps(settings)]


def request(entry: Entry, bench: Bench) -> dict[str, Any]:
    return {
        "recording": str(entry.recording.path),
        "language": bench.language,
        "beam": entry.beam,
        "words": entry.timed,
    }


def environment(contestant: Contestant) -> dict[str, str]:
    """Ours, less what is set here and elsewhere is not, and what belongs to the contestant."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STRAY)}
    return {**kept, "HF_HUB_OFFLINE": "1", **contestant.environment}
