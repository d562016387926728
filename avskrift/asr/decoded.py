"""What decoding makes of a chunk: words on the chunk's own clock, and how they came about."""

from __future__ import annotations

from dataclasses import dataclass

from avskrift.asr.audit import ChunkAudit
from avskrift.asr.packing import ChunkClock


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A word on its chunk's clock; ``text`` keeps the space before it, if the language has one there."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class DecodedChunk:
    """What was said in a chunk; its samples are gone.

    Where nobody asked for words, their times are estimated: each has its share of the chunk by its characters.
    """

    clock: ChunkClock
    words: tuple[AlignedWord, ...]
    language: str
    audit: ChunkAudit
