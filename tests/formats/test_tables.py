"""Tables, as programs and spreadsheets read them."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avskrift import formats
from avskrift.formats import RenderOptions
from avskrift.formats.pieces import to_ms
from avskrift.formats.table import as_cell
from avskrift.formats.tidy import tidy_segments
from avskrift.transcript import Transcript
from tests.formats.documents import HOSTILE, INTERVIEW, SILENCE, transcripts

FORMULA = re.compile("[=+\\-@＝＋－＠]")
#: What splits a line in some country's spreadsheet, or in a program.
SEPARATORS = (",", ";", "\t", "|")


def read_csv(transcript: Transcript) -> list[dict[str, str]]:
    written = formats.write(transcript, "csv").decode()
    return list(csv.DictReader(io.StringIO(written, newline=""), strict=True))


def read_tsv(transcript: Transcript) -> list[list[str]]:
    heading, *lines = formats.write(transcript, "tsv").decode().removesuffix("\n").split("\n")
    assert heading == "start\tend\ttext"
    return [line.split("\t") for line in lines]


def without_apostrophes(text: str) -> str:
    return text.replace("'", "")


def test_csv_tells_when_who_in_what_language_how_surely_and_what() -> None:
    *_, last = read_csv(INTERVIEW)
    assert last == {
        "start": "01:00:00.000",
        "end": "01:00:00.600",
        "start_s": "3600.000",
        "end_s": "3600.600",
        "speaker": "Anna Lind",
        "language": "en",
        "confidence": "0.900",
        "text": "Thank you.",
    }


def test_csv_is_as_rfc_4180_wants_it() -> None:
    written = formats.write(INTERVIEW, "csv").decode()
    assert written.count("\r\n") == written.count("\n") == 1 + len(INTERVIEW.segments)
    assert written.startswith('"start","end"')


def test_csv_begins_with_a_byte_order_mark_where_asked() -> None:
    assert formats.write(INTERVIEW, "csv", RenderOptions(bom=True)).startswith(b'\xef\xbb\xbf"start"')


def test_tsv_is_as_whisper_writes_it() -> None:
    first, *_ = read_tsv(INTERVIEW)
    assert first == ["500", "1100", "Välkommen hit."]


def test_silence_is_a_heading() -> None:
    assert (read_csv(SILENCE), read_tsv(SILENCE)) == ([], [])


@settings(max_examples=50)
@given(transcripts)
def test_any_transcript_reads_back(transcript: Transcript) -> None:
    expected = [
        (to_ms(segment.start_s), to_ms(segment.end_s), without_apostrophes(segment.text))
        for segment in tidy_segments(transcript)
    ]
    rows = read_csv(transcript)
    assert [(round(float(row["start_s"]) * 1000), round(float(row["end_s"]) * 1000)) for row in rows] == [
        (start_ms, end_ms) for start_ms, end_ms, _ in expected
    ]
    assert [without_apostrophes(row["text"]) for row in rows] == [text for *_, text in expected]
    lines = [(int(start), int(end), without_apostrophes(text)) for start, end, text in read_tsv(transcript)]
    assert lines == expected


@given(st.sampled_from(SEPARATORS), st.text(max_size=10), st.text(max_size=20) | st.sampled_from(HOSTILE))
def test_no_cell_is_calculated_however_a_spreadsheet_splits_the_line(separator: str, before: str, text: str) -> None:
    for cell in re.split(f"[{re.escape(separator)}]", as_cell(f"{before}{separator}{text}")):
        assert not FORMULA.match(cell.lstrip("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("-5 grader", "'-5 grader"),
        ("Nej, -5 grader", "Nej, -5 grader"),
        ("hej;=1+1", "hej;'=1+1"),
        ("＝1", "'＝1"),
        ("e-post, 1+1=2", "e-post, 1+1=2"),
    ],
)
def test_an_apostrophe_stands_before_what_looks_like_a_formula_and_nowhere_else(text: str, shown: str) -> None:
    assert as_cell(text) == shown
