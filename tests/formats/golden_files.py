"""Three transcripts in every format, kept in ``golden/`` and read line by line before they were.

    .venv/bin/python -m tests.formats.golden_files      # writes them anew: read what changed before it is committed

``sv`` and ``en`` are what the base model heard in our samples; ``talk`` was written by hand and means harm: markup,
scripts of every direction, controls, people who talk at once, words without a time.
"""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avskrift.formats import FORMATS, RenderOptions, write_all
from avskrift.formats.presets import rules_for
from avskrift.formats.readers import read_file

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph

FOLDER = Path(__file__).parent / "golden"
CASES = {
    "sv": RenderOptions(rules=rules_for("sv-broadcast"), word_times=True, name="sv", media_url="sv.ogg"),
    "en": RenderOptions(highlight_words=True, timestamps=True, name="en"),
    "talk": RenderOptions(
        timestamps=True, bom=True, name='Talk & "more" <1>', media_url="https://example.org/a?b=1&c=2"
    ),
}
_REPEATED = re.compile(r"(<(?P<tag>style|script)\b[^>]*>).*?(</(?P=tag)>)", re.DOTALL)
_HASH = re.compile(r"(sha256-)[A-Za-z0-9+/=]+")


def golden_file(case: str, name: str) -> Path:
    """Where a format is kept; a document as what stands in it, since a zip file can't be read line by line."""
    ending = ".txt" if name == "docx" else ""
    return FOLDER / case / f"{case}.{FORMATS[name].extension}{ending}"


def written(case: str) -> dict[Path, bytes]:
    """Every golden file of a case as it comes out now."""
    transcript = read_file(FOLDER / f"{case}.json").transcript
    contents = write_all(transcript, FORMATS, CASES[case])
    return {golden_file(case, name): _legible(name, content) for name, content in contents}


def _legible(name: str, content: bytes) -> bytes:
    if name == "docx":
        return _paragraphs(content).encode()
    if name == "html":  # its style and script are the same in all, and have tests of their own
        return _HASH.sub(r"\1", _REPEATED.sub(r"\1\3", content.decode())).encode()
    return content


def _paragraphs(content: bytes) -> str:
    """Each paragraph with its style, each run of it that is formatted by itself, and each field; tables by row."""
    import docx
    from docx.table import Table

    document = docx.Document(io.BytesIO(content))
    lines = []
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            cells = (
                [_paragraph(paragraph) for cell in row.cells for paragraph in cell.paragraphs] for row in block.rows
            )
            lines += ["Table row: " + " / ".join(row) for row in cells]
        else:
            lines.append(_paragraph(block))
    lines += ["At the foot: " + _paragraph(paragraph) for paragraph in document.sections[0].footer.paragraphs]
    return "".join(f"{line}\n" for line in lines)


def _paragraph(paragraph: Paragraph) -> str:
    style = paragraph.style.name if paragraph.style else ""
    return f"{style}: " + "|".join(_run(element) for element in paragraph._p if not element.tag.endswith("}pPr"))


def _run(element: Any) -> str:
    from docx.oxml.ns import qn

    if element.tag.endswith("}fldSimple"):
        return f"{{{element.get(qn('w:instr'))}}}"
    return str(element.text).replace("\n", "\\n")


if __name__ == "__main__":
    for case in CASES:
        shutil.rmtree(FOLDER / case, ignore_errors=True)
        (FOLDER / case).mkdir()
        for path, content in written(case).items():
            path.write_bytes(content)
