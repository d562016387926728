"""Segments of a file brought into the order that a transcript has: sorted, none over the next of the same speaker.

Text is never touched and never lost: only times are mended, and where they say nothing, words give theirs up, so that
the text is spread over its segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeGuard

from avskrift.formats.pieces import LATEST_S
from avskrift.formats.readers.repairs import Repairs
from avskrift.transcript import Segment, Word

TOLERANCE_S = 0.0015
"""Files carry milliseconds: what overlaps by one has only been rounded."""

_NUMBERS = (float, int)


@dataclass(frozen=True)
class Span:
    """A start and an end in seconds."""

    start_s: float
    end_s: float


def is_time(value: object) -> TypeGuard[float]:
    """Whether a value can be a time in seconds; NaN, infinities and ``True`` can't."""
    return is_number(value) and -LATEST_S <= value <= LATEST_S


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a JSON is a number; ``True`` is none."""
    return type(value) in _NUMBERS


def mended(segments: Sequence[Segment], repairs: Repairs) -> tuple[Segment, ...]:
    """The same segments in order, with what had to be moved counted in ``repairs``.

    Expects usable times (``is_time``). Those of different speakers may overlap: people do talk at once.
    """
    whole = [_with_words_mended(_within_time(segment, repairs), repairs) for segment in segments]
    ordered = sorted(whole, key=lambda segment: segment.start_s)
    repairs.count(
        "segment", "out of order: sorted by their start", _count_backward(segment.start_s for segment in whole)
    )
    return tuple(_apart(ordered, repairs))


def span_of(words: Iterable[Word]) -> Span | None:
    """From the first word to the last; None without any."""
    words = list(words)
    if not words:
        return None
    return Span(min(word.start_s for word in words), max(max(word.start_s, word.end_s) for word in words))


def _count_backward(starts_s: Iterable[float]) -> int:
    return sum(after < before for before, after in pairwise(starts_s))


def _within_time(segment: Segment, repairs: Repairs) -> Segment:
    """No time before the recording begins, no end before the start."""
    start_s, end_s = segment.start_s, segment.end_s
    if end_s < start_s:
        repairs.count("segment", "with the end before the start: the two were exchanged")
        start_s, end_s = end_s, start_s
    if start_s < 0:
        repairs.count("segment", "starting before the recording: moved to its beginning")
        start_s, end_s = 0.0, max(0.0, end_s)
    if (start_s, end_s) == (segment.start_s, segment.end_s):
        return segment
    return replace(segment, start_s=start_s, end_s=end_s)


def _with_words_mended(segment: Segment, repairs: Repairs) -> Segment:
    words = segment.words
    if _words_hold(segment):
        return segment
    backward = _count_backward(word.start_s for word in words)
    if backward:
        repairs.count("word", "out of order: sorted by their start", backward)
        words = tuple(sorted(words, key=lambda word: word.start_s))
    words = _inside(words, segment, repairs)
    return replace(segment, words=_one_after_the_other(words, repairs))


def _words_hold(segment: Segment) -> bool:
    """The usual case, told at once: in order, within the segment, none over the next."""
    at_s = segment.start_s - TOLERANCE_S
    for word in segment.words:
        if word.start_s < at_s or word.end_s < word.start_s:
            return False
        at_s = max(word.start_s, word.end_s - TOLERANCE_S)
    return not segment.words or at_s <= segment.end_s


def _inside(words: Iterable[Word], segment: Segment, repairs: Repairs) -> tuple[Word, ...]:
    inside = []
    for word in words:
        start_s = min(max(word.start_s, segment.start_s), segment.end_s)
        end_s = min(max(word.end_s, start_s), segment.end_s)
        if max(abs(start_s - word.start_s), abs(end_s - word.end_s)) > TOLERANCE_S:
            repairs.count("word", "outside of the segment, or ending before it starts: moved inside")
        inside.append(replace(word, start_s=start_s, end_s=end_s))
    return tuple(inside)


def _one_after_the_other(words: Sequence[Word], repairs: Repairs) -> tuple[Word, ...]:
    apart = list(words)
    for at, (word, following) in enumerate(pairwise(words)):
        if word.end_s > following.start_s:
            if word.end_s - following.start_s > TOLERANCE_S:
                repairs.count("word", "reaching into the next: cut where that begins")
            apart[at] = replace(word, end_s=max(word.start_s, following.start_s))
    return tuple(apart)


def _apart(segments: Iterable[Segment], repairs: Repairs) -> list[Segment]:
    """Each cut where the next of the same speaker begins. Their order by start stays."""
    apart: list[Segment] = []
    last_of: dict[str | None, int] = {}
    for segment in segments:
        place = last_of.get(segment.speaker)
        if place is not None and apart[place].end_s - segment.start_s > TOLERANCE_S:
            repairs.count("segment", "reaching into the next of the same speaker: cut where that begins")
            apart[place] = _ending_at(apart[place], segment.start_s)
        last_of[segment.speaker] = len(apart)
        apart.append(segment)
    return apart


def _ending_at(segment: Segment, end_s: float) -> Segment:
    words = tuple(
        replace(word, start_s=min(word.start_s, end_s), end_s=min(word.end_s, end_s)) for word in segment.words
    )
    return replace(segment, end_s=end_s, words=words)
