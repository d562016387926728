"""What goes round in circles, and what people merely say twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.gate import BASE
from avskrift.asr.loops import MAX_UNIT_TOKENS, Loop, compression, longest_loop

TOKENS = st.integers(0, 50_000)
#: As a decoder's tokens are: one for a word or a part of it, so a word stands well for one here.
PEOPLE_SAY = {
    "agreement": "ja ja ja men det är klart att vi gör så ja",
    "a number": "ring noll sju noll noll noll noll noll noll noll sju",
    "a refrain": "låt det vara låt det vara låt det vara och så vidare genom natten",
    "a sentence twice": "vi ses på tisdag klockan tio i stora salen vi ses på tisdag klockan tio i stora salen",
    "hesitation": "alltså jag jag jag tänkte att vi vi kunde ta det sen",
}


def tokens_of(text: str) -> list[int]:
    words = text.split()
    return [words.index(word) for word in words]


@pytest.mark.parametrize("said", PEOPLE_SAY.values(), ids=PEOPLE_SAY)
def test_ordinary_repetition_is_no_loop(said: str) -> None:
    assert longest_loop(tokens_of(said)).repeated < BASE.repeated_tokens
    assert compression(said) < BASE.compression


@given(before=st.lists(TOKENS, max_size=30), unit=st.lists(TOKENS, min_size=1, max_size=20), times=st.integers(20, 40))
def test_a_unit_said_twenty_times_is_always_found(before: list[int], unit: list[int], times: int) -> None:
    loop = longest_loop([*before, *unit * times])
    assert loop.repeated >= (times - 1) * len(unit)
    assert loop.times >= times


@given(st.lists(TOKENS, unique=True, max_size=200))
def test_tokens_that_differ_hold_no_loop(tokens: list[int]) -> None:
    assert longest_loop(tokens) == Loop()


@given(st.lists(st.integers(0, 3), max_size=80))
def test_what_is_called_a_loop_is_one(tokens: list[int]) -> None:
    """The tokens hold a run of that length in which each is the one a unit before it."""
    loop = longest_loop(tokens)
    runs = (tokens[at : at + loop.tokens] for at in range(len(tokens)))
    assert (
        any(len(run) == loop.tokens and run[loop.unit :] == run[: len(run) - loop.unit] for run in runs)
        or not loop.unit
    )


def test_a_loop_is_cut_off_where_the_text_was() -> None:
    assert longest_loop([1, 2, 3] * 5 + [1]) == Loop(unit=3, tokens=16)


def test_twice_is_not_yet_a_loop() -> None:
    assert longest_loop([1, 2, 3, 4, 5] * 2) == Loop()


def test_a_unit_longer_than_any_loop_is_left_alone() -> None:
    verse = list(range(MAX_UNIT_TOKENS + 1))
    assert longest_loop(verse * 3) == Loop()


def test_a_loop_with_small_changes_still_compresses() -> None:
    changing = " ".join(f"Jag ska gå till affären nummer {number}." for number in range(12))
    assert longest_loop(tokens_of(changing)).repeated < BASE.repeated_tokens
    assert compression(changing) > BASE.compression


def test_a_text_of_nothing_has_no_compression() -> None:
    assert compression("  \n") == 0.0


@given(st.text(max_size=400))
def test_any_text_can_be_measured(text: str) -> None:
    """Whisper's byte-pair tokens can spell half characters."""
    assert compression(text) >= 0
    assert compression(text + "\ud800") >= 0
