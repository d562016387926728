"""Words and sentences on the recording's clock."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.decoded import AlignedWord
from avskrift.asr.packing import Chunk
from avskrift.asr.vad import SpeechSpan
from avskrift.asr.words import MAX_SILENCE_S, MIN_WORD_S, build_segments, place_words
from avskrift.audio import SAMPLE_RATE_HZ
from avskrift.transcript import Segment
from tests.asr.decoded_samples import decoded


def speech(start_s: float, seconds: float) -> SpeechSpan:
    return SpeechSpan(round(start_s * SAMPLE_RATE_HZ), np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32))


def segments_of(chunk: Chunk, *words: AlignedWord) -> list[Segment]:
    return list(build_segments(place_words(decoded(chunk, *words))))


def word(text: str, start_s: float, end_s: float) -> AlignedWord:
    return AlignedWord(text, start_s, end_s, 0.9)


def test_sentences_become_segments_with_their_words() -> None:
    segments = segments_of(
        Chunk((speech(5, 10),)),
        word(" Hej", 0.0, 0.4),
        word(" på", 0.4, 0.6),
        word(" dig.", 0.6, 1.0),
        word(" Hur", 1.2, 1.5),
        word(" mår", 1.5, 1.8),
        word(" du?", 1.8, 2.0),
    )
    assert [segment.text for segment in segments] == ["Hej på dig.", "Hur mår du?"]
    assert [spoken.text for spoken in segments[0].words] == ["Hej", "på", "dig."]
    assert (segments[0].start_s, segments[1].end_s) == pytest.approx((5.0, 7.0))
    assert segments[0].confidence == pytest.approx(0.9)


def test_a_language_without_spaces_keeps_having_none() -> None:
    segments = segments_of(Chunk((speech(0, 5),)), word("你", 0.0, 0.3), word("好", 0.3, 0.6))
    assert segments[0].text == "你好"


def test_no_segment_reaches_over_removed_silence() -> None:
    chunk = Chunk((speech(0, 2), speech(60, 2)))
    segments = segments_of(chunk, word(" one", 0.5, 1.0), word(" two", 1.0, 2.2), word(" three", 2.5, 3.0))
    assert [segment.text for segment in segments] == ["one two", "three"]
    assert segments[0].end_s <= 2
    assert segments[1].start_s >= 60


def test_words_without_time_of_their_own_get_some() -> None:
    """Alignment gives digits and symbols no time now and then, also several in a row at the very end."""
    times = [word(" kostar", 1.0, 1.5), word(" 500", 1.5, 1.5), word(" %", 2.0, 2.0), word(" 3", 2.0, 2.0)]
    (segment,) = segments_of(Chunk((speech(7, 2),)), *times)
    assert [spoken.text for spoken in segment.words] == ["kostar", "500", "%", "3"]
    assert all(spoken.end_s - spoken.start_s >= MIN_WORD_S - 1e-9 for spoken in segment.words)
    assert segment.words[-1].end_s == pytest.approx(9)


def test_another_language_begins_another_segment() -> None:
    swedish, english = Chunk((speech(0, 2),)), Chunk((speech(2, 2),))
    placed = [
        *place_words(decoded(swedish, word(" hej", 0.5, 1.0))),
        *place_words(replace(decoded(english, word(" hello", 0.1, 0.5)), language="en")),
    ]
    assert [(segment.text, segment.language) for segment in build_segments(placed)] == [("hej", "sv"), ("hello", "en")]


def test_a_pause_is_not_given_to_the_word_before_it() -> None:
    chunk = Chunk((speech(0, 10),))
    words = [word(f" w{n}", n * 0.3, n * 0.3 + 0.3) for n in range(5)]
    segments = segments_of(chunk, *words, word(" end.", 1.5, 6.0), word(" Next", 6.0, 6.3))
    assert segments[0].end_s < 2.5


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 3)), min_size=1, max_size=40),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.5, 20)), min_size=1, max_size=5),
)
def test_any_alignment_gives_words_in_order_within_speech(
    times: list[tuple[float, float]], gaps: list[tuple[float, float]]
) -> None:
    spans, at_s = [], 0.0
    for gap_s, length_s in gaps:
        spans.append(speech(at_s + gap_s, length_s))
        at_s = spans[-1].end / SAMPLE_RATE_HZ
    words = [word(f" w{n}", start_s, start_s + length_s) for n, (start_s, length_s) in enumerate(sorted(times))]
    segments = segments_of(Chunk(tuple(spans)), *words)
    placed = [spoken for segment in segments for spoken in segment.words]
    assert [spoken.text for spoken in placed] == [aligned.text.strip() for aligned in words]
    for left, right in pairwise(placed):
        assert left.start_s < left.end_s <= right.start_s < right.end_s
    for segment in segments:
        assert all(right.start_s - left.end_s <= MAX_SILENCE_S for left, right in pairwise(segment.words))
    assert placed[0].start_s >= spans[0].start / SAMPLE_RATE_HZ - 1e-6
    assert placed[-1].end_s <= spans[-1].end / SAMPLE_RATE_HZ + 1e-6
