"""Where paragraphs begin, for whatever is read as text."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings

from avskrift.formats.paragraphs import LONG_CHARACTERS, PARAGRAPH_PAUSE_S, paragraphs_of
from avskrift.formats.pieces import LATEST_S, pieces_of, to_ms
from avskrift.formats.plain_text import plain
from avskrift.formats.tidy import clock_s, tidy_segments, tidy_words
from avskrift.transcript import Segment, Transcript, Word
from tests.formats.documents import INTERVIEW, spoken, transcripts


def transcript_of(*segments: Segment) -> Transcript:
    return Transcript("sv", 100.0, 50.0, "base", segments)


def texts_of(*segments: Segment) -> list[str]:
    return [paragraph.text for paragraph in paragraphs_of(transcript_of(*segments))]


def test_a_pause_begins_a_paragraph() -> None:
    close, far = Segment(3.9, 5.0, "två"), Segment(5.0 + PARAGRAPH_PAUSE_S, 9.0, "tre")
    assert texts_of(Segment(0.0, 2.0, "Ett"), close, far) == ["Ett två", "tre"]


def test_another_speaker_begins_a_turn_and_a_pause_does_not() -> None:
    told = [(paragraph.speaker, paragraph.starts_turn) for paragraph in paragraphs_of(INTERVIEW)]
    assert told == [("s1", True), ("s2", True), ("s2", False), ("s1", True)]


def test_a_dash_begins_a_paragraph_where_nobody_is_named() -> None:
    said = [
        Segment(0.0, 1.0, "Kommer du?"),
        Segment(1.0, 2.0, "-Ja."),
        Segment(2.0, 3.0, "Bra. Det är"),
        Segment(3.0, 4.0, "-5 ute."),
    ]
    assert texts_of(*said) == ["Kommer du?", "-Ja. Bra. Det är -5 ute."]


def test_a_long_paragraph_ends_with_its_sentence() -> None:
    sentence = "a" * 300 + ". "
    segments = [Segment(n, n + 1, sentence + ("men" if n == 3 else "så.")) for n in range(10)]
    lengths = [len(text) for text in texts_of(*segments)]
    assert lengths[0] > LONG_CHARACTERS
    assert [text.endswith(".") for text in texts_of(*segments)] == [True] * len(lengths)


@pytest.mark.parametrize("end", ["॥", "？」", ".)", "۔"])
def test_sentences_of_other_scripts_end_a_long_paragraph(end: str) -> None:
    long = Segment(0, 1, "a" * LONG_CHARACTERS + end)
    assert len(texts_of(long, Segment(1, 2, "nytt"))) == 2
    assert len(texts_of(replace(long, text=long.text.removesuffix(end)), Segment(1, 2, "nytt"))) == 1


def test_the_latest_time_is_the_same_in_documents_and_subtitles() -> None:
    (segment,) = tidy_segments(transcript_of(Segment(0.0, 1e12, "hej")))
    assert segment.end_s == LATEST_S == to_ms(1e12) / 1000


def test_speech_without_sentences_is_cut_all_the_same() -> None:
    segments = [Segment(n, n + 1, "ord " * 100) for n in range(60)]
    assert max(map(len, texts_of(*segments))) <= 2 * LONG_CHARACTERS + 400


def test_what_comes_out_of_order_is_told_in_order() -> None:
    assert texts_of(Segment(10.0, 11.0, "sedan"), Segment(0.0, 1.0, "först")) == ["först", "sedan"]


def test_times_that_no_clock_can_show_become_some_that_it_can() -> None:
    word = Word(math.nan, -math.inf, "hej\n", math.nan)
    (segment,) = tidy_segments(transcript_of(Segment(-3.0, math.nan, "hej\tdär", (word,))))
    assert (segment.start_s, segment.end_s, segment.text) == (0.0, 0.0, "hej där")
    assert tidy_words(segment) == [Word(0.0, 0.0, "hej", None)]


def test_text_becomes_one_line_of_characters_that_can_be_written() -> None:
    assert plain("\ufeff a\u2028b\x00c \ud800\ufffe d\r\n") == "a bc d"


def test_a_clock_carries() -> None:
    assert [clock_s(seconds) for seconds in (0.0, 59.9994, 59.9996, 3599.9996, 360_000.0)] == [
        "00:00:00",
        "00:00:59",
        "00:01:00",
        "01:00:00",
        "100:00:00",
    ]


@settings(max_examples=50)
@given(transcripts)
def test_every_segment_is_in_one_paragraph_in_order(transcript: Transcript) -> None:
    told = [segment for paragraph in paragraphs_of(transcript) for segment in paragraph.segments]
    assert told == tidy_segments(transcript)
    assert all(left.start_s <= right.start_s for left, right in pairwise(told))
    assert all(0 <= segment.start_s <= segment.end_s < math.inf for segment in told)
    assert all(len({segment.speaker for segment in paragraph.segments}) == 1 for paragraph in paragraphs_of(transcript))


@settings(max_examples=50)
@given(transcripts)
def test_no_text_is_lost(transcript: Transcript) -> None:
    said = [plain(each.text) or plain(" ".join(word.text for word in each.words)) for each in transcript.segments]
    expected = sorted(filter(None, said))
    assert sorted(segment.text for segment in tidy_segments(transcript)) == expected


def test_a_segment_without_text_says_its_words_wherever_it_is_shown() -> None:
    emptied = replace(spoken("Hej på dig.", 1.0), text=" \n")
    assert texts_of(emptied) == ["Hej på dig."]
    assert [piece.text for piece in pieces_of(transcript_of(emptied))] == ["Hej", "på", "dig."]


def test_spoken_words_keep_their_times() -> None:
    assert [word.text for word in tidy_words(spoken("Hej på dig.", 1.0))] == ["Hej", "på", "dig."]
