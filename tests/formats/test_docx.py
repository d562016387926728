"""The document, read with python-docx: what a clerk sees, in styles that can be replaced."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import docx
import pytest
from docx.document import Document
from docx.oxml.ns import qn
from docx.shared import Mm
from hypothesis import given, settings

from avskrift import formats
from avskrift.formats import RenderOptions
from avskrift.formats.paragraphs import paragraphs_of
from avskrift.formats.tidy import clock_s, speaker_names
from avskrift.transcript import UNKNOWN_MODEL, Segment, Transcript
from tests.formats.documents import INTERVIEW, SILENCE, transcripts


def written(transcript: Transcript, name: str = "Sammanträde 12") -> bytes:
    return formats.write(transcript, "docx", RenderOptions(name=name))


def read(transcript: Transcript, name: str = "Sammanträde 12") -> Document:
    return docx.Document(io.BytesIO(written(transcript, name)))


def styled(document: Document, style: str) -> list[str]:
    return [paragraph.text for paragraph in document.paragraphs if paragraph.style.name == style]


def test_the_head_tells_what_the_recording_is() -> None:
    document = read(INTERVIEW)
    assert styled(document, "Title") == ["Sammanträde 12"]
    assert styled(document, "Subtitle") == ["Maskinell avskrift, inte kontrollerad mot inspelningen"]
    facts = {row.cells[0].text: row.cells[1].text for row in document.tables[0].rows}
    assert facts == {
        "Längd": "01:02:05",
        "Språk": "Svenska",
        "Talare": "Anna Lind, Bo Ek",
        "Ord": "15",
        "Modell": "kb-whisper-small",
    }
    assert styled(document, "List Bullet") == ["The file is cut short."]


def test_what_was_read_from_subtitles_claims_no_machine() -> None:
    document = read(replace(INTERVIEW, engine={}, model=UNKNOWN_MODEL))
    assert styled(document, "Subtitle") == []
    assert "Modell" not in [row.cells[0].text for row in document.tables[0].rows]


def test_turns_have_their_speaker_and_paragraphs_their_time() -> None:
    document = read(INTERVIEW)
    told = [paragraph for paragraph in document.paragraphs if paragraph.style.name in ("Speaker", "Speech")]
    assert [(paragraph.style.name, paragraph.text) for paragraph in told] == [
        ("Speaker", "Anna Lind"),
        ("Speech", "00:00:00\tVälkommen hit. Vad har du & de andra <gjort>?"),
        ("Speaker", "Bo Ek"),
        ("Speech", "00:00:04\tVi har räknat."),
        ("Speech", "00:00:09\tLänge."),
        ("Speaker", "Anna Lind"),
        ("Speech", "01:00:00\tThank you."),
    ]
    assert told[1].runs[0].style.name == "Timestamp"


def test_the_styles_do_the_looks() -> None:
    styles = read(INTERVIEW).styles
    assert styles["Speaker"].paragraph_format.keep_with_next
    assert styles["Speaker"].next_paragraph_style == styles["Speech"]
    indents = styles["Speech"].paragraph_format
    assert indents.left_indent == -indents.first_line_indent


def test_the_page_is_a4_and_numbered() -> None:
    section = read(INTERVIEW).sections[0]
    assert (round(section.page_width / Mm(1)), round(section.page_height / Mm(1))) == (210, 297)
    fields = section.footer.paragraphs[0]._p.findall(qn("w:fldSimple"))
    assert [field.get(qn("w:instr")) for field in fields] == ["PAGE", "NUMPAGES"]
    assert section.footer.paragraphs[0].text.startswith("Sammanträde 12\tSida ")


def test_spelling_is_checked_in_the_language_spoken() -> None:
    document = read(INTERVIEW)
    defaults = document.styles.element.find(f"{qn('w:docDefaults')}//{qn('w:lang')}")
    assert defaults.get(qn("w:val")) == "sv-SE"
    languages = [lang.get(qn("w:val")) for lang in document.element.body.iter(qn("w:lang"))]
    assert languages == ["en-GB"]


def test_languages_of_other_scripts_are_told_where_word_looks_for_them() -> None:
    for language, attribute, locale in (
        ("ar", "w:bidi", "ar-SA"),
        ("ja", "w:eastAsia", "ja-JP"),
        ("hi", "w:val", "hi-IN"),
    ):
        styles = read(replace(INTERVIEW, language=language)).styles.element
        assert styles.find(f"{qn('w:docDefaults')}//{qn('w:lang')}").get(qn(attribute)) == locale


def test_a_translation_is_english() -> None:
    translated = replace(INTERVIEW, engine={"name": "avskrift", "task": "translate"})
    document = read(translated)
    assert styled(document, "Heading 1") == ["Notes", "Transcript"]
    assert document.core_properties.language == "en-GB"


def test_properties_tell_nothing_of_the_template() -> None:
    properties = read(INTERVIEW).core_properties
    assert (properties.title, properties.author, properties.comments) == ("Sammanträde 12", "avskrift", "")
    assert properties._element.find(f"{{{properties._element.nsmap['dcterms']}}}created") is None


def test_what_is_read_from_right_to_left_is_set_so() -> None:
    segments = (Segment(0.0, 2.0, "مرحبا بالعالم abc"), Segment(9.0, 10.0, "abc مرحبا"))
    first, second = read(Transcript("ar", 10.0, 3.0, "base", segments)).paragraphs[-2:]
    assert first._p.pPr.find(qn("w:bidi")) is not None
    assert second._p.pPr.find(qn("w:bidi")) is None


def test_silence_says_so() -> None:
    assert read(SILENCE).paragraphs[-1].text == "No speech was found in the recording."


def test_without_speakers_there_are_only_times() -> None:
    document = read(Transcript("sv", 2.0, 1.0, "base", (Segment(0.0, 1.0, "Hej."),)))
    assert (styled(document, "Speaker"), styled(document, "Speech")) == ([], ["00:00:00\tHej."])


@pytest.mark.parametrize("name", ["\x00\ud800", "a & <b> ]]> \ufffe", "x" * 400])
def test_any_name_can_be_a_title(name: str) -> None:
    assert len(styled(read(INTERVIEW, name), "Title")) == 1


@settings(max_examples=10)
@given(transcripts)
def test_any_transcript_reads_back_as_its_paragraphs(transcript: Transcript) -> None:
    paragraphs = list(paragraphs_of(transcript))
    names = speaker_names(transcript)
    document = read(transcript)
    assert styled(document, "Speech") == [f"{clock_s(each.start_s)}\t{each.text}" for each in paragraphs]
    speakers = [names[each.speaker] for each in paragraphs if each.starts_turn and names[each.speaker]]
    assert styled(document, "Speaker") == speakers


@settings(max_examples=10)
@given(transcripts)
def test_every_part_is_well_formed(transcript: Transcript) -> None:
    package = zipfile.ZipFile(io.BytesIO(written(transcript)))
    assert package.testzip() is None
    for name in package.namelist():
        if name.endswith((".xml", ".rels")):
            ElementTree.fromstring(package.read(name))
