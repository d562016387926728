"""Aligned words to words and sentences on the recording's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from statistics import fmean, median

from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.packing import ChunkClock
from avskrift.transcript import Segment, Word

#: No segment reaches over a silence longer than this.
MAX_SILENCE_S = 1.0
MAX_SEGMENT_S = 30.0

#: Start and end in seconds of the recording.
Stretch = tuple[float, float]

_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLOSING_MARKS = "\"'”’»)]}"
#: Alignment gives the pause after a sentence to a word beside it: such words are held to this many medians.
_LONG_WORD_MEDIANS = 2.0
_MAX_MEDIAN_S = 0.7


#: No word is shorter: alignment gives some no time at all. A position of Whisper's encoder.
MIN_WORD_S = 0.02


@dataclass(frozen=True)
class PlacedWord:
    """A word on the recording's clock that still knows how it is spaced, and in which language it was said."""

    word: Word
    spaced_text: str
    language: str


def place_words(decoded: DecodedChunk, *, aligned: bool = True) -> Iterator[PlacedWord]:
    """The words of a chunk on the recording's clock: inside speech, in order, none over removed silence."""
    words = list(_without_pauses(decoded.words)) if aligned else list(decoded.words)
    for span, in_span in groupby(zip(_spans_of(words, decoded.clock), words, strict=True), key=lambda pair: pair[0]):
        its_words = [word for _, word in in_span]
        times = [decoded.clock.to_recording(word.start_s, word.end_s) for word in its_words]
        for word, (start_s, end_s) in zip(its_words, _in_order(times, decoded.clock.bounds_s(span)), strict=True):
            placed = Word(start_s, end_s, word.text.strip(), min(1.0, word.probability))
            yield PlacedWord(placed, word.text, decoded.language)


def _spans_of(words: Sequence[AlignedWord], clock: ChunkClock) -> Iterator[int]:
    """The span each word sounds in; none goes back to an earlier one."""
    return accumulate((clock.span_at((word.start_s + word.end_s) / 2) for word in words), max)


def _in_order(times: Sequence[Stretch], bounds_s: Stretch) -> list[Stretch]:
    """The times within ``bounds_s``, one after the other, each at least ``MIN_WORD_S`` long where there is room."""
    low_s, high_s = bounds_s
    shortest_s = min(MIN_WORD_S, (high_s - low_s) / len(times))
    fitted: list[Stretch] = []
    latest_s = high_s
    for start_s, end_s in reversed(times):
        fitted_end_s = min(max(end_s, low_s), latest_s)
        latest_s = min(start_s, fitted_end_s - shortest_s)
        fitted.append((latest_s, fitted_end_s))
    placed: list[Stretch] = []
    earliest_s = low_s
    for start_s, end_s in reversed(fitted):
        placed_start_s = max(start_s, earliest_s)
        earliest_s = min(max(end_s, placed_start_s + shortest_s), high_s)
        placed.append((placed_start_s, earliest_s))
    return placed


def build_segments(words: Iterable[PlacedWord]) -> Iterator[Segment]:
    """Sentences: cut after final punctuation, at a silence, and where a segment would get too long."""
    sentence: list[PlacedWord] = []
    for word in words:
        if sentence and _cut_between(sentence, word):
            yield _segment(sentence)
            sentence = []
        sentence.append(word)
    if sentence:
        yield _segment(sentence)


def _without_pauses(words: Sequence[AlignedWord]) -> Iterator[AlignedWord]:
    durations = [word.end_s - word.start_s for word in words if word.end_s > word.start_s]
    longest_s = _LONG_WORD_MEDIANS * min(_MAX_MEDIAN_S, median(durations)) if durations else 0.0
    after_end = True
    for position, word in enumerate(words):
        before_end = position == len(words) - 1 or _ends_sentence(word.text)
        start_s, end_s = word.start_s, word.end_s
        if end_s - start_s > longest_s:
            if before_end:
                end_s = start_s + longest_s
            elif after_end:
                start_s = end_s - longest_s
        yield AlignedWord(word.text, start_s, end_s, word.probability)
        after_end = before_end


def _cut_between(sentence: list[PlacedWord], following: PlacedWord) -> bool:
    last = sentence[-1].word
    if following.word.start_s - last.end_s > MAX_SILENCE_S:
        return True
    if following.word.end_s - sentence[0].word.start_s > MAX_SEGMENT_S or following.language != sentence[0].language:
        return True
    return _ends_sentence(last.text) and not following.word.text[:1].islower()


def _ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSING_MARKS).endswith(_SENTENCE_ENDS)


def _segment(words: list[PlacedWord]) -> Segment:
    spoken = tuple(placed.word for placed in words)
    return Segment(
        start_s=spoken[0].start_s,
        end_s=spoken[-1].end_s,
        text="".join(placed.spaced_text for placed in words).strip(),
        words=spoken,
        language=words[0].language,
        confidence=fmean(word.confidence or 0.0 for word in spoken),
    )
