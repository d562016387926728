"""Cases through the real model and the real gate, in batches like the engine's."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from avskrift.asr.attempts import attempts_at
from avskrift.asr.audit import Fault
from avskrift.asr.decoding import Decoder
from avskrift.asr.gate import Thresholds, choose
from avskrift.asr.options import TranscribeOptions
from avskrift.asr.takes import Take
from avskrift.asr.task import Task
from bench.gate.material import Case
from bench.gate.plants import words_of

BATCH = 4
#: Nothing is a fault for these: what a single attempt costs.
NO_GATE = Thresholds(
    source="none",
    tokens_per_s=0.0,
    doubtful_tokens_per_s=0.0,
    uncovered_s=1e9,
    repeated_tokens=10**9,
    compression=1e9,
    log_probability=-1e9,
    doubtful_log_probability=-1e9,
    no_speech_probability=2.0,
)


@dataclass(frozen=True)
class Outcome:
    """All attempts at a case, and which was taken."""

    case: Case
    takes: tuple[Take, ...]

    @property
    def first(self) -> Take:
        return self.takes[0]

    @property
    def taken(self) -> Take:
        return self.takes[choose(self.takes)]

    @property
    def text(self) -> str:
        if Fault.NO_SPEECH in self.taken.faults:
            return ""
        return "".join(word.text for word in self.taken.words).strip()


class SpoiledWhisper:
    """The model, but for its first texts: those are spoiled as their cases say."""

    def __init__(self, whisper: Any, cases: Sequence[Case]) -> None:
        self._whisper = whisper
        self._cases: Sequence[Case] = cases

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)

    def generate(self, *arguments: Any) -> list[Any]:
        said = self._whisper.generate(*arguments)
        cases, self._cases = self._cases, ()
        return [self._spoiled(case, text) for case, text in zip(cases, said, strict=True)] if cases else said

    def _spoiled(self, case: Case, said: Any) -> Any:
        if case.spoil_text is None:
            return said
        words = words_of(self._whisper.tokenizer(case.language, "transcribe"), said.tokens)
        return replace(said, tokens=tuple(case.spoil_text(words))) if words else said


def run(decoder: Decoder, cases: Sequence[Case], limits: Thresholds | None = None) -> list[Outcome]:
    """Their outcomes, in the order of the cases; like lengths share a batch, kind and language as in a recording."""
    order = sorted(range(len(cases)), key=lambda at: (*_recording(cases[at]), -cases[at].chunk.clock.duration_s, at))
    groups: list[list[int]] = []
    for at in order:
        if not groups or len(groups[-1]) == BATCH or _recording(cases[groups[-1][0]]) != _recording(cases[at]):
            groups.append([])
        groups[-1].append(at)
    with ThreadPoolExecutor(decoder.plan.workers) as pool:
        done = pool.map(lambda group: _batch(decoder, [cases[at] for at in group], limits), groups)
    outcomes = {
        at: outcome for group, batch in zip(groups, done, strict=True) for at, outcome in zip(group, batch, strict=True)
    }
    return [outcomes[at] for at in range(len(cases))]


def seconds(decoder: Decoder, cases: Sequence[Case], limits: Thresholds | None) -> float:
    """Of CPU for all of them, whatever else the machine does."""
    began = time.process_time()
    run(decoder, cases, limits)
    return time.process_time() - began


def _recording(case: Case) -> tuple[str, str]:
    return case.kind, case.language


def _batch(decoder: Decoder, cases: Sequence[Case], limits: Thresholds | None) -> list[Outcome]:
    """As in a recording whose language was detected: so the gate may doubt it."""
    options = TranscribeOptions(language=None)
    task = Task(options, cases[0].language, (), threading.Event(), limits=limits or decoder.limits)
    spoiled: Any = SpoiledWhisper(decoder.whisper, cases)
    tried = attempts_at(spoiled, [case.chunk for case in cases], task)
    return [Outcome(case, tuple(takes)) for case, takes in zip(cases, tried, strict=True)]
