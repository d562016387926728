"""Subtitle cues made from words, in one place for all subtitle formats.

What holds for any transcript: cues are in order and never overlap, last at least 1 ms and at most ``MAX_CUE_S``, reach
over no silence above ``MAX_SILENCE_S``, stay within the recording, and together carry every word. Times are rounded
once, here, to whole milliseconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from avskrift.formats.presets import CueRules
from avskrift.transcript import Segment, Transcript

MAX_CUE_S = 7.0
MAX_SILENCE_S = 1.0
MAX_LINE_CHARACTERS = 42
MAX_CUE_CHARACTERS = 2 * MAX_LINE_CHARACTERS

#: A cue shorter than this stays a little longer, if nothing follows.
READABLE_S = 0.833
MAX_LINGER_S = 0.5

_STRONG_PUNCTUATION = (".", "!", "?", "…", ":", ";", "。", "！", "？")
_WEAK_PUNCTUATION = (",", "–", "，", "、")
#: What a cut costs, in shares of the text by which it misses the middle.
_CUT_COST_STRONG, _CUT_COST_WEAK, _CUT_COST_BETWEEN_WORDS = 0.0, 0.1, 0.3


@dataclass(frozen=True, slots=True)
class Fragment:
    """A spoken word as it is shown: its time, and its text up to the next word of the line."""

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


@dataclass(frozen=True)
class _Piece:
    """A word as cues need it: its times, and the text up to the next word, so that any script is spaced as it was."""

    start_s: float
    end_s: float
    text: str


def build_cues(transcript: Transcript, rules: CueRules) -> list[Cue]:
    """The cues of a transcript. Segments without words are spread over their time by length of text."""
    drafts: list[Cue] = []
    for segment in sorted(transcript.segments, key=lambda segment: segment.start_s):
        for group in _groups(_pieces(segment)):
            if any(piece.text.strip() for piece in group):
                start_ms, end_ms = to_ms(group[0].start_s), to_ms(max(piece.end_s for piece in group))
                drafts.append(Cue(start_ms, end_ms, _lines(group, segment.speaker)))
    return list(_in_order(sorted(drafts, key=lambda cue: cue.start_ms), to_ms(transcript.duration_s)))


def to_ms(seconds: float) -> int:
    """The one rounding: whole milliseconds carry by themselves, 59.9996 s is 60000."""
    return max(0, round(seconds * 1000))


def clock(ms: int, decimal_mark: str) -> str:
    """``HH:MM:SS,mmm`` or with a dot; hours grow beyond 99."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{ms:03d}"


def _pieces(segment: Segment) -> list[_Piece]:
    if not segment.words:
        return _spread(segment)
    pieces: list[_Piece] = []
    rest = _plain(segment.text)
    for word in segment.words:
        text = _plain(word.text)
        at = rest.find(text)
        if at > 0 and pieces:
            pieces[-1] = replace(pieces[-1], text=pieces[-1].text + rest[:at])
        elif at < 0 and pieces:
            pieces[-1] = replace(pieces[-1], text=pieces[-1].text + " ")
        pieces.append(_Piece(word.start_s, word.end_s, text))
        rest = rest[at + len(text) :] if at >= 0 else rest
    return pieces


def _spread(segment: Segment) -> list[_Piece]:
    """No words were aligned: each gets its share of the segment by its letters."""
    words = _plain(segment.text).split(" ")
    total = sum(len(word) + 1 for word in words)
    per_character_s = max(0.0, segment.end_s - segment.start_s) / total
    pieces: list[_Piece] = []
    at_s = segment.start_s
    for word in words:
        end_s = at_s + (len(word) + 1) * per_character_s
        pieces.append(_Piece(at_s, end_s, word + " "))
        at_s = end_s
    return pieces


def _plain(text: str) -> str:
    """One line without control characters: what remains can be written into any format."""
    printable = "".join(" " if character.isspace() else character for character in text)
    return " ".join("".join(c for c in printable if unicodedata.category(c) not in ("Cc", "Cs")).split())


def _groups(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    """The words of each cue: cut at silences first, then in halves until everything fits."""
    start = 0
    for position, (left, right) in enumerate(pairwise(pieces), 1):
        if right.start_s - left.end_s > MAX_SILENCE_S:
            yield from _halved(pieces[start:position])
            start = position
    if pieces:
        yield from _halved(pieces[start:])


def _halved(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    pending = [pieces]
    while pending:
        group = pending.pop()
        if len(group) == 1 or _fits(group):
            yield group
        else:
            cut = _best_cut([piece.text for piece in group])
            pending += [group[cut:], group[:cut]]


def _fits(pieces: Sequence[_Piece]) -> bool:
    lasts_s = max(piece.end_s for piece in pieces) - pieces[0].start_s
    return lasts_s <= MAX_CUE_S and sum(len(piece.text) for piece in pieces) <= MAX_CUE_CHARACTERS + 1


def _best_cut(texts: Sequence[str]) -> int:
    """Before which word to cut: near the middle, rather after punctuation."""
    total = sum(len(text) for text in texts)
    best, least, passed = 1, float("inf"), 0
    for position, text in enumerate(texts[:-1], 1):
        passed += len(text)
        cost = abs(2 * passed - total) / max(total, 1) + _cut_cost(text)
        if cost < least:
            best, least = position, cost
    return best


def _cut_cost(text: str) -> float:
    ending = text.rstrip()
    if ending.endswith(_STRONG_PUNCTUATION):
        return _CUT_COST_STRONG
    return _CUT_COST_WEAK if ending.endswith(_WEAK_PUNCTUATION) else _CUT_COST_BETWEEN_WORDS


def _lines(group: Sequence[_Piece], speaker: str | None) -> tuple[Line, ...]:
    """One line, or two of about the same length, the upper rather the shorter."""
    texts = [piece.text for piece in group]
    total = len("".join(texts).strip())
    ends = [len("".join(texts[:cut]).strip()) for cut in range(1, len(texts)) if texts[cut - 1].endswith(" ")]
    cuts = [cut for cut in range(1, len(texts)) if texts[cut - 1].endswith(" ")]
    if total <= MAX_LINE_CHARACTERS or not cuts:
        return (_line(group, speaker),)
    _, cut = min(zip(ends, cuts, strict=True), key=lambda each: (max(each[0], total - each[0] - 1), each[0]))
    return _line(group[:cut], speaker), _line(group[cut:], speaker)


def _line(group: Sequence[_Piece], speaker: str | None) -> Line:
    fragments = [Fragment(to_ms(piece.start_s), to_ms(piece.end_s), piece.text) for piece in group]
    fragments[-1] = replace(fragments[-1], text=fragments[-1].text.rstrip())
    return Line(tuple(fragments), speaker)


def _in_order(drafts: Iterable[Cue], duration_ms: int) -> Iterator[Cue]:
    """Cues made not to overlap, each long enough to exist, and lingering where there is room."""
    cues = list(drafts)
    previous_end_ms = 0
    for position, cue in enumerate(cues):
        start_ms = max(cue.start_ms, previous_end_ms)
        following_ms = cues[position + 1].start_ms if position + 1 < len(cues) else max(duration_ms, cue.end_ms)
        end_ms = min(cue.end_ms, start_ms + to_ms(MAX_CUE_S), max(following_ms, start_ms + 1))
        end_ms = max(end_ms, start_ms + 1)
        readable_ms = min(start_ms + to_ms(READABLE_S), end_ms + to_ms(MAX_LINGER_S), following_ms)
        previous_end_ms = max(end_ms, readable_ms)
        yield replace(cue, start_ms=start_ms, end_ms=previous_end_ms)
