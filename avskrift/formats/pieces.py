"""The words of a transcript as cues need them: clean, in order, with whole milliseconds that never run backwards.

What holds whatever comes in: every visible character of every segment's text is in exactly one piece, in the order of
the text; times are finite, within the recording, and neither starts nor ends ever decrease. Where a segment's text and
its words differ, the text wins, and what was not aligned gets its time from its neighbours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from avskrift.formats.plain_text import is_wide, plain
from avskrift.languages import primary_language
from avskrift.transcript import Segment, Transcript

#: How far words may lie outside their segment before they are taken for misplaced.
_MISPLACED_S = 1.0
#: 10,000 hours: a time beyond is no time of a recording, and no subtitle format could show it.
LATEST_S = 36_000_000.0
#: How far ahead in the text a word is looked for, beyond its own length: more than that is another word.
SEARCH_CHARACTERS = 40
#: Where others speak at the same time, a segment can be interrupted after punctuation or such a pause.
_BREATH_MS = 300
_PUNCTUATION = (",", ".", "!", "?", "…", ":", ";", "।", "。", "，", "、", "！", "？")
_CLOSING = "、。，．！？：；）」』】〉》”’…々ー"


class Piece(NamedTuple):
    """A word as it is shown: no spaces in it, with its punctuation."""

    start_ms: int
    end_ms: int
    text: str
    spaced: bool
    """Whether a space follows."""
    ends_segment: bool
    speaker: str | None
    language: str
    said_ms: int | None = None
    """When it is said, where ``start_ms`` is later because another spoke first."""


class _Timed(NamedTuple):
    """Text with its time in seconds, as it came; without one where it was not aligned."""

    text: str
    spaced: bool
    start_s: float = math.nan
    end_s: float = math.nan


@dataclass(frozen=True)
class _Run:
    """Words said without another coming in, times in milliseconds that never decrease."""

    start_ms: int
    end_ms: int
    pieces: Sequence[Piece]


def to_ms(seconds: float) -> int:
    """The one rounding: whole milliseconds carry by themselves, 59.9996 s is 60000; never negative."""
    return round(min(max(seconds, 0.0), LATEST_S) * 1000)


def text_of(segment: Segment) -> str:
    """What a segment says, as one clean line: its text, or that of its words where it has none."""
    return plain(segment.text) or plain(" ".join(word.text for word in segment.words))


def pieces_of(transcript: Transcript) -> list[Piece]:
    """Every word of the transcript, in the order in which it is to be read."""
    runs = _by_start(_run(segment, transcript) for segment in transcript.segments)
    limit_ms = recording_ms(transcript)
    pieces: list[Piece] = []
    earliest_ms = spoken_ms = 0
    for run in _interleaved(runs):
        first = run.pieces[0]
        if first.start_ms >= earliest_ms and first.end_ms >= spoken_ms and run.end_ms <= limit_ms:
            pieces += run.pieces
            earliest_ms, spoken_ms = run.pieces[-1].start_ms, run.end_ms
            continue
        for piece in run.pieces:
            start_ms, end_ms = piece.start_ms, piece.end_ms
            if start_ms < earliest_ms or end_ms < spoken_ms or end_ms > limit_ms:
                start_ms = max(earliest_ms, min(start_ms, limit_ms))
                end_ms = max(spoken_ms, start_ms, min(end_ms, limit_ms))
                piece = piece._replace(start_ms=start_ms, end_ms=end_ms, said_ms=piece.start_ms)  # noqa: PLW2901
            pieces.append(piece)
            earliest_ms, spoken_ms = start_ms, end_ms
    return pieces


def recording_ms(transcript: Transcript) -> int:
    """How long the recording is: where nobody knows, as long as its last word."""
    if math.isfinite(transcript.duration_s) and transcript.duration_s > 0:
        return to_ms(transcript.duration_s)
    ends = [word.end_s for segment in transcript.segments for word in segment.words]
    ends += [segment.end_s for segment in transcript.segments]
    return max((to_ms(end_s) for end_s in ends if math.isfinite(end_s)), default=0)


def _by_start(runs: Iterable[_Run]) -> list[_Run]:
    return sorted((run for run in runs if run.pieces), key=lambda run: run.start_ms)


def _interleaved(runs: list[_Run]) -> list[_Run]:
    """Where two speak at once, each comes in where the other breathes, so that nobody is shown much too late."""
    overlapping: set[int] = set()
    longest = 0
    for position in range(1, len(runs)):
        if runs[position].start_ms < runs[longest].end_ms and _two_speak(runs[position], runs[longest]):
            overlapping |= {position, longest}
        if runs[position].end_ms > runs[longest].end_ms:
            longest = position
    if not overlapping:
        return runs
    return _by_start(
        part for position, run in enumerate(runs) for part in (_phrases(run) if position in overlapping else (run,))
    )


def _two_speak(one: _Run, other: _Run) -> bool:
    return one.pieces[0].speaker != other.pieces[0].speaker


def _phrases(run: _Run) -> Iterator[_Run]:
    pieces, begin = run.pieces, 0
    for end in range(1, len(pieces) + 1):
        last = end == len(pieces)
        if last or pieces[end - 1].text.endswith(_PUNCTUATION) or _breathes(pieces[end - 1], pieces[end]):
            phrase = pieces[begin:end]
            yield _Run(phrase[0].start_ms, phrase[-1].end_ms, phrase)
            begin = end


def _breathes(left: Piece, right: Piece) -> bool:
    return right.start_ms - left.end_ms >= _BREATH_MS


def _run(segment: Segment, transcript: Transcript) -> _Run:
    language = _language(segment, transcript)
    pieces = _as_they_are(segment, language) or _mended(segment, language)
    return _Run(pieces[0].start_ms, pieces[-1].end_ms, pieces) if pieces else _Run(0, 0, pieces)


def _as_they_are(segment: Segment, language: str) -> list[Piece] | None:
    """The words of a segment that needs no mending, as nearly all do; None for any other."""
    text, speaker = plain(segment.text), segment.speaker
    earliest_s, latest_s = _bounds(segment)
    pieces: list[Piece] = []
    position, start_s, end_s = 0, max(earliest_s, 0.0), 0.0
    for word in segment.words:
        token = word.text
        reached = position + len(token)
        spaced = text[reached : reached + 1] == " "
        if text[position:reached] != token or not token or " " in token:
            return None
        if not (start_s <= word.start_s <= word.end_s <= latest_s and end_s <= word.end_s):
            return None
        start_s, end_s, position = word.start_s, word.end_s, reached + spaced
        last = reached == len(text)
        pieces.append(Piece(round(start_s * 1000), round(end_s * 1000), token, spaced or last, last, speaker, language))
    return pieces if position == len(text) else None


def _mended(segment: Segment, language: str) -> list[Piece]:
    """Of a segment whose words and text differ, or whose times cannot be right."""
    timed = list(_tokens(_timed(segment)))
    starts, ends = _times(timed, segment)
    last = len(timed) - 1
    return [
        Piece(
            start_ms, end_ms, token.text, token.spaced or position == last, position == last, segment.speaker, language
        )
        for position, (token, start_ms, end_ms) in enumerate(zip(timed, starts, ends, strict=True))
    ]


def _language(segment: Segment, transcript: Transcript) -> str:
    """Of the text: a translation is English whatever is spoken."""
    if transcript.engine.get("task") == "translate":
        return "en"
    return primary_language(segment.language or transcript.language)


def _timed(segment: Segment) -> list[_Timed]:
    """The whole text, cut where words are known to lie in it."""
    text = text_of(segment)
    words = [(plain(word.text), word.start_s, word.end_s) for word in segment.words]
    found: list[_Timed] = []
    position = 0
    for word, start_s, end_s in words:
        at = text.find(word, position, position + len(word) + SEARCH_CHARACTERS) if word else -1
        if at < 0:
            continue
        at = _between(found, text, position, at)
        position = text.index(word, at) + len(word)
        found.append(_Timed(text[at:position], text[position : position + 1] == " ", start_s, end_s))
    _between(found, text, position, len(text))
    return found


def _between(found: list[_Timed], text: str, begin: int, end: int) -> int:
    """Give the text between two words to the one it touches, or to itself; returns where the next word begins."""
    between = text[begin:end]
    if between in ("", " "):
        return end
    behind, _, _ = between.partition(" ")
    if behind and found:
        found[-1] = found[-1]._replace(text=found[-1].text + behind, spaced=" " in between)
        between = between[len(behind) :]
    closes = end == len(text)
    before = "" if closes else between.rpartition(" ")[2]
    rest = between[: len(between) - len(before)].strip()
    if rest:
        found.append(_Timed(rest, not closes))
    return end - len(before)


def _tokens(timed: Iterable[_Timed]) -> Iterator[_Timed]:
    """Without spaces within; what was not aligned is cut further where its script is written without spaces."""
    for part in timed:
        if " " in part.text or (math.isnan(part.start_s) and not part.text.isascii()):
            yield from _split(part)
        else:
            yield part


def _split(part: _Timed) -> Iterator[_Timed]:
    texts: list[tuple[str, bool]] = []
    for word in part.text.split(" "):
        tokens = _cut_wide().findall(word) if any(map(is_wide, word)) else [word]
        texts += [(token, False) for token in tokens[:-1]]
        texts.append((tokens[-1], True))
    texts[-1] = (texts[-1][0], part.spaced)
    total = sum(len(text) for text, _ in texts)
    passed, length_s = 0, part.end_s - part.start_s
    for text, spaced in texts:
        start_s = part.start_s + length_s * passed / total
        passed += len(text)
        yield _Timed(text, spaced, start_s, part.start_s + length_s * passed / total)


@cache
def _cut_wide() -> re.Pattern[str]:
    """A wide character with the closing punctuation that may not begin a line, or anything else up to the next one."""
    wide = "⺀-鿿가-힯豈-﫿＀-｠𠀀-𯿿"
    return re.compile(rf"[{wide}][{_CLOSING}]*|[^{wide}]+")


def _times(timed: Sequence[_Timed], segment: Segment) -> tuple[list[int], list[int]]:
    """Starts and ends in milliseconds: finite, within the segment, in order; gaps filled by length of text."""
    lowest, highest = _bounds(segment)
    starts = [_clamped(token.start_s, lowest, highest) for token in timed]
    ends = [_clamped(token.end_s, lowest, highest) for token in timed]
    if None in starts or None in ends:
        starts, ends = _filled(starts, ends, timed, segment)
    known_starts, known_ends = [at for at in starts if at is not None], [at for at in ends if at is not None]
    if any(left > right for left, right in pairwise(known_starts)):
        known_starts.sort()
    reached = 0
    for position, end_ms in enumerate(known_ends):
        reached = known_ends[position] = max(reached, end_ms, known_starts[position])
    return known_starts, known_ends


def _bounds(segment: Segment) -> tuple[float, float]:
    if segment.end_s > segment.start_s and math.isfinite(segment.end_s - segment.start_s):
        return segment.start_s - _MISPLACED_S, min(segment.end_s + _MISPLACED_S, LATEST_S)
    return 0.0, LATEST_S


def _clamped(seconds: float, lowest: float, highest: float) -> int | None:
    if not math.isfinite(seconds):
        return None
    return to_ms(min(max(seconds, lowest), highest))


def _filled(
    starts: list[int | None], ends: list[int | None], timed: Sequence[_Timed], segment: Segment
) -> tuple[list[int | None], list[int | None]]:
    """Runs of words without a time share what lies between their neighbours, by length of text."""
    begin = 0
    reached = to_ms(segment.start_s) if math.isfinite(segment.start_s) else 0
    while begin < len(timed):
        if starts[begin] is not None and ends[begin] is not None:
            reached = max(reached, ends[begin] or 0)
            begin += 1
            continue
        stop = begin
        while stop < len(timed) and (starts[stop] is None or ends[stop] is None):
            stop += 1
        last = to_ms(segment.end_s) if math.isfinite(segment.end_s) else reached
        until = max(reached, starts[stop] or 0) if stop < len(timed) else max(reached, last)
        total, passed = sum(len(token.text) + 1 for token in timed[begin:stop]), 0
        for position in range(begin, stop):
            starts[position] = reached + (until - reached) * passed // total
            passed += len(timed[position].text) + 1
            ends[position] = reached + (until - reached) * passed // total
        begin, reached = stop, until
    return starts, ends
