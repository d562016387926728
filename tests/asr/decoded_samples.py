"""Decoded chunks for tests that are not about the gate."""

from __future__ import annotations

from avskrift.asr.audit import AttemptAudit, ChunkAudit, How
from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.packing import Chunk

PASSED = ChunkAudit(
    (
        AttemptAudit(
            how=How.FIRST,
            faults=(),
            tokens=40,
            tokens_per_s=2.0,
            compression=1.5,
            log_probability=-0.4,
            no_speech_probability=0.01,
            uncovered_s=0.5,
            language="sv",
        ),
    )
)


def decoded(chunk: Chunk, *words: AlignedWord) -> DecodedChunk:
    """What the gate let pass at once."""
    return DecodedChunk(chunk.clock, words, "sv", PASSED)
