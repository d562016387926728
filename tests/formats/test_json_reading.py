"""Our own JSON read back: what it says, what is mended in it and said, and what is refused with a sentence."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.errors import UnsupportedMedia
from avskrift.formats.plain_text import plain
from avskrift.formats.readers.json import read
from avskrift.transcript import Segment, Speaker, Transcript, Word

TRANSCRIPT = Transcript(
    language="sv",
    language_probability=0.98,
    duration_s=12.0,
    speech_s=4.2,
    model="base",
    segments=(
        Segment(
            0.5,
            2.0,
            "Hej & välkommen!",
            (Word(0.5, 0.9, "Hej", 0.9), Word(0.9, 1.1, "&", 0.5), Word(1.1, 2.0, "välkommen!", 0.8)),
            speaker="a",
            confidence=0.733,
        ),
        Segment(2.1, 3.0, "1 < 2 --> sant.", speaker="b", language="en"),
    ),
    speakers=(Speaker("a", "Anna"), Speaker("b", "Björn")),
    engine={"name": "avskrift"},
    warnings=("cut short",),
    audit={"retried": 0},
)


def changed(**fields: Any) -> str:
    """The transcript's JSON with other fields; None takes one away."""
    data = {**TRANSCRIPT.to_dict(), **fields}
    return json.dumps({name: value for name, value in data.items() if value is not None})


def with_segments(*segments: dict[str, Any], **fields: Any) -> str:
    return changed(segments=list(segments), text=None, speakers=[], **fields)


def segment(start_s: Any, end_s: Any, text: Any = "ord", **fields: Any) -> dict[str, Any]:
    return {"start_s": start_s, "end_s": end_s, "text": text, **fields}


def word(start_s: Any, end_s: Any, text: str, confidence: Any = None) -> dict[str, Any]:
    return {"start_s": start_s, "end_s": end_s, "text": text, "confidence": confidence}


def spans(text: str) -> list[tuple[float, float]]:
    return [(segment.start_s, segment.end_s) for segment in read(text).transcript.segments]


def test_what_was_written_is_read_back_without_a_repair() -> None:
    reading = read(TRANSCRIPT.to_json())
    assert reading.transcript == TRANSCRIPT
    assert reading.repairs == ()


@pytest.mark.parametrize("version", ["1", None])
def test_a_version_that_can_only_be_ours_is_read_and_said(version: str | None) -> None:
    reading = read(changed(version=version))
    assert reading.transcript == TRANSCRIPT
    assert "read as avskrift.transcript version 1" in reading.repairs[0]


def test_segments_of_our_kind_without_a_schema_are_read() -> None:
    assert read(json.dumps({"segments": [segment(0, 1, "Hej")]})).transcript.text == "Hej"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed(version=2), "version 2, and this avskrift reads 1. Update avskrift"),
        (changed(version=0), "No such version was ever written"),
        (changed(schema="other.tool"), '"other.tool"'),
        (json.dumps({"task": "transcribe", "segments": [{"start": 0, "end": 1, "text": "Hej"}]}), "another program's"),
        ("[]", "no transcript"),
        (TRANSCRIPT.to_json()[:200], "cut short"),
        ('{"a": ' + "9" * 5_000 + "}", "thousands of digits"),
        ("[" * 100_000, "nested more than 100 levels"),
        (changed(audit={"x": 1}).replace('"x": 1', '"x": ' + "[" * 300 + "]" * 300), "nested more than 100 levels"),
        (changed(segments=None), "no list of segments"),
        (changed(segments="Hej"), "no list of segments"),
        (changed(segments=[]), "text but no segments"),
        (with_segments(segment(0, 1), {"text": "Hej"}), r"segments\[1\] says neither"),
        (with_segments(segment(float("nan"), 1)), r"segments\[0\] says neither"),
        (with_segments(segment(0, 1e300)), r"segments\[0\] says neither"),
        (with_segments(segment(True, 1)), r"segments\[0\] says neither"),
        (with_segments(segment(0, 1, 5)), r"segments\[0\].text is 5"),
        (changed(segments=["Hej"]), r'segments\[0\] is "Hej", not an object'),
    ],
)
def test_what_has_no_plain_meaning_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UnsupportedMedia, match=said):
        read(text)


def test_of_a_field_named_twice_the_last_is_taken_and_that_is_said() -> None:
    reading = read(changed().replace('"language": "sv"', '"language": "en", "language": "sv"', 1))
    assert reading.transcript == TRANSCRIPT
    assert reading.repairs == ("1 field named twice in one object: the last was taken.",)


def test_segments_out_of_order_are_sorted() -> None:
    reading = read(with_segments(segment(5, 6, "två"), segment(1, 2, "ett"), segment(8, 9, "tre")))
    assert reading.transcript.text == "ett två tre"
    assert reading.repairs == ("1 segment out of order: sorted by their start.",)


def test_a_segment_over_the_next_of_the_same_speaker_is_cut_with_its_words() -> None:
    long = segment(1, 6, "ett två", words=[word(1, 2, "ett"), word(3, 6, "två")])
    reading = read(with_segments(long, segment(5, 7, "tre")))
    first, second = reading.transcript.segments
    assert (first.end_s, first.words[-1].end_s, second.start_s) == (5, 5, 5)
    assert any("reaching into the next of the same speaker" in repair for repair in reading.repairs)


def test_two_speakers_may_talk_at_once() -> None:
    both = with_segments(segment(1, 6, speaker="a"), segment(5, 7, speaker="b"))
    assert spans(both) == [(1, 6), (5, 7)]


def test_a_millisecond_of_overlap_is_only_rounding() -> None:
    assert read(with_segments(segment(1, 2.001), segment(2, 3))).repairs == ()


def test_an_end_before_the_start_is_exchanged_and_a_start_before_the_recording_moved() -> None:
    reading = read(with_segments(segment(-1, 2), segment(5, 3)))
    assert [(each.start_s, each.end_s) for each in reading.transcript.segments] == [(0, 2), (3, 5)]
    assert len(reading.repairs) == 2


def test_times_and_text_that_are_missing_are_taken_from_the_words() -> None:
    words = [word(1, 2, "ett"), word(2, 3, "två")]
    reading = read(with_segments({"words": words}))
    (only,) = reading.transcript.segments
    assert (only.start_s, only.end_s, only.text) == (1, 3, "ett två")
    assert len(reading.repairs) == 2


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_a_segment_whose_text_was_emptied_says_its_words(text: str) -> None:
    reading = read(with_segments(segment(1, 3, text, words=[word(1, 2, "ett"), word(2, 3, "två")])))
    assert reading.transcript.text == "ett två"
    assert reading.repairs == ("1 segment without text: taken from the words.",)


@pytest.mark.parametrize("broken", [{"text": "två"}, word("2", 3, "två"), word(2, float("nan"), "två"), None, 7])
def test_words_that_cannot_be_placed_give_up_their_times_but_no_text(broken: Any) -> None:
    reading = read(with_segments(segment(1, 3, "ett två", words=[word(1, 2, "ett"), broken])))
    (only,) = reading.transcript.segments
    assert (only.text, only.words) == ("ett två", ())
    assert any("estimated from the text" in repair for repair in reading.repairs)


def test_words_are_brought_into_order_inside_their_segment() -> None:
    words = [word(4, 9, "två"), word(0, 4.5, "ett")]
    reading = read(with_segments(segment(1, 6, "ett två", words=words)))
    (only,) = reading.transcript.segments
    assert [(each.start_s, each.end_s, each.text) for each in only.words] == [(1, 4, "ett"), (4, 6, "två")]
    assert len(reading.repairs) == 3


def test_text_edited_by_hand_is_taken_as_it_is() -> None:
    edited = TRANSCRIPT.to_dict()
    edited["segments"][0]["text"] = "Hej och välkomna!"
    reading = read(json.dumps(edited))
    assert reading.transcript.segments[0].text == "Hej och välkomna!"
    assert reading.transcript.segments[0].words == TRANSCRIPT.segments[0].words
    assert reading.repairs == ("The text at the top differs from that of the segments, which was taken.",)


def test_the_recording_lasts_as_long_as_somebody_speaks() -> None:
    assert read(changed(duration_s=2.5)).transcript.duration_s == 3.0
    assert read(changed(duration_s=None)).transcript.duration_s == 3.0
    assert "2.500 s" in read(changed(duration_s=2.5)).repairs[0]


def test_what_is_missing_at_the_top_is_left_open_and_named() -> None:
    reading = read(json.dumps({"schema": "avskrift.transcript", "version": 1, "segments": [segment(0, 1)]}))
    assert (reading.transcript.language, reading.transcript.model) == (None, "unknown")
    assert any("language, " in repair and "speakers" in repair for repair in reading.repairs)


def test_a_speaker_without_a_name_is_shown_by_the_id() -> None:
    reading = read(changed(speakers=[{"id": "a", "name": "Anna"}, {"id": "b"}]))
    assert reading.transcript.speakers == (Speaker("a", "Anna"), Speaker("b", "b"))
    assert len(reading.repairs) == 2


def test_of_two_speakers_with_one_id_the_first_is_taken_and_that_is_said() -> None:
    two = [{"id": "a", "name": "Anna"}, {"id": "b", "name": "Björn"}, {"id": "a", "name": "Adam"}]
    reading = read(changed(speakers=two))
    assert reading.transcript.speakers == (Speaker("a", "Anna"), Speaker("b", "Björn"))
    assert reading.repairs == ("1 speaker with the id of another: left out, the first one's name was taken.",)


@pytest.mark.parametrize("confidence", [7, -1, float("nan"), "high", True])
def test_a_confidence_that_is_none_is_left_out(confidence: Any) -> None:
    reading = read(with_segments(segment(0, 1, confidence=confidence)))
    assert reading.transcript.segments[0].confidence is None
    assert reading.repairs


def test_half_characters_and_endless_numbers_can_be_written_again() -> None:
    text = changed(audit={"x": 1, "\ud800": [float("inf")]}).replace('"x": 1', '"x": 1e999')
    reading = read(text.replace("Hej & v", r"Hej \ud83d v").replace("--> sant", r"\ud83d\ude00"))
    assert [each.text for each in reading.transcript.segments] == ["Hej � välkommen!", "1 < 2 😀."]
    json.loads(reading.transcript.to_json().encode(), parse_constant=pytest.fail)


ANY_TIME = st.none() | st.floats() | st.integers(-5, 20) | st.just("1")
ANY_WORD = st.none() | st.fixed_dictionaries({"start_s": ANY_TIME, "end_s": ANY_TIME, "text": st.text(max_size=5)})
ANY_SEGMENT = st.fixed_dictionaries(
    {"start_s": ANY_TIME, "end_s": ANY_TIME, "text": st.text(max_size=12)},
    optional={
        "words": st.none() | st.lists(ANY_WORD, max_size=4),
        "speaker": st.sampled_from([None, "a", "b", 3]),
        "confidence": ANY_TIME,
    },
)


@given(st.lists(ANY_SEGMENT, max_size=6), ANY_TIME)
def test_whatever_is_taken_is_in_order_and_complete(segments: list[dict[str, Any]], duration_s: Any) -> None:
    try:
        transcript = read(with_segments(*segments, duration_s=duration_s)).transcript
    except UnsupportedMedia as error:
        assert "says neither" in error.message
        return
    texts = [each["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for each in segments]
    assert len(transcript.segments) == len(texts)
    assert Counter(filter(plain, texts)) <= Counter(each.text for each in transcript.segments)
    assert all(0 <= each.start_s <= each.end_s <= transcript.duration_s for each in transcript.segments)
    assert all(before.start_s <= after.start_s for before, after in pairwise(transcript.segments))
    for each in transcript.segments:
        times = [time_s for word in each.words for time_s in (word.start_s, word.end_s)]
        assert all(after - before >= -0.0016 for before, after in pairwise([each.start_s, *times, each.end_s]))
    assert Transcript.from_dict(json.loads(transcript.to_json().encode())).text == transcript.text
