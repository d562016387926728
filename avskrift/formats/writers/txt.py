"""Plain text: paragraphs, cut where somebody pauses for long or another speaks."""

from __future__ import annotations

from avskrift.formats.format import Format
from avskrift.formats.paragraphs import Paragraph, paragraphs_of
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import clock_s


def render(rendition: Rendition) -> str:
    """Paragraphs with an empty line between; nothing at all for silence."""
    names = rendition.speaker_names
    paragraphs = (
        _heading(paragraph, names[paragraph.speaker], rendition.options.timestamps) + paragraph.text
        for paragraph in paragraphs_of(rendition.transcript)
    )
    text = "\n\n".join(paragraphs)
    return text + "\n" if text else ""


def _heading(paragraph: Paragraph, speaker: str, timestamps: bool) -> str:
    said_at = f"[{clock_s(paragraph.start_s)}] " if timestamps else ""
    return f"{said_at}{speaker}: " if speaker else said_at


FORMAT = Format(
    name="txt",
    extension="txt",
    content_type="text/plain; charset=utf-8",
    needs_word_times=False,
    render=render,
    heeds=frozenset({"timestamps"}),
)
