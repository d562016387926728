"""Plain text: paragraphs, cut where somebody pauses for long or another speaks."""

from __future__ import annotations

from collections.abc import Iterator

from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition
from avskrift.transcript import Segment

PARAGRAPH_PAUSE_S = 2.0


def render(rendition: Rendition) -> str:
    """Paragraphs with an empty line between; nothing at all for silence."""
    return "\n\n".join(_paragraphs(rendition)) + "\n" if rendition.transcript.text else ""


def _paragraphs(rendition: Rendition) -> Iterator[str]:
    names = rendition.speaker_names
    paragraph: list[Segment] = []
    for segment in rendition.transcript.segments:
        if paragraph and _starts_anew(paragraph[-1], segment):
            yield _joined(paragraph, names)
            paragraph = []
        if segment.text:
            paragraph.append(segment)
    if paragraph:
        yield _joined(paragraph, names)


def _starts_anew(previous: Segment, segment: Segment) -> bool:
    return segment.start_s - previous.end_s >= PARAGRAPH_PAUSE_S or segment.speaker != previous.speaker


def _joined(paragraph: list[Segment], names: dict[str, str]) -> str:
    text = " ".join(" ".join(segment.text.split()) for segment in paragraph)
    speaker = paragraph[0].speaker
    return f"{names.get(speaker, speaker)}: {text}" if speaker else text


FORMAT = Format(
    name="txt",
    extension="txt",
    content_type="text/plain; charset=utf-8",
    description="plain text, a paragraph for each stretch without a long pause",
    needs_word_times=False,
    render=render,
)
