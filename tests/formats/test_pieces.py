"""Words made fit for cues: whatever the text, its words and their times are."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats import pieces as pieces_module
from avskrift.formats.pieces import Piece, pieces_of, to_ms
from avskrift.transcript import Segment, Transcript, Word

NAN = math.nan


def pieces(*segments: Segment, duration_s: float = 60.0) -> list[Piece]:
    return pieces_of(Transcript("sv", duration_s, 1.0, "test", segments))


def spoken(*segments: Segment, duration_s: float = 60.0) -> list[tuple[str, int, int]]:
    return [(piece.text, piece.start_ms, piece.end_ms) for piece in pieces(*segments, duration_s=duration_s)]


def test_words_keep_the_punctuation_and_quotes_that_only_the_text_has() -> None:
    words = (Word(1, 2, "Hej"), Word(2, 3, "du"), Word(3, 4, "där"))
    assert [piece.text for piece in pieces(Segment(1, 4, "”Hej”, du – (där)!", words))] == [
        "”Hej”,",
        "du",
        "–",
        "(där)!",
    ]


def test_text_that_no_word_was_found_for_gets_its_time_from_its_neighbours() -> None:
    words = (Word(1, 2, "Vi"), Word(4, 5, "hem"))
    assert spoken(Segment(1, 5, "Vi går nu hem", words)) == [
        ("Vi", 1000, 2000),
        ("går", 2000, 3142),
        ("nu", 3142, 4000),
        ("hem", 4000, 5000),
    ]


def test_a_word_that_is_not_in_the_text_is_not_shown() -> None:
    words = (Word(1, 2, "Vi"), Word(2, 3, "åker"), Word(3, 4, "går"))
    assert [piece.text for piece in pieces(Segment(1, 4, "Vi går", words))] == ["Vi", "går"]


def test_a_segment_without_text_shows_its_words() -> None:
    assert [piece.text for piece in pieces(Segment(1, 4, " ", (Word(1, 2, "Vi"), Word(2, 3, "går"))))] == ["Vi", "går"]


def test_a_segment_without_words_is_spread_by_length() -> None:
    assert spoken(Segment(1, 2, "ja visst")) == [("ja", 1000, 1333), ("visst", 1333, 2000)]


def test_times_that_are_no_numbers_are_filled_in() -> None:
    words = (Word(1, 2, "ett"), Word(NAN, math.inf, "två"), Word(3, 4, "tre"))
    assert spoken(Segment(1, 4, "ett två tre", words)) == [
        ("ett", 1000, 2000),
        ("två", 2000, 3000),
        ("tre", 3000, 4000),
    ]


def test_words_out_of_order_get_their_times_in_order() -> None:
    words = (Word(3, 4, "ett"), Word(1, 2, "två"))
    assert [start_ms for _, start_ms, _ in spoken(Segment(1, 4, "ett två", words))] == [1000, 3000]


def test_one_misplaced_word_does_not_displace_what_follows() -> None:
    stray = Segment(1, 3, "ett två", (Word(1, 2, "ett"), Word(5000, 5001, "två")))
    after = Segment(5, 6, "tre", (Word(5, 6, "tre"),))
    assert spoken(stray, after, duration_s=6000)[-1] == ("tre", 5000, 6000)


def test_nothing_is_said_after_the_end_of_the_recording() -> None:
    assert spoken(Segment(1, 9, "ett två", (Word(1, 2, "ett"), Word(8, 9, "två"))), duration_s=5.0)[-1] == (
        "två",
        5000,
        5000,
    )


def test_wide_scripts_are_cut_between_characters_where_no_words_were_aligned() -> None:
    texts = [piece.text for piece in pieces(Segment(0, 3, "天気がいい。晴れ"))]
    assert texts == ["天", "気", "が", "い", "い。", "晴", "れ"]


def test_a_translation_is_english_and_a_segment_has_its_own_language() -> None:
    segments = (Segment(0, 1, "one"), Segment(1, 2, "zwei", language="de-AT"))
    told = Transcript("sv", 9.0, 1.0, "test", segments)
    assert [piece.language for piece in pieces_of(told)] == ["sv", "de"]
    translated = Transcript("sv", 9.0, 1.0, "test", segments, engine={"task": "translate"})
    assert [piece.language for piece in pieces_of(translated)] == ["en", "en"]


@pytest.mark.parametrize("seconds", [-math.inf, -1.0, -1e308, 0.0])
def test_no_time_is_before_the_recording(seconds: float) -> None:
    assert to_ms(seconds) == 0


def test_a_time_that_is_no_recordings_is_no_crash() -> None:
    (piece,) = pieces(Segment(0.0, 1.8e305, "ord", (Word(0.0, 1.8e305, "ord"),)))
    assert (piece.start_ms, piece.end_ms) == (0, 60_000)


@given(st.lists(st.tuples(st.text("abcåäö.,!?-", min_size=1, max_size=8), st.integers(0, 900), st.integers(0, 900))))
def test_the_short_way_and_the_long_way_come_to_the_same(said: list[tuple[str, int, int]]) -> None:
    words, at_s = [], 0.0
    for text, length_ms, pause_ms in said:
        words.append(Word(at_s, at_s + length_ms / 1000, text))
        at_s += (length_ms + pause_ms) / 1000
    segment = Segment(0.0, at_s + 0.001, " ".join(word.text for word in words), tuple(words))
    short = pieces_module._as_they_are(segment, "sv")
    assert short == pieces_module._mended(segment, "sv")
    assert all(left.end_ms <= right.end_ms for left, right in pairwise(short or []))
