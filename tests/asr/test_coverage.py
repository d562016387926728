"""Which part of the speech the words cover, on the chunk's clock."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.coverage import longest_s, uncovered


@dataclass(frozen=True)
class Spoken:
    text: str
    start_s: float
    end_s: float


def test_no_word_covers_nothing() -> None:
    assert uncovered([], 5.0) == [(0.0, 5.0)]


def test_words_side_by_side_leave_no_gap() -> None:
    assert uncovered([Spoken(" en", 0.0, 0.6), Spoken(" två", 0.6, 1.1)], 1.1) == []


def test_the_speech_after_the_last_word_counts() -> None:
    """A decoder that stops early is the most usual loss: alignment stretches its last word to the end."""
    [gap] = uncovered([Spoken(" slut", 0.0, 12.0)], 12.0)
    assert gap[0] < 2.0
    assert gap[1] == 12.0


def test_a_long_word_may_take_its_time() -> None:
    assert uncovered([Spoken(" sjukvårdsförsäkringen", 0.0, 2.5)], 2.5) == []


def test_the_longest_of_no_gaps_is_nothing() -> None:
    assert longest_s([]) == 0.0
    assert longest_s([(0.0, 1.0), (2.0, 5.0)]) == 3.0


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=20), st.floats(0, 30))
def test_gaps_are_ordered_apart_and_within_the_speech(spans: list[tuple[float, float]], speech_s: float) -> None:
    """Whatever the words claim."""
    words = [Spoken(" ord", min(span), max(span)) for span in sorted(spans)]
    gaps = uncovered(words, speech_s)
    edges = [edge for gap in gaps for edge in gap]
    assert edges == sorted(edges)
    assert all(0 <= edge <= speech_s for edge in edges)
