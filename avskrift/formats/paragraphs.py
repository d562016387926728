"""Paragraphs for whoever reads: after a long pause, where another speaks (by name or dash), and where one is long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from avskrift.formats.dashes import begins_turn
from avskrift.formats.sentences import ends_sentence
from avskrift.formats.tidy import tidy_segments
from avskrift.transcript import Segment, Transcript

PARAGRAPH_PAUSE_S = 2.0
#: From here on a paragraph ends with its sentence, and at twice this with whatever segment it has come to.
LONG_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What one speaker says, segment by segment; ``starts_turn`` where somebody else spoke before."""

    segments: tuple[Segment, ...]
    starts_turn: bool

    @property
    def speaker(self) -> str | None:
        return self.segments[0].speaker

    @property
    def start_s(self) -> float:
        return self.segments[0].start_s

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


def paragraphs_of(transcript: Transcript) -> Iterator[Paragraph]:
    """All that is said, in order; nothing for silence."""
    gathered: list[Segment] = []
    length, starts_turn = 0, True
    for segment in tidy_segments(transcript):
        if gathered and _starts_anew(gathered[-1], segment, length):
            yield Paragraph(tuple(gathered), starts_turn)
            starts_turn = segment.speaker != gathered[-1].speaker
            gathered, length = [], 0
        gathered.append(segment)
        length += len(segment.text) + 1
    if gathered:
        yield Paragraph(tuple(gathered), starts_turn)


def _starts_anew(previous: Segment, segment: Segment, length: int) -> bool:
    if segment.speaker != previous.speaker or segment.start_s - previous.end_s >= PARAGRAPH_PAUSE_S:
        return True
    if begins_turn(segment.text):
        return True
    return length >= LONG_CHARACTERS and (ends_sentence(previous.text) or length >= 2 * LONG_CHARACTERS)
