"""The transcript as JSON, held against the schema that is published."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avskrift import formats, json_text
from avskrift.transcript import Segment, Transcript, Word
from tests.formats.documents import INTERVIEW, SILENCE, transcripts
from tests.formats.published_schema import faults_in

TOLD = replace(
    INTERVIEW,
    audit={
        "gate": {"source": "base"},
        "chunks": [
            {"start_s": 0.0, "end_s": 10.0, "speech_s": 8.0, "faults": ["loop"], "attempts": [], "chosen": "first"}
        ],
        "retried": 0,
        "speech_without_text": [[1.0, 4.0]],
        "loud_without_speech": [],
    },
)


def write(transcript: Transcript) -> str:
    return formats.write(transcript, "json").decode()


def spoiled(change: dict[str, Any], place: tuple[str | int, ...] = ()) -> str:
    """The interview's JSON with something changed in it."""
    data = json.loads(write(TOLD))
    spot = data
    for step in place:
        spot = spot[step]
    spot.update(change)
    return json.dumps(data)


@pytest.mark.parametrize("transcript", [TOLD, SILENCE])
def test_what_is_written_is_what_the_schema_says(transcript: Transcript) -> None:
    assert faults_in(write(transcript), fields_known=True) == []


@settings(max_examples=40)
@given(transcripts)
def test_any_transcript_is_written_as_the_schema_says(transcript: Transcript) -> None:
    assert faults_in(write(transcript)) == []


@settings(max_examples=50)
@given(transcripts)
def test_any_transcript_survives(transcript: Transcript) -> None:
    once = Transcript.from_dict(json.loads(write(transcript)))
    assert once == Transcript.from_dict(json.loads(write(once)))
    texts = [re.sub("[\ud800-\udfff]", "\ufffd", segment.text) for segment in transcript.segments]
    assert [segment.text for segment in once.segments] == texts


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"version": 2}, ()),
        ({"schema": "other"}, ()),
        ({"duration_s": "12"}, ()),
        ({"language_probability": 1.5}, ()),
        ({"text": None}, ()),
        ({"start_s": -1.0}, ("segments", 0)),
        ({"words": None}, ("segments", 0)),
        ({"confidence": "high"}, ("segments", 0, "words", 0)),
        ({"id": 1}, ("speakers", 0)),
        ({"times": "guessed"}, ("engine",)),
        ({"chosen": "luck"}, ("audit", "chunks", 0)),
        ({"speech_without_text": [[1.0]]}, ("audit",)),
    ],
)
def test_planted_faults_are_found(change: dict[str, Any], place: tuple[str | int, ...]) -> None:
    assert faults_in(spoiled(change, place)) != []


@pytest.mark.parametrize("field", ["schema", "version", "segments", "speakers", "engine", "warnings"])
def test_a_field_that_is_missing_is_found(field: str) -> None:
    data = json.loads(write(TOLD))
    del data[field]
    assert faults_in(json.dumps(data)) != []


def test_fields_to_come_are_allowed_and_told_apart() -> None:
    later = spoiled({"mood": "glad"}, ("segments", 0))
    assert faults_in(later) == []
    assert len(faults_in(later, fields_known=True)) == 1


def test_times_are_rounded_to_milliseconds_and_letters_written_as_they_are() -> None:
    written = write(INTERVIEW)
    assert json.loads(written)["segments"][0]["words"][0] == {
        "start_s": 0.5,
        "end_s": 0.8,
        "text": "Välkommen",
        "confidence": 0.9,
    }
    assert "Välkommen" in written


def test_a_word_is_a_line() -> None:
    lines = [line.strip() for line in write(INTERVIEW).splitlines()]
    assert '{"start_s": 0.5, "end_s": 0.8, "text": "Välkommen", "confidence": 0.9},' in lines


def test_numbers_that_json_has_none_for_are_not_written() -> None:
    nowhere = Segment(math.nan, math.inf, "hej", (Word(-math.inf, math.nan, "hej", math.nan),), confidence=math.inf)
    written = write(replace(SILENCE, segments=(nowhere,), engine={"beam": math.nan, "of": [math.inf, {"deep": 1}]}))
    data = json.loads(written, parse_constant=pytest.fail)
    assert faults_in(written) == []
    assert (data["segments"][0]["start_s"], data["segments"][0]["confidence"]) == (0.0, None)
    assert data["engine"] == {"beam": None, "of": [None, {"deep": 1}]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
flat_objects = st.lists(st.dictionaries(st.text(), st.text() | st.integers(), min_size=1, max_size=3), max_size=4)


@given(st.dictionaries(st.text(), json_values | flat_objects, max_size=4))
def test_whatever_is_dumped_reads_back_as_it_was(value: dict[str, Any]) -> None:
    """Objects in a list are encoded together and put on lines afterwards: no text may look like what lies between."""
    text = json_text.dump(value)
    assert json.loads(text) == json.loads(
        json_text.HALF_CHARACTERS.sub("\ufffd", json.dumps(value, ensure_ascii=False))
    )
    assert "\x1f" not in text
