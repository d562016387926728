"""Texts held against each other, and what is concluded from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.asr.recordings import sentences_of
from bench.asr.statistics import Unit, paired_difference, pooled_rate
from bench.asr.texts import edits, edits_by_part, loops_in, text_of_srt
from bench.words import word_edits

WORDS = st.lists(st.sampled_from("abc"), max_size=12)


@given(WORDS, WORDS)
def test_edits_are_levenshteins_distance(expected: list[str], heard: list[str]) -> None:
    assert edits(expected, heard) == word_edits(expected, heard)


@given(st.lists(WORDS, min_size=1, max_size=4).filter(any), WORDS)
def test_edits_of_the_parts_add_up_to_those_of_the_whole(parts: list[list[str]], heard: list[str]) -> None:
    counted = edits_by_part(parts, heard)
    assert len(counted) == len(parts)
    assert sum(counted) == word_edits([word for part in parts for word in part], heard)


def test_an_edit_counts_in_the_part_where_it_falls() -> None:
    parts = ["vi ses i dag".split(), "ta med lax".split(), "hej då".split()]
    assert edits_by_part(parts, "vi ses i dag ta med sax och bröd hej då".split()) == [0, 3, 0]
    assert edits_by_part(parts, "nej vi ses i dag ta med lax hej".split()) == [1, 0, 1]


def test_subtitles_are_read_back_as_text() -> None:
    document = (
        "1\n00:00:01,000 --> 00:00:02,500\nHej på dig,\ngamla vän.\n\n2\r\n00:01:00,000 --> 00:01:02,000\r\nJa.\r\n"
    )
    assert text_of_srt(document) == "Hej på dig, gamla vän. Ja."


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("Tack. Tack. Tack. Tack. Tack.", [(("tack",), 5)]),
        ("och så vidare, och så vidare och så vidare och så vidare.", [(("och", "så", "vidare"), 4)]),
        ("ja ja ja, det var så det var, det var så", []),
        ("", []),
    ],
)
def test_words_said_again_and_again_are_a_loop(text: str, loops: list[tuple[tuple[str, ...], int]]) -> None:
    assert [(loop.words, loop.times) for loop in loops_in(text)] == loops


def test_sentences_come_from_the_file_beside_the_recording(tmp_path: Path) -> None:
    (tmp_path / "a.segments.json").write_text(json.dumps([[0, 1.5, "Hej."], [2, 3, "Då."]]))
    assert [sentence.text for sentence in sentences_of(tmp_path / "a.flac")] == ["Hej.", "Då."]
    assert sentences_of(tmp_path / "other.flac") == []


def units(*errors: tuple[int, int]) -> list[Unit]:
    return [Unit(str(number), 10, ours, theirs) for number, (ours, theirs) in enumerate(errors)]


def test_rates_are_pooled_over_words_not_over_clips() -> None:
    uneven = [Unit("long", 90, 9, 0), Unit("short", 10, 10, 0)]
    assert pooled_rate(uneven, ours=True) == 19.0
    assert pooled_rate(uneven, ours=False) == 0.0


def test_equal_errors_leave_no_doubt() -> None:
    difference = paired_difference(units((3, 3), (0, 0), (7, 7)))
    assert (difference.points, difference.low, difference.high) == (0, 0, 0)


def test_a_difference_on_one_clip_of_many_is_uncertain_and_the_interval_holds_it() -> None:
    difference = paired_difference(units((5, 0), *[(1, 1)] * 19))
    assert difference.points == pytest.approx(2.5)
    assert difference.low == 0
    assert difference.points < difference.high < 10


def test_the_same_units_give_the_same_interval() -> None:
    some = units((2, 1), (0, 3), (4, 4))
    assert paired_difference(some) == paired_difference(some)
