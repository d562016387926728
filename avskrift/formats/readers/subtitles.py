"""Cues of a subtitle file as a transcript: a segment for each, and for each speaker in it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from avskrift.errors import UnsupportedMedia
from avskrift.formats.pieces import LATEST_S
from avskrift.formats.readers.mending import mended
from avskrift.formats.readers.reading import Reading
from avskrift.formats.readers.repairs import Repairs
from avskrift.formats.readers.spoken import Text
from avskrift.transcript import UNKNOWN_MODEL, Segment, Speaker, Transcript, Word

_STAMP = r"(?:(\d{1,7}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIME_LINE = re.compile(rf"\s*{_STAMP}\s*-->\s*{_STAMP}(?:\s.*)?")
#: At the beginning of a text or of any line of it.
LIKE_A_TIME_LINE = re.compile(r"(?:^|[\r\n])[ \t]*-?\d+:[^\r\n]*-->")


@dataclass(frozen=True)
class ReadCue:
    """A cue as the file has it."""

    start_ms: int
    end_ms: int
    texts: tuple[Text, ...]

    @property
    def marks(self) -> set[tuple[int, int]]:
        """As the texts' own, of all of them in a row."""
        return {(before + start, before + end) for before, text in self._placed() for start, end in text.marks}

    @property
    def times_ms(self) -> dict[int, int]:
        """By place in all texts in a row."""
        return {before + place: at_ms for before, text in self._placed() for place, at_ms in text.times_ms}

    def _placed(self) -> Iterator[tuple[int, Text]]:
        before = 0
        for text in self.texts:
            yield before, text
            before += text.length


@dataclass(frozen=True)
class _Token:
    """A word, or a part of one that has a time of its own: its text among a cue's, and its place."""

    text: int
    place: int
    letters: str
    span_ms: tuple[int, int] = (0, 0)


def time_line(line: str, number: int) -> tuple[int, int] | None:
    """Start and end of a cue in milliseconds; None for a line that is none.

    Raises ``UnsupportedMedia`` with the line's number for one that should be and cannot be read.
    """
    found = _TIME_LINE.fullmatch(line)
    if found:
        return stamp_ms(found.groups()[:4], number), stamp_ms(found.groups()[4:], number)
    if LIKE_A_TIME_LINE.match(line):
        raise UnsupportedMedia(
            f"line {number}: {line.strip()[:60]!r} is no time line such as 00:00:01,000 --> 00:00:02,500."
        )
    return None


def stamp_ms(parts: Sequence[str | None], number: int) -> int:
    """Hours (or None), minutes, seconds and decimals of a time in milliseconds."""
    hours, minutes, seconds, decimals = parts
    whole_s = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    if whole_s >= LATEST_S:
        raise UnsupportedMedia(f"line {number}: {hours}:{minutes}:{seconds} is no time of a recording.")
    return whole_s * 1000 + int((decimals or "").ljust(3, "0"))


def reading(cues: Iterable[ReadCue], repairs: Repairs, language: str | None, model: str | None) -> Reading:
    """The transcript that cues come to. It lasts until the last of them ends, since no subtitle file says more."""
    runs = list(_runs_of_moments(_without_empty(cues, repairs)))
    names = dict.fromkeys(text.speaker for run in runs for text in run[0].texts if text.speaker)
    speakers = {name: Speaker(f"speaker-{number}", name) for number, name in enumerate(names, 1)}
    with_times = any(moment.times_ms for run in runs for moment in run)
    drafts = [segment for run in runs for segment in _segments(run, speakers, with_times)]
    segments = mended(drafts, repairs)
    transcript = Transcript(
        language=language,
        duration_s=max((segment.end_s for segment in segments), default=0.0),
        speech_s=round(sum(segment.end_s - segment.start_s for segment in segments), 3),
        model=model or UNKNOWN_MODEL,
        segments=segments,
        speakers=tuple(speakers.values()),
    )
    return Reading(transcript, repairs.sentences())


def _without_empty(cues: Iterable[ReadCue], repairs: Repairs) -> list[ReadCue]:
    kept = []
    for cue in cues:
        texts = tuple(text for text in cue.texts if text.words)
        if texts:
            kept.append(replace(cue, texts=texts))
        else:
            repairs.count("cue", "without text: left out")
    return kept


def _runs_of_moments(cues: list[ReadCue]) -> Iterator[list[ReadCue]]:
    """Each cue, or the moments of one: the same text without a gap while its marks move on, and none comes back."""
    run: list[ReadCue] = []
    passed: set[tuple[int, int]] = set()
    for cue in cues:
        if run and not (_follows(run[-1], cue) and passed.isdisjoint(cue.marks)):
            yield run
            run, passed = [], set()
        if run:
            passed |= run[-1].marks - cue.marks
        run.append(cue)
    if run:
        yield run


def _follows(cue: ReadCue, following: ReadCue) -> bool:
    same = [(text.words, text.speaker) for text in cue.texts] == [(t.words, t.speaker) for t in following.texts]
    return same and cue.end_ms == following.start_ms and cue.marks != following.marks


def _segments(moments: list[ReadCue], speakers: dict[str, Speaker], with_times: bool) -> Iterator[Segment]:
    """One for each speaker. Without word times they share the cue's time by length of text.

    ``with_times``: cues of the file have times within, so that a lone word without one is known to last as its cue.
    """
    cue = replace(moments[0], end_ms=moments[-1].end_ms)
    is_one_word = sum(len(text.words) for text in cue.texts) == 1
    tokens = _marked_tokens(cue, moments)
    if not tokens and (cue.times_ms or (with_times and is_one_word)):
        tokens = _timed_tokens(cue)
    tokens_of = {number: list(own) for number, own in groupby(tokens, key=lambda token: token.text)}
    shares = list(_shared([text.length for text in cue.texts], cue.start_ms, cue.end_ms))
    for number, (text, share) in enumerate(zip(cue.texts, shares, strict=True)):
        own = tokens_of.get(number, [])
        words = tuple(Word(token.span_ms[0] / 1000, token.span_ms[1] / 1000, token.letters) for token in own)
        start_ms, end_ms = share
        if own and len(cue.texts) > 1:
            start_ms, end_ms = own[0].span_ms[0], max(token.span_ms[1] for token in own)
        speaker = speakers[text.speaker].id if text.speaker else None
        yield Segment(start_ms / 1000, end_ms / 1000, " ".join(text.words), words, speaker)


def _marked_tokens(cue: ReadCue, moments: list[ReadCue]) -> list[_Token]:
    """Each from the first moment in which it is marked to the last; none if one never is."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for moment in moments:
        for mark in moment.marks:
            spans[mark] = spans.get(mark, (moment.start_ms, 0))[0], moment.end_ms
    tokens = []
    marks = sorted(spans, reverse=True)
    own: list[tuple[int, int]] = []
    for token in _tokens(cue, {start for start, _ in spans}):
        while marks and marks[-1][0] <= token.place:
            own.append(marks.pop())
        own = [mark for mark in own if token.place < mark[1]]
        if not own:
            return []
        span_ms = min(spans[mark][0] for mark in own), max(spans[mark][1] for mark in own)
        tokens.append(replace(token, span_ms=span_ms))
    return _in_turn(tokens)


def _in_turn(tokens: list[_Token]) -> list[_Token]:
    """What a speaker's words are marked for together they share by length: nobody says two at once."""
    parted: list[_Token] = []
    for (_, span_ms), together in groupby(tokens, key=lambda token: (token.text, token.span_ms)):
        own = list(together)
        spans = _shared([len(token.letters) for token in own], *span_ms)
        parted += [replace(token, span_ms=span) for token, span in zip(own, spans, strict=True)]
    for at, following in enumerate(parted[1:]):
        token = parted[at]
        both_ms = max(token.span_ms[0], following.span_ms[0]), min(token.span_ms[1], following.span_ms[1])
        if token.text == following.text and both_ms[0] < both_ms[1]:
            (_, until_ms), _ = _shared([len(token.letters), len(following.letters)], *both_ms)
            parted[at] = replace(token, span_ms=(token.span_ms[0], until_ms))
            parted[at + 1] = replace(following, span_ms=(until_ms, following.span_ms[1]))
    return parted


def _timed_tokens(cue: ReadCue) -> list[_Token]:
    """Each ends where the next begins: the file says no more. Those without a time of their own share by length."""
    total = sum(text.length for text in cue.texts)
    times = [*sorted({0: cue.start_ms, **cue.times_ms}.items()), (total, cue.end_ms)]
    if any(left[1] > right[1] for left, right in pairwise(times)):
        return []
    timed = []
    tokens = _tokens(cue, set(cue.times_ms))
    places = [token.place for token in tokens]
    for (place, start_ms), (until, end_ms) in pairwise(times):
        own = tokens[bisect_left(places, place) : bisect_left(places, until)]
        spans = _shared([len(token.letters) for token in own], start_ms, end_ms)
        timed += [replace(token, span_ms=span) for token, span in zip(own, spans, strict=True)]
    return timed


def _tokens(cue: ReadCue, cuts: set[int]) -> list[_Token]:
    """The words of a cue, cut where something has a time of its own."""
    tokens = []
    places = sorted(cuts)
    place = 0
    for number, text in enumerate(cue.texts):
        for word in text.words:
            inner = places[bisect_right(places, place) : bisect_left(places, place + len(word))]
            for start, end in pairwise([0, *(cut - place for cut in inner), len(word)]):
                tokens.append(_Token(number, place + start, word[start:end]))
            place += len(word)
    return tokens


def _shared(lengths: Sequence[int], start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """A time shared by length."""
    total = sum(lengths)
    passed = 0
    for length in lengths:
        left = start_ms + (end_ms - start_ms) * passed // total
        passed += length
        yield left, start_ms + (end_ms - start_ms) * passed // total
