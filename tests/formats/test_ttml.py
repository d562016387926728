"""TTML: EBU-TT-D and IMSC 1.1 Text by rules of our own (ttconv forgives too much), and the same cues by ttconv."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given

from avskrift.formats.cues import Cue
from avskrift.formats.readers import read_file
from avskrift.transcript import Segment, Transcript
from tests.formats.ebu_tt_d import violations
from tests.formats.golden_files import CASES as GOLDEN
from tests.formats.golden_files import FOLDER as GOLDEN_FOLDER
from tests.formats.subtitles import (
    CUES,
    DIALOGUE,
    OFTEN,
    SILENCE,
    TALK,
    ReadCue,
    assert_in_order,
    expected,
    joined,
    line,
    rendered,
    transcripts,
    written,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ttconv.imsc import reader
    from ttconv.isd import ISD

TT = "{http://www.w3.org/ns/ttml}"


def read(document: str) -> list[ReadCue]:
    """Paragraphs as an XML parser has them."""
    root = ElementTree.fromstring(document)
    return [ReadCue(_ms(p.attrib["begin"]), _ms(p.attrib["end"]), _text(p)) for p in root.iter(f"{TT}p")]


def _text(paragraph: ElementTree.Element) -> str:
    return "".join("\n" if child.tag == f"{TT}br" else child.text or "" for child in paragraph)


def _ms(expression: str) -> int:
    hours, minutes, seconds = expression.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


def shown_by_ttconv(document: str) -> list[ReadCue]:
    """What a renderer shows: the pictures between two significant times that have text."""
    model = reader.to_model(ElementTree.ElementTree(ElementTree.fromstring(document)))
    times = list(ISD.significant_times(model))
    pictures = [(time, _picture(ISD.from_model(model, time))) for time in times]
    return [
        ReadCue(round(start * 1000), round(end * 1000), text) for (start, text), (end, _) in pairwise(pictures) if text
    ]


def _picture(picture: ISD) -> str:
    texts = []
    for element in (element for region in picture.iter_regions() for element in region.dfs_iterator()):
        kind = type(element).__name__
        texts.append("\n" if kind == "Br" else element.get_text() if kind == "Text" else "")
    return "".join(texts)


@OFTEN
@given(transcripts)
def test_any_transcript_conforms_and_reads_back_as_its_cues(transcript: Transcript) -> None:
    document = written(transcript, "ttml")
    assert violations(document.encode()) == []
    assert read(document) == expected(transcript)
    assert_in_order(read(document))


@OFTEN
@given(transcripts)
def test_marked_words_conform_and_leave_text_and_times_as_they_are(transcript: Transcript) -> None:
    document = written(transcript, "ttml", highlight_words=True)
    assert violations(document.encode()) == []
    assert joined(read(document)) == joined(expected(transcript))
    assert_in_order(read(document))


@pytest.mark.parametrize("cues", [CUES, DIALOGUE])
def test_ttconv_shows_the_same_cues(cues: list[Cue]) -> None:
    shown = shown_by_ttconv(rendered(cues, "ttml", TALK))
    assert [(cue.start_ms, cue.end_ms) for cue in shown] == [(cue.start_ms, cue.end_ms) for cue in cues]
    assert [_lines(cue.text) for cue in shown] == [_lines(cue.text) for cue in cues]


@pytest.mark.parametrize("case", GOLDEN)
def test_ttconv_shows_the_cues_of_the_transcripts_that_are_kept(case: str) -> None:
    transcript = read_file(GOLDEN_FOLDER / f"{case}.json").transcript
    shown, cues = shown_by_ttconv(written(transcript, "ttml")), expected(transcript)
    assert [replace(cue, text="") for cue in shown] == [replace(cue, text="") for cue in cues]
    assert [_lines(cue.text) for cue in shown] == [_lines(cue.text) for cue in cues]


def test_a_marked_cue_is_shown_throughout() -> None:
    shown = shown_by_ttconv(rendered(CUES, "ttml", highlight_words=True))
    assert [(cue.start_ms, cue.end_ms) for cue in joined(shown)] == [(cue.start_ms, cue.end_ms) for cue in CUES]


def _lines(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n")]


def test_each_word_is_marked_while_it_is_spoken_for_a_quarter_of_a_second_at_least() -> None:
    root = ElementTree.fromstring(rendered(CUES, "ttml", highlight_words=True))
    marked = [
        (paragraph.get("begin"), paragraph.get("end"), span.text)
        for paragraph in root.iter(f"{TT}p")
        for span in paragraph.iter(f"{TT}span")
        if span.get("style") == "spoken"
    ]
    assert marked[:4] == [
        ("00:00:00.500", "00:00:00.900", "Hej"),
        ("00:00:00.900", "00:00:01.150", "&"),
        ("00:00:01.150", "00:00:02.000", "välkommen!"),
        ("00:00:02.100", "00:00:02.500", "1 < 2"),
    ]


def test_silence_is_a_document_without_a_body() -> None:
    document = written(SILENCE, "ttml")
    assert violations(document.encode()) == []
    assert "tt:body" not in document
    assert 'xml:lang="und"' in document
    assert reader.to_model(ElementTree.ElementTree(ElementTree.fromstring(document))).get_body() is None


def test_the_language_is_that_of_the_text() -> None:
    spoken = Transcript("sv", 12.0, 4.2, "base", engine={"task": "translate"})
    assert 'xml:lang="en"' in rendered(CUES, "ttml", spoken)
    assert 'xml:lang="sv"' in rendered(CUES, "ttml")


def test_what_is_said_in_another_language_says_so() -> None:
    said = Transcript("sv", 12.0, 4.2, "base", (Segment(2.1, 3.0, "1 < 2", language="en"), Segment(8.0, 9.0, "Slut.")))
    first, second, third = re.findall("<tt:p [^>]*>", rendered(CUES, "ttml", said))
    assert 'xml:lang="en"' in second
    assert "xml:lang" not in first + third
    assert violations(rendered(CUES, "ttml", said).encode()) == []
    assert rendered(CUES, "ttml", replace(said, engine={"task": "translate"})).count("xml:lang") == 1


def test_who_speaks_is_an_agent_of_the_metadata() -> None:
    document = rendered(DIALOGUE, "ttml", TALK)
    assert violations(document.encode()) == []
    assert '<ttm:name type="full">Anna &lt;&amp;&gt; Öberg</ttm:name>' in document
    assert 'ttm:agent="speaker2">- Tjena.<' in document


def test_lines_of_two_speakers_begin_below_one_another() -> None:
    first, second, _ = re.findall("<tt:p [^>]*>", rendered(DIALOGUE, "ttml", TALK))
    assert 'style="cue dialogue"' in first
    assert 'style="cue"' in second


def test_text_from_the_right_begins_at_the_right() -> None:
    cues = [Cue(0, 1000, (line((0, 1000, "«مرحبا!»")),)), Cue(1000, 2000, (line((1000, 2000, "Hej مرحبا!")),))]
    first, second = re.findall("<tt:p [^>]*>", rendered(cues, "ttml"))
    assert 'style="cue rightToLeft"' in first
    assert 'style="cue"' in second


GOOD = rendered(DIALOGUE, "ttml", TALK, highlight_words=True)
FAULTS = [
    ("encoding", 'encoding="UTF-8"', 'encoding="ISO-8859-1"'),
    ("well-formed", "</tt:body>", ""),
    ("doctype", "<tt:tt ", "<!DOCTYPE tt><tt:tt "),
    ("root", "tt:tt", "tt:ttx"),
    ("required", ' xml:lang="sv"', ""),
    ("value", 'xml:lang="sv"', 'xml:lang="sv_SE"'),
    ("required", ' ttp:timeBase="media"', ""),
    ("value", 'timeBase="media"', 'timeBase="smpte"'),
    ("value", '"32 15"', '"32"'),
    ("cells", ' ttp:cellResolution="32 15"', ""),
    ("attribute", 'ttp:timeBase="media"', 'ttp:timeBase="media" ttp:frameRate="25"'),
    ("attribute", 'ttp:timeBase="media"', 'ttp:timeBase="media" ttp:contentProfiles="x"'),
    ("attribute", 'ttp:timeBase="media"', 'ttp:timeBase="media" tts:extent="1920px 1080px"'),
    ("signalling", "urn:ebu:tt:distribution:2018-04", "urn:ebu:tt:distribution"),
    ("signalling", "/imsc1.1/text", "/imsc1.1/image"),
    ("signalling", "<tt:metadata>", '<tt:metadata><ttp:profile use="x"/>'),
    ("children", "<tt:styling>", "<tt:layout/><tt:styling>"),
    ("children", "<tt:div>", "<tt:div/><tt:div>"),
    ("children", "</tt:body>", '<tt:p xml:id="x"/></tt:body>'),
    ("children", "<tt:br />", '<tt:span style="text"><tt:span>x</tt:span></tt:span>'),
    ("children", "</tt:p>", "<tt:set/></tt:p>"),
    ("element", "</tt:p>", "<tt:set/></tt:p>"),
    ("text", "<tt:div>", "<tt:div>text"),
    ("required", 'xml:id="cue1" ', ""),
    ("unique", 'xml:id="cue2"', 'xml:id="cue1"'),
    ("value", 'xml:id="cue2"', 'xml:id="2"'),
    ("required", ' tts:origin="10% 76%"', ""),
    ("required", ' tts:extent="80% 14%"', ""),
    ("value", "80% 14%", "640px 80px"),
    ("region", "80% 14%", "95% 14%"),
    ("region", ' region="bottom"', ""),
    ("reference", 'region="bottom"', 'region="top"'),
    ("reference", 'style="spoken"', 'style="red"'),
    ("reference", 'ttm:agent="speaker1"', 'ttm:agent="speaker9"'),
    ("attribute", 'style="spoken"', 'tts:color="#ffff00"'),
    ("attribute", '<tt:style xml:id="base"', '<tt:style style="text" xml:id="base"'),
    ("attribute", 'region="bottom"', 'region="bottom" dur="1s"'),
    ("attribute", 'region="bottom"', 'region="bottom" timeContainer="seq"'),
    ("value", "#ffffff", "white"),
    ("value", '"80%"', '"1c"'),
    ("value", '"125%"', '"1.25"'),
    ("value", '"0.5c"', '"0.5em"'),
    ("value", 'Align="center"', 'Align="justify"'),
    ("value", 'multiRowAlign="start"', 'multiRowAlign="left"'),
    ("value", 'begin="00:00:00.000"', 'begin="0s"'),
    ("value", 'begin="00:00:00.000"', 'begin="00:00:00:00"'),
    ("value", 'begin="00:00:00.000"', 'begin="0:00:00.000"'),
    ("times", 'begin="00:00:00.000" ', ""),
    ("times", 'begin="00:00:00.000"', 'begin="01:00:00.000"'),
    ("times", '<tt:span style="spoken"', '<tt:span begin="00:00:00.000" end="00:00:01.000" style="spoken"'),
    ("value", 'type="person"', 'type="human"'),
    (
        "region: more than four",
        "</tt:layout>",
        "".join(f'<tt:region xml:id="r{n}" tts:origin="0% 0%" tts:extent="9% 9%"/>' for n in range(4)) + "</tt:layout>",
    ),
]


def test_the_document_that_faults_are_planted_in_has_none() -> None:
    assert violations(GOOD.encode()) == []


@pytest.mark.parametrize(("rule", "right", "wrong"), FAULTS)
def test_a_planted_fault_is_found(rule: str, right: str, wrong: str) -> None:
    assert right in GOOD
    found = violations(GOOD.replace(right, wrong).encode())
    assert any(f"{violation}:".startswith(f"{rule}:") for violation in found), found


def test_bytes_that_are_no_utf_8_are_found() -> None:
    assert violations(GOOD.encode("utf-16"))[0].startswith("encoding:")
