"""Which language a recording, or each of its chunks, is taken to be in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.language import (
    CLEAR,
    FAMILIES,
    VAGUE,
    DetectedLanguage,
    are_neighbours,
    choose_language,
    languages_by_chunk,
)
from avskrift.languages import LANGUAGES

ACCENTED = {"no": 0.43, "sv": 0.31, "da": 0.12, "en": 0.10}
"""Swedish with an accent, as the base model heard it."""
SWEDISH = {"sv": 0.95, "no": 0.03, "en": 0.02}
ENGLISH = {"en": 0.97, "sv": 0.03}
UNSURE_ENGLISH = {"en": 0.6, "sv": 0.4}

CODES = ("sv", "no", "nn", "da", "en", "fi", "de", "lb", "bs", "hr")


@st.composite
def hearings(draw: st.DrawFn) -> dict[str, float]:
    """A distribution over some languages."""
    codes = draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=5, unique=True))
    weights = [draw(st.floats(0.001, 1.0)) for _ in codes]
    return {code: weight / sum(weights) for code, weight in zip(codes, weights, strict=True)}


homes = st.none() | st.sampled_from(CODES)
recordings = st.lists(hearings(), min_size=1, max_size=12)


def test_swedish_with_an_accent_is_swedish_at_home_in_sweden() -> None:
    assert choose_language([ACCENTED], "sv").code == "sv"
    assert choose_language([ACCENTED], "sv").probability == pytest.approx(0.86)
    assert choose_language([ACCENTED], None) == DetectedLanguage("no", 0.43)
    assert choose_language([ACCENTED], "en").code == "no"


def test_clear_norwegian_stays_norwegian() -> None:
    clear = {"no": 0.8, "sv": 0.15, "en": 0.05}
    assert choose_language([clear], "sv") == DetectedLanguage("no", 0.8)
    assert choose_language([{**clear, "no": 0.79}], "sv").code == "sv"


def test_what_lies_outside_the_family_of_home_is_taken_as_heard() -> None:
    assert choose_language([ENGLISH], "sv").code == "en"
    assert choose_language([{"en": 0.5, "sv": 0.3, "no": 0.2, "fi": 0.1}], "sv").code == "en"


def test_one_odd_piece_does_not_decide() -> None:
    music = {"nn": 0.99, "en": 0.01}
    assert choose_language([SWEDISH, music, SWEDISH], None).code == "sv"


def test_nothing_heard_has_no_language() -> None:
    with pytest.raises(ValueError, match="no speech"):
        choose_language([], "sv")
    assert languages_by_chunk([], "sv", "sv") == []


def test_families_hold_languages_that_the_models_know() -> None:
    assert all(family <= LANGUAGES for family in FAMILIES)
    assert are_neighbours("sv", "nn")
    assert are_neighbours("gl", "pt")
    assert not are_neighbours("es", "pt")
    assert not are_neighbours("sv", "sv")
    assert not are_neighbours("sv", "en")


def test_a_clear_change_of_language_is_followed() -> None:
    assert languages_by_chunk([SWEDISH, ENGLISH, SWEDISH, SWEDISH], "sv", "sv") == ["sv", "en", "sv", "sv"]


def test_an_unsure_chunk_changes_only_beside_a_clear_one() -> None:
    alone = [SWEDISH, UNSURE_ENGLISH, SWEDISH, SWEDISH]
    beside = [SWEDISH, SWEDISH, SWEDISH, UNSURE_ENGLISH, ENGLISH]
    assert languages_by_chunk(alone, None, "sv") == ["sv", "sv", "sv", "sv"]
    assert languages_by_chunk(beside, None, "sv") == ["sv", "sv", "sv", "en", "en"]


def test_a_vague_chunk_goes_with_those_around_it() -> None:
    vague = {"cy": VAGUE - 0.1, "sv": 0.3, "en": 0.3}
    assert languages_by_chunk([SWEDISH] * 5 + [ENGLISH, vague, ENGLISH], None, "sv")[-2] == "en"
    assert languages_by_chunk([SWEDISH, vague, SWEDISH], None, "sv")[1] == "sv"


def test_a_part_of_a_recording_keeps_to_the_language_of_the_whole() -> None:
    assert languages_by_chunk([ACCENTED, UNSURE_ENGLISH], None, "sv") == ["sv", "sv"]
    assert languages_by_chunk([ENGLISH, UNSURE_ENGLISH], None, "sv") == ["en", "en"]


def test_no_chunk_goes_to_a_neighbour_of_the_main_language() -> None:
    norwegian = {"no": 0.99, "sv": 0.01}
    assert languages_by_chunk([SWEDISH, SWEDISH, SWEDISH, norwegian], None, "sv") == ["sv"] * 4
    assert languages_by_chunk([ENGLISH, ENGLISH, ENGLISH, ACCENTED, ENGLISH], "sv", "en")[3] == "sv"


@given(recordings, homes)
def test_the_choice_does_not_depend_on_the_order_of_what_was_heard(
    heard: list[dict[str, float]], home: str | None
) -> None:
    turned = [dict(reversed(list(piece.items()))) for piece in reversed(heard)]
    assert choose_language(heard, home) == choose_language(turned, home)


@given(recordings, homes)
def test_the_choice_is_home_or_was_heard_and_its_probability_is_one(
    heard: list[dict[str, float]], home: str | None
) -> None:
    chosen = choose_language(heard, home)
    assert chosen.code == home or any(chosen.code in piece for piece in heard)
    assert 0 < chosen.probability <= 1


@given(recordings, st.sampled_from(CODES))
def test_a_neighbour_of_home_is_chosen_only_where_it_is_clear(heard: list[dict[str, float]], home: str) -> None:
    chosen = choose_language(heard, home)
    assert chosen.probability >= CLEAR or not are_neighbours(chosen.code, home)


@given(hearings(), st.integers(1, 6), homes)
def test_what_is_heard_again_and_again_is_what_is_heard_once(
    piece: dict[str, float], times: int, home: str | None
) -> None:
    once, often = choose_language([piece], home), choose_language([piece] * times, home)
    assert often.probability == pytest.approx(once.probability)


@given(recordings, homes, st.sampled_from(CODES))
def test_every_chunk_has_one_language_and_none_a_neighbour_of_the_main_one(
    heard: list[dict[str, float]], home: str | None, main: str
) -> None:
    spoken = languages_by_chunk(heard, home, main)
    assert len(spoken) == len(heard)
    assert not any(are_neighbours(code, main) for code in spoken)


@given(recordings, homes, st.sampled_from(CODES))
def test_a_chunk_leaves_the_main_language_only_for_one_that_is_clear_somewhere(
    heard: list[dict[str, float]], home: str | None, main: str
) -> None:
    spoken = languages_by_chunk(heard, home, main)
    for code in set(spoken) - {main}:
        assert any(
            sum(p for it, p in piece.items() if it == code or are_neighbours(it, code)) >= CLEAR - 1e-9
            for piece in heard
        )


@given(st.lists(st.sampled_from(("en", "fi", "sv")), min_size=1, max_size=12), homes)
def test_languages_that_are_all_clear_are_all_kept(codes: list[str], home: str | None) -> None:
    assert languages_by_chunk([{code: 0.97, "de": 0.03} for code in codes], home, codes[0]) == codes
