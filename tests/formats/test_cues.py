"""What holds for the cues of any transcript, and how ordinary ones look."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats import cues as cue_building
from avskrift.formats.cues import (
    MAX_CUE_S,
    MAX_LINE_CHARACTERS,
    MAX_LINGER_S,
    MAX_SILENCE_S,
    Cue,
    clock,
    to_ms,
)
from avskrift.formats.presets import PRESETS
from avskrift.transcript import Segment, Transcript, Word

texts = st.one_of(
    st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=12),
    st.sampled_from(["hej,", "slut.", "-->", "<b>", "a&b", "🙂", "مرحبا", "1", "Donaudampfschifffahrtsgesellschaft"]),
)


@st.composite
def spoken_words(draw: st.DrawFn) -> list[Word]:
    """Words in order: some without length, some touching, some minutes apart."""
    words, at_s = [], draw(st.floats(0, 36_000))
    for text in draw(st.lists(texts, min_size=1, max_size=60)):
        at_s += draw(st.sampled_from([0.0, 0.0, 0.001, 0.05, 0.3, 0.99, 1.5, 120.0]))
        length_s = draw(st.sampled_from([0.0, 0.001, 0.2, 0.5, 1.3, 9.0]))
        words.append(Word(at_s, at_s + length_s, text))
        at_s += length_s
    return words


def build_cues(transcript: Transcript) -> list[Cue]:
    return cue_building.build_cues(transcript, PRESETS["default"])


def lines_of(cue: Cue) -> tuple[str, ...]:
    return tuple(line.text for line in cue.lines)


def transcript_of(*segments: Segment) -> Transcript:
    end_s = max((segment.end_s for segment in segments), default=0.0)
    return Transcript("sv", end_s + 1, end_s, "test", segments)


def segment_of(words: list[Word], joint: str = " ") -> Segment:
    return Segment(words[0].start_s, words[-1].end_s, joint.join(word.text for word in words), tuple(words))


def sentence(text: str, start_s: float = 0.0, per_word_s: float = 0.4) -> Segment:
    words = [
        Word(start_s + n * per_word_s, start_s + (n + 1) * per_word_s, word) for n, word in enumerate(text.split())
    ]
    return segment_of(words)


@given(spoken_words())
def test_cues_are_in_order_apart_and_not_too_long(words: list[Word]) -> None:
    cues = build_cues(transcript_of(segment_of(words)))
    assert all(0 < cue.end_ms - cue.start_ms <= to_ms(MAX_CUE_S) for cue in cues)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))


@given(spoken_words(), st.sampled_from([" ", ""]))
def test_every_word_is_shown_once_and_in_order(words: list[Word], joint: str) -> None:
    segment = segment_of(words, joint)
    shown = "".join("".join(lines_of(cue)) for cue in build_cues(transcript_of(segment)))
    assert shown.replace(" ", "") == segment.text.replace(" ", "")


@given(spoken_words())
def test_no_cue_stays_through_a_silence(words: list[Word]) -> None:
    cues = build_cues(transcript_of(segment_of(words)))
    for left, right in pairwise(words):
        if right.start_s - left.end_s > MAX_SILENCE_S + 0.1:
            quiet_from, quiet_to = to_ms(left.end_s + MAX_LINGER_S) + len(words), to_ms(right.start_s)
            assert not any(cue.start_ms < quiet_to and cue.end_ms > quiet_from for cue in cues)


@given(spoken_words())
def test_lines_are_clean_and_at_most_two(words: list[Word]) -> None:
    for cue in build_cues(transcript_of(segment_of(words))):
        assert 1 <= len(lines_of(cue)) <= 2
        assert all(line == " ".join(line.split()) and line for line in lines_of(cue))


@given(st.text(max_size=300), st.floats(0, 1000), st.floats(0, 100))
def test_a_segment_without_words_is_spread_over_its_time(text: str, start_s: float, length_s: float) -> None:
    cues = build_cues(transcript_of(Segment(start_s, start_s + length_s, text)))
    assert all(lines_of(cue) for cue in cues)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))
    assert all(cue.end_ms - cue.start_ms <= to_ms(MAX_CUE_S) for cue in cues)


def test_times_are_rounded_once_and_carry() -> None:
    assert clock(to_ms(59.9996), ",") == "00:01:00,000"
    assert clock(to_ms(3599.9995), ".") == "01:00:00.000"
    assert clock(to_ms(100 * 3600 + 0.0014), ",") == "100:00:00,001"


def test_a_short_sentence_is_one_cue_on_one_line() -> None:
    (cue,) = build_cues(transcript_of(sentence("Vi åker till Malmö på fredag.")))
    assert lines_of(cue) == ("Vi åker till Malmö på fredag.",)
    assert (cue.start_ms, cue.end_ms) == (0, 2400)


def test_a_longer_sentence_is_balanced_over_two_lines() -> None:
    (cue,) = build_cues(
        transcript_of(sentence("Please send me the report before Friday, thank you very much.", 0, 0.3))
    )
    assert all(len(line) <= MAX_LINE_CHARACTERS for line in lines_of(cue))
    assert abs(len(lines_of(cue)[0]) - len(lines_of(cue)[1])) < 10


def test_a_long_sentence_is_cut_after_a_comma() -> None:
    text = "When the train from Gothenburg finally arrived that evening, nobody was waiting on the platform any more."
    first, second = build_cues(transcript_of(sentence(text)))
    assert lines_of(first)[-1].endswith("evening,")
    assert lines_of(second)[0].startswith("nobody")


def test_a_pause_within_a_segment_cuts_the_cue() -> None:
    words = [Word(0, 0.5, "One"), Word(0.6, 1.0, "two"), Word(2.1, 2.5, "three.")]
    assert [lines_of(cue) for cue in build_cues(transcript_of(segment_of(words)))] == [("One two",), ("three.",)]


def test_a_flash_of_a_word_stays_long_enough_to_read() -> None:
    cues = build_cues(transcript_of(segment_of([Word(1.0, 1.2, "Ja.")]), segment_of([Word(1.5, 2.5, "Precis.")])))
    assert [(cue.start_ms, cue.end_ms) for cue in cues] == [(1000, 1500), (1500, 2500)]


def test_overlapping_segments_become_cues_that_do_not_overlap() -> None:
    first, second = sentence("They talk at once here.", 0.0), sentence("And so do they.", 0.9)
    cues = build_cues(transcript_of(second, first))
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))
    assert [lines_of(cue)[0][:4] for cue in cues] == ["They", "And "]
