"""A document for Word: title, what is known of the recording, and who said what when, all in real styles.

The same transcript gives the same bytes. python-docx makes the document; the speech itself goes in as XML in one piece,
since ten hours of it would take python-docx alone many seconds.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from avskrift.formats import docx_styles
from avskrift.formats.format import Format
from avskrift.formats.labels import Labels, facts_of, is_machine_made, labels_for, notes_of
from avskrift.formats.paragraphs import Paragraph, paragraphs_of
from avskrift.formats.plain_text import escaped, reads_from_right
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import clock_s
from avskrift.languages import language_tag

if TYPE_CHECKING:
    from docx.document import Document

_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
#: The first day that zip files can tell: no two runs differ by when they were.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def render(rendition: Rendition) -> bytes:
    """The document, a zip file of XML (ECMA-376)."""
    import docx

    labels = labels_for(rendition)
    document = docx.Document()
    docx_styles.set_up(document, rendition.language)
    _add_head(document, rendition, labels)
    _add_speech(document, rendition, labels)
    _add_footer(document, rendition, labels)
    _set_properties(document, rendition, labels)
    written = io.BytesIO()
    document.save(written)
    return _without_dates(written)


def _add_head(document: Document, rendition: Rendition, labels: Labels) -> None:
    document.add_paragraph(_title(rendition, labels), style="Title")
    if is_machine_made(rendition.transcript):
        document.add_paragraph(labels.machine_made, style="Subtitle")
    _add_facts(document, facts_of(rendition, labels))
    notes = notes_of(rendition)
    if notes:
        document.add_heading(labels.notes, 1)
    for note in notes:
        document.add_paragraph(note, style="List Bullet")


def _add_facts(document: Document, facts: Sequence[tuple[str, str]]) -> None:
    from docx.shared import Cm

    table = document.add_table(len(facts), 2)
    table.autofit = False
    for row, fact in zip(table.rows, facts, strict=True):
        for cell, text, width_cm, style in zip(row.cells, fact, (3.5, 12.5), ("Strong", None), strict=True):
            cell.width = Cm(width_cm)
            cell.paragraphs[0].style = docx_styles.FACT
            cell.paragraphs[0].add_run(text, style)
    table.columns[0].width, table.columns[1].width = Cm(3.5), Cm(12.5)


def _title(rendition: Rendition, labels: Labels) -> str:
    return rendition.title or labels.transcript


def _add_speech(document: Document, rendition: Rendition, labels: Labels) -> None:
    from docx.oxml import parse_xml

    document.add_heading(labels.transcript, 1)
    paragraphs = "".join(_speech(rendition))
    if not paragraphs:
        document.add_paragraph(labels.no_speech)
        return
    body = parse_xml(f'<w:body xmlns:w="{_NAMESPACE}">{paragraphs}</w:body>')
    end = document.element.body.sectPr
    for paragraph in list(body):
        end.addprevious(paragraph)


def _speech(rendition: Rendition) -> Iterator[str]:
    """Each turn's speaker, and its paragraphs with the time they begin, as WordprocessingML."""
    names = rendition.speaker_names
    for paragraph in paragraphs_of(rendition.transcript):
        speaker = names[paragraph.speaker]
        if paragraph.starts_turn and speaker:
            yield _paragraph(docx_styles.SPEAKER, [_run(speaker)], right_to_left=reads_from_right(speaker))
        right_to_left = reads_from_right(paragraph.text)
        time = f'<w:r><w:rPr><w:rStyle w:val="{docx_styles.TIME}"/></w:rPr>{_text(clock_s(paragraph.start_s))}</w:r>'
        runs = [time, "<w:r><w:tab/></w:r>", *_runs(paragraph, right_to_left)]
        yield _paragraph(docx_styles.SPEECH, runs, right_to_left=right_to_left)


def _runs(paragraph: Paragraph, right_to_left: bool) -> Iterator[str]:
    """One for each language spoken."""
    joint = ""
    for language, segments in groupby(paragraph.segments, key=lambda segment: language_tag(segment.language)):
        yield _run(joint + " ".join(segment.text for segment in segments), language, right_to_left)
        joint = " "


def _paragraph(style: str, runs: Iterable[str], *, right_to_left: bool) -> str:
    direction = "<w:bidi/>" if right_to_left else ""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{direction}</w:pPr>{"".join(runs)}</w:p>'


def _run(text: str, language: str | None = None, right_to_left: bool = False) -> str:
    properties = "<w:rtl/>" if right_to_left else ""
    if language:
        properties += f'<w:lang w:val="{docx_styles.locale_of(language)}"/>'
    return f"<w:r>{f'<w:rPr>{properties}</w:rPr>' if properties else ''}{_text(text)}</w:r>"


def _text(text: str) -> str:
    return f'<w:t xml:space="preserve">{escaped(text)}</w:t>'


def _add_footer(document: Document, rendition: Rendition, labels: Labels) -> None:
    """The title, and the page of how many, which Word counts."""
    from docx.oxml import parse_xml

    paragraph = document.sections[0].footer.paragraphs[0]
    paragraph.add_run(f"{_title(rendition, labels)}\t{labels.page} ")
    for field, follows in (("PAGE", f" {labels.of} "), ("NUMPAGES", "")):
        counted = f'<w:fldSimple xmlns:w="{_NAMESPACE}" w:instr="{field}"><w:r><w:t>1</w:t></w:r></w:fldSimple>'
        paragraph._p.append(parse_xml(counted))
        paragraph.add_run(follows)


def _set_properties(document: Document, rendition: Rendition, labels: Labels) -> None:
    """Title and language; not the dates and names of the template that python-docx begins with."""
    properties = document.core_properties
    properties.title = _title(rendition, labels)[:255]
    properties.subject = labels.transcript
    properties.author, properties.last_modified_by, properties.comments, properties.keywords = "avskrift", "", "", ""
    properties.language = docx_styles.locale_of(rendition.language or "")
    for element in list(properties._element):
        if element.tag.endswith(("}created", "}modified")):
            properties._element.remove(element)


def _without_dates(written: io.BytesIO) -> bytes:
    import zipfile

    dated, undated = zipfile.ZipFile(written), io.BytesIO()
    with zipfile.ZipFile(undated, "w", zipfile.ZIP_DEFLATED) as package:
        for name in dated.namelist():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, dated.read(name))
    return undated.getvalue()


FORMAT = Format(
    name="docx",
    extension="docx",
    content_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    needs_word_times=True,
    render=render,
)
