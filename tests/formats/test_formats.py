"""Written files read back, by small readers of their own that follow the formats' rules."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift import formats
from avskrift.errors import BadOptions
from avskrift.formats import FORMATS, check_formats, unknown_formats
from avskrift.transcript import Segment, Speaker, Transcript, Word

TRANSCRIPT = Transcript(
    language="sv",
    language_probability=0.98,
    duration_s=12.0,
    speech_s=4.2,
    model="base",
    segments=(
        Segment(
            0.4996,
            2.0,
            "Hej & välkommen!",
            (Word(0.4996, 0.9, "Hej", 0.9), Word(0.9, 1.1, "&", 0.5), Word(1.1, 2.0, "välkommen!", 0.8)),
            confidence=0.7333,
        ),
        Segment(2.1, 3.0, "1 < 2 --> sant."),
        Segment(8.0, 9.0, "Slut."),
    ),
    engine={"name": "avskrift"},
    warnings=("cut short",),
)
SILENCE = Transcript(None, 5.0, 0.0, "base")


def write(transcript: Transcript, name: str) -> str:
    return formats.write(transcript, name).decode()


segments = st.builds(
    lambda start_s, length_s, text: Segment(start_s, start_s + length_s, text),
    st.floats(0, 400_000),
    st.floats(0, 60),
    st.text(max_size=120) | st.sampled_from(["00:00:01,000 --> 00:00:02,000", "a\n\nb", "WEBVTT", "&amp; <i>", "1\n2"]),
)


@given(st.lists(segments, max_size=8))
def test_any_transcript_survives_json(found: list[Segment]) -> None:
    transcript = Transcript("sv", 500_000.0, 1.0, "test", tuple(found))
    once = Transcript.from_dict(json.loads(write(transcript, "json")))
    assert once == Transcript.from_dict(json.loads(write(once, "json")))
    assert [segment.text for segment in once.segments] == [segment.text for segment in found]


def test_txt_has_a_paragraph_for_each_stretch_of_speech() -> None:
    assert write(TRANSCRIPT, "txt") == "Hej & välkommen! 1 < 2 --> sant.\n\nSlut.\n"


def test_txt_names_who_speaks() -> None:
    talk = Transcript(
        "sv",
        4.0,
        3.0,
        "base",
        (Segment(0, 1, "Hej.", speaker="s1"), Segment(1, 2, "Hur mår du?", speaker="s1"), Segment(2, 3, "Bra.")),
        speakers=(Speaker("s1", "Anna"),),
    )
    assert write(talk, "txt") == "Anna: Hej. Hur mår du?\n\nBra.\n"


def test_json_is_the_documented_schema() -> None:
    data = json.loads(write(TRANSCRIPT, "json"))
    assert (data["schema"], data["version"]) == ("avskrift.transcript", 1)
    assert data["text"] == "Hej & välkommen! 1 < 2 --> sant. Slut."
    assert data["segments"][0]["words"][0] == {"start_s": 0.5, "end_s": 0.9, "text": "Hej", "confidence": 0.9}
    assert data["segments"][1]["words"] == []
    assert "välkommen" in write(TRANSCRIPT, "json")


@pytest.mark.parametrize(("name", "expected"), [("txt", "")])
def test_silence_is_an_empty_file_that_is_still_valid(name: str, expected: str) -> None:
    assert write(SILENCE, name) == expected


def test_an_unknown_format_gets_the_list_of_those_that_exist() -> None:
    with pytest.raises(BadOptions, match=r"pdf.*json, .*srt"):
        write(TRANSCRIPT, "pdf")
    assert unknown_formats(["srt", "pdf"]) == ["pdf"]
    check_formats(FORMATS)


def test_formats_are_pure_python() -> None:
    code = "import avskrift.formats, sys; print({'numpy', 'av', 'ctranslate2', 'boto3', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
