"""Which words of a cue are marked while, for subtitles that follow the voice.

A cue becomes moments that follow one another without a gap and fill it to the millisecond, each with its whole text: no
player lets the text flicker, and what holds for cues (order, no overlap, length) holds for moments.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from avskrift.formats.cues import Cue, Fragment, Line

#: A mark that moves faster is seen as a flicker only.
MIN_MOMENT_MS = 100

#: A word in its cue, ``(line, fragment)``; its time, start and end in milliseconds.
Position = tuple[int, int]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Run:
    """Text of a line that is marked, or is not."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as it is written."""

    runs: tuple[Run, ...]
    speaker: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a subtitle file shows from ``start_ms`` until before ``end_ms``: a cue, or a moment of one."""

    start_ms: int
    end_ms: int
    lines: tuple[ShownLine, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a cue, and the words marked in it."""

    start_ms: int
    end_ms: int
    marked: frozenset[Position]


def shown(cues: Iterable[Cue], highlight_words: bool, min_moment_ms: int = MIN_MOMENT_MS) -> Iterator[Shown]:
    """The cues, each whole or in moments that mark its words."""
    for cue in cues:
        if highlight_words:
            for moment in moments(cue, min_moment_ms):
                lines = tuple(_marked_line(number, line, moment) for number, line in enumerate(cue.lines))
                yield Shown(moment.start_ms, moment.end_ms, lines)
        else:
            lines = tuple(ShownLine((Run(line.text),), line.speaker) for line in cue.lines)
            yield Shown(cue.start_ms, cue.end_ms, lines)


def moments(cue: Cue, min_moment_ms: int = MIN_MOMENT_MS) -> list[Moment]:
    """The cue cut where words begin and end.

    Every word is marked in one moment at least; two that are spoken at once, or faster than a mark may move, together.
    """
    spans = spoken_spans(cue, min_moment_ms)
    bounds = _bounds(cue, spans, min_moment_ms)
    marked: list[set[Position]] = [set() for _ in bounds[1:]]
    for position, (start_ms, end_ms) in spans.items():
        for index in _moments_of(start_ms, end_ms, bounds):
            marked[index].add(position)
    return _joined([Moment(*ends, frozenset(words)) for ends, words in zip(pairwise(bounds), marked, strict=True)])


def spoken_spans(cue: Cue, min_pause_ms: int = MIN_MOMENT_MS) -> dict[Position, Span]:
    """When each word of a cue is marked, 1 ms at least: a word may have no length, or be shown a little late.

    A shorter pause belongs to the word before, the one at the cue's beginning to the first word.
    """
    spans = {
        (row, column): _within(cue, fragment)
        for row, line in enumerate(cue.lines)
        for column, fragment in enumerate(line.fragments)
        if fragment.text.strip()
    }
    starts = sorted(start_ms for start_ms, _ in spans.values())
    return {position: _bridged(span, starts, cue, min_pause_ms) for position, span in spans.items()}


def _within(cue: Cue, fragment: Fragment) -> Span:
    start_ms = min(max(fragment.start_ms, cue.start_ms), cue.end_ms - 1)
    return start_ms, max(min(fragment.end_ms, cue.end_ms), start_ms + 1)


def _bridged(span: Span, starts: list[int], cue: Cue, min_pause_ms: int) -> Span:
    start_ms, end_ms = span
    is_first = start_ms == starts[0] and start_ms - cue.start_ms < min_pause_ms
    following = bisect_left(starts, end_ms)
    pause_follows = following < len(starts) and starts[following] - end_ms < min_pause_ms
    return cue.start_ms if is_first else start_ms, starts[following] if pause_follows else end_ms


def _bounds(cue: Cue, spans: dict[Position, Span], min_moment_ms: int) -> list[int]:
    """Where moments begin, and the end of the last: never closer than a mark may move. One that comes too early is put
    off by half of that at most, or left out."""
    bounds = [cue.start_ms]
    for bound in sorted({bound for span in spans.values() for bound in span}):
        seen_ms = max(bound, bounds[-1] + min_moment_ms)
        if seen_ms - bound <= min_moment_ms // 2 and cue.end_ms - seen_ms >= min_moment_ms:
            bounds.append(seen_ms)
    return [*bounds, cue.end_ms]


def _moments_of(start_ms: int, end_ms: int, bounds: list[int]) -> list[int]:
    """The moments that a word fills, or that lie in it, by half at least; else the one that has most of it."""
    overlaps = {}
    for index in range(bisect_right(bounds, start_ms) - 1, bisect_left(bounds, end_ms)):
        left, right = bounds[index], bounds[index + 1]
        overlap = min(right, end_ms) - max(left, start_ms)
        overlaps[index] = overlap / min(right - left, end_ms - start_ms)
    filled = [index for index, share in overlaps.items() if share > 0.5]
    return filled or [max(overlaps, key=lambda index: overlaps[index])]


def _joined(parts: list[Moment]) -> list[Moment]:
    """Neighbours in which the same is marked as one."""
    joined = parts[:1]
    for part in parts[1:]:
        if part.marked == joined[-1].marked:
            joined[-1] = Moment(joined[-1].start_ms, part.end_ms, part.marked)
        else:
            joined.append(part)
    return joined


def _marked_line(number: int, line: Line, moment: Moment) -> ShownLine:
    runs: list[Run] = []
    plain = ""
    for column, fragment in enumerate(line.fragments):
        if (number, column) in moment.marked:
            word = fragment.text.strip()
            before, _, after = fragment.text.partition(word)
            if plain + before:
                runs.append(Run(plain + before))
            runs.append(Run(word, marked=True))
            plain = after
        else:
            plain += fragment.text
    return ShownLine((*runs, Run(plain)) if plain else tuple(runs), line.speaker)
