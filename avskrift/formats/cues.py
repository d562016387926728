"""Subtitle cues made from words, in one place for all subtitle formats.

What holds for any transcript: cues are in order and never overlap, last at least a millisecond and at most as long as
the rules allow, reach over no silence of a second, stay within the recording, and together carry every word in its
order. Times are rounded once (``pieces.to_ms``). What cannot always be had (reading speed, minimum length, width,
good breaks) is weighed in one cost function (``cue_search``) and reported where it is missed (``check``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from avskrift.formats.cue_search import CueSearch, Span
from avskrift.formats.cue_timing import Spoken, times
from avskrift.formats.pieces import Piece, pieces_of, recording_ms
from avskrift.formats.plain_text import width
from avskrift.formats.presets import CueRules
from avskrift.transcript import Transcript

__all__ = ["Cue", "Fragment", "Line", "build_cues", "clock", "line_width"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A spoken word as it is shown: its time, within its cue's, and its text up to the next word of the line."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cue: what one speaker says. The fragments' texts, one after the other, are the line."""

    fragments: tuple[Fragment, ...]
    speaker: str | None = None

    @property
    def text(self) -> str:
        return "".join(fragment.text for fragment in self.fragments)


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from ``start_ms`` until before ``end_ms``."""

    start_ms: int
    end_ms: int
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


def build_cues(transcript: Transcript, rules: CueRules) -> list[Cue]:
    """The cues of a transcript. Segments without words are spread over their time by length of text."""
    pieces = pieces_of(transcript)
    search = CueSearch(pieces, rules)
    spans: list[Span] = []
    spoken: list[Spoken] = []
    for stretch, (begin, end) in enumerate(search.stretches()):
        for span in search.spans(begin, end):
            spans.append(span)
            first, last = pieces[span.begin], pieces[span.end - 1]
            spoken.append(Spoken(first.start_ms, last.end_ms, search.columns(span), stretch, first.said_ms))
    shown = times(spoken, rules, recording_ms(transcript))
    return [_cue(pieces, span, *at, rules.dash) for span, at in zip(spans, shown, strict=True)]


def clock(ms: int, decimal_mark: str) -> str:
    """``HH:MM:SS,mmm`` or with a dot; hours grow beyond 99."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{ms:03d}"


def line_width(line: Line) -> int:
    """Columns that a line takes on the screen."""
    return sum(width(fragment.text) for fragment in line.fragments)


def _cue(pieces: Sequence[Piece], span: Span, start_ms: int, end_ms: int, dash: str) -> Cue:
    bounds = (span.begin, *span.cuts, span.end)
    prefix = dash if span.dashes else ""
    lines = [_line(pieces[begin:end], start_ms, end_ms, prefix) for begin, end in pairwise(bounds)]
    return Cue(start_ms, end_ms, tuple(lines))


def _line(pieces: Sequence[Piece], start_ms: int, end_ms: int, prefix: str) -> Line:
    fragments = []
    last = len(pieces) - 1
    for position, (begins, ends, text, spaced, *_) in enumerate(pieces):
        if begins < start_ms or ends > end_ms:
            begins, ends = max(start_ms, min(begins, end_ms)), max(start_ms, min(ends, end_ms))  # noqa: PLW2901
        shown = text + " " if spaced and position < last else text
        fragments.append(Fragment(begins, ends, prefix + shown if position == 0 else shown))
    return Line(tuple(fragments), pieces[0].speaker)
