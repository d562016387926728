"""Speed side by side: what is run by default, in full, and quickly; the table; the goals that were set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.asr import plot, reach
from bench.asr.contest import (
    FALLING_BACK,
    INSTALLED,
    OURS,
    SEQUENTIAL,
    TUNED,
    Bench,
    Entry,
    Outcome,
    Results,
    compete,
    described,
    serve,
)
from bench.asr.recordings import Recordings
from bench.asr.report import Grid, Part
from bench.asr.texts import edits, tokens_of
from bench.report import Narrator
from bench.words import words_of

#: Seconds; ``SHORT_S`` holds the four chunks from which on the work is shared out as in any long file.
CLIP_S, BRIEF_S, SHORT_S, QUICK_S = 10, 60, 100, 22
HOUR = 6
_HEADINGS = (
    "whole process, or model loaded",
    "wall s",
    "low–high",
    "CPU s",
    "peak MB",
    "faults",
    "first text s",
    "words off",
    "tokens apart",
    "retried",
    "runs",
)


@dataclass(frozen=True)
class Scope:
    """How much is measured."""

    quick: bool = False
    full: bool = False
    goals: bool = False
    hour: bool = False


def entries_for(scope: Scope, recordings: Recordings) -> list[Entry]:
    """Everything the goals speak of, five times; the rest less often."""
    if scope.quick:
        short = recordings.piece(QUICK_S)
        once = [Entry(OURS, short, 1), Entry(INSTALLED, short, 1), Entry(OURS, short, 1, timed=True)]
        return [*once, Entry(OURS, short, 1, loop=True)]
    if scope.goals:
        return _goals(recordings)
    slow = recordings.whole if scope.full else recordings.piece(SHORT_S)
    entries = [*_processes(recordings, slow, scope), *_loops(recordings, slow, scope)]
    if scope.hour:
        entries += [Entry(contestant, recordings.repeated(HOUR), 1) for contestant in (OURS, INSTALLED, TUNED)]
    return list(dict.fromkeys(entries))


def _goals(recordings: Recordings) -> list[Entry]:
    """What the goals speak of and no more, so that ten minutes of audio are affordable five times."""
    whole, clip = recordings.whole, recordings.piece(CLIP_S)
    pairs = [Entry(contestant, whole, 5, timed=timed) for timed in (False, True) for contestant in (OURS, INSTALLED)]
    beams = [Entry(contestant, whole, 5, beam=5) for contestant in (OURS, INSTALLED)]
    sequential = [Entry(SEQUENTIAL, whole, 5), Entry(FALLING_BACK, whole, 1)]
    return [*pairs, *beams, *sequential, Entry(OURS, clip, 5), Entry(SEQUENTIAL, clip, 5)]


def _processes(recordings: Recordings, slow: Any, scope: Scope) -> list[Entry]:
    whole, clip = recordings.whole, recordings.piece(CLIP_S)
    return [
        Entry(OURS, whole, 5),
        Entry(INSTALLED, whole, 5),
        Entry(TUNED, whole, 5 if scope.full else 1),
        Entry(OURS, slow, 5),
        Entry(SEQUENTIAL, slow, 5),
        Entry(OURS, slow, 5, timed=True),
        Entry(INSTALLED, slow, 5, timed=True),
        Entry(OURS, slow, 5, beam=5),
        Entry(INSTALLED, slow, 5, beam=5),
        Entry(SEQUENTIAL, slow if scope.full else recordings.piece(BRIEF_S), 1, beam=5),
        Entry(OURS, clip, 5),
        Entry(SEQUENTIAL, clip, 5),
        Entry(INSTALLED, clip, 5 if scope.full else 1),
        *([Entry(TUNED, slow, 3, beam=5), Entry(TUNED, slow, 3, timed=True)] if scope.full else []),
        *([Entry(FALLING_BACK, whole, 1)] if scope.full else []),
    ]


def _loops(recordings: Recordings, slow: Any, scope: Scope) -> list[Entry]:
    clip = recordings.piece(CLIP_S)
    clips = [Entry(contestant, clip, 5, loop=True) for contestant in (OURS, SEQUENTIAL, INSTALLED, TUNED)]
    rounds, longer = (5, slow) if scope.full else (3, recordings.piece(BRIEF_S))
    others = [Entry(contestant, longer, rounds, loop=True) for contestant in (OURS, INSTALLED, TUNED)]
    return [*clips, *others, *([] if scope.full else [Entry(OURS, recordings.whole, 1, loop=True)])]


def measure(scope: Scope, recordings: Recordings, bench: Bench, narrator: Narrator) -> list[Part]:
    """The table of all entries, and the goals held against it."""
    entries = entries_for(scope, recordings)
    loads = _loads(1 if scope.quick else 5, bench, narrator)
    results = compete(entries, bench, narrator)
    return [table_of(results, bench), reach.part(results, loads)]


def _loads(runs: int, bench: Bench, narrator: Narrator) -> list[float]:
    """Seconds from the start of our worker to a loaded model, each time in a new one."""
    loads = []
    for _ in range(runs):
        with serve(OURS, bench) as server:
            loads.append(float(server.ready["load_s"]))
    narrator.say(f"worker import and model load: {', '.join(f'{load:.2f}' for load in loads)} s")
    return loads


def table_of(results: Results, bench: Bench) -> Part:
    """A row for every entry."""
    compared = _Compared(bench)
    rows = [
        row_of(entry, [outcome for _, outcome in runs], compared(entry, results)) for entry, runs in results.items()
    ]
    return Part(
        "Speed: base, int8, CPU, greedy unless it says beam",
        Grid(_HEADINGS, tuple(rows)),
        notes=_NOTES,
        data={"measurements": [_as_dict(entry, runs) for entry, runs in results.items()]},
        svg=plot.bars(results),
    )


_NOTES = (
    "Whole process: from before it starts until after it has ended; ours through the command line with txt, or srt "
    "where it says word times. Model loaded: one file through a process that keeps its model. Medians; low–high are "
    "the extremes.",
    "First text: from the file's handing over to a loaded model until text is there: of the first finished batch "
    "(ours, seen only with the model loaded), of the first segment (faster-whisper).",
    "Words off: percent, against what is said. Nobody's quality: the Swedish is espeak-ng's, which a base model can't "
    "follow; it shows whether speed was bought with words. Tokens apart: percent, from faster-whisper batched 8.",
    "Retried: share of the chunks that the gate had decoded again. Faults: pages that the kernel handed out, in "
    "thousands.",
)


@dataclass(frozen=True)
class Distance:
    """How far a text is from others, in percent; None where there is nothing to hold it against."""

    words_off: float | None
    tokens_apart: float | None


class _Compared:
    """Texts against what is said and against faster-whisper's; equal pairs are compared once."""

    def __init__(self, bench: Bench) -> None:
        self._directory = bench.model_directory
        self._known: dict[tuple[str, str, bool], float] = {}

    def __call__(self, entry: Entry, results: Results) -> Distance:
        text = results[entry][-1][1].text
        spoken, theirs = entry.recording.spoken, self._their_text(entry, results)
        return Distance(
            self._percent(spoken, text, tokens=False) if spoken else None,
            self._percent(theirs, text, tokens=True) if theirs else None,
        )

    def _their_text(self, entry: Entry, results: Results) -> str:
        """Batched 8 on the same audio, with the same beam if it ran with that."""
        texts = {
            other.beam: runs[-1][1].text
            for other, runs in results.items()
            if other.contestant is INSTALLED and other.recording == entry.recording and not other.timed
        }
        return texts.get(entry.beam, texts.get(1, ""))

    def _percent(self, expected: str, heard: str, *, tokens: bool) -> float:
        key = (expected, heard, tokens)
        if key not in self._known:
            split: Callable[[str], Sequence[Any]] = self._tokens if tokens else words_of
            wanted = split(expected)
            self._known[key] = 100 * edits(wanted, split(heard)) / max(1, len(wanted))
        return self._known[key]

    def _tokens(self, text: str) -> list[int]:
        return tokens_of(text, self._directory)


def row_of(entry: Entry, outcomes: Sequence[Outcome], distance: Distance) -> tuple[str, ...]:
    walls = [outcome.usage.wall_s for outcome in outcomes]
    return (
        described(entry),
        f"{median(walls):.2f}",
        f"{min(walls):.2f}–{max(walls):.2f}",
        f"{median(outcome.usage.cpu_s for outcome in outcomes):.1f}",
        _shown([outcome.usage.peak_mb for outcome in outcomes], "{:.0f}"),
        f"{median(outcome.usage.page_faults for outcome in outcomes) / 1000:,.0f} k",
        _shown([outcome.first_text_s for outcome in outcomes], "{:.2f}"),
        _shown([distance.words_off], "{:.1f}"),
        _shown([distance.tokens_apart], "{:.1f}"),
        _shown([outcome.retried for outcome in outcomes], "{:.0%}"),
        f"{len(outcomes)}" + ("" if len(outcomes) >= 5 else " (few)"),
    )


def _shown(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return form.format(median(known)) if known else "–"


def _as_dict(entry: Entry, runs: Sequence[tuple[int, Outcome]]) -> dict[str, Any]:
    return {
        "name": described(entry),
        "contestant": entry.contestant.name,
        "audio_s": round(entry.recording.duration_s, 2),
        "beam": entry.beam,
        "word_times": entry.timed,
        "model_loaded": entry.loop,
        "runs": [
            {
                "round": number,
                "wall_s": outcome.usage.wall_s,
                "cpu_s": outcome.usage.cpu_s,
                "peak_mb": outcome.usage.peak_mb,
                "page_faults": outcome.usage.page_faults,
                "first_text_s": outcome.first_text_s,
                "retried": outcome.retried,
            }
            for number, outcome in runs
        ],
    }
