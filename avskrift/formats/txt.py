"""Plain text: paragraphs, cut where somebody pauses for long or another speaks."""

from __future__ import annotations

from collections.abc import Iterator

from avskrift.transcript import Segment, Transcript

PARAGRAPH_PAUSE_S = 2.0


def render(transcript: Transcript) -> str:
    """Paragraphs with an empty line between; nothing at all for silence."""
    return "\n\n".join(_paragraphs(transcript)) + "\n" if transcript.text else ""


def _paragraphs(transcript: Transcript) -> Iterator[str]:
    names = {speaker.id: speaker.name for speaker in transcript.speakers}
    paragraph: list[Segment] = []
    for segment in transcript.segments:
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
