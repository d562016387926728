"""One batch of chunks to text through the quality gate.

All chunks are decoded together; those that fail are tried again together with those that need the same, so that batches
stay full and who shares one with whom is decided by the chunks alone. An attempt that passes ends the search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from avskrift.asr.audit import ChunkAudit, Fault, How
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.gate import choose, most_attempts, next_remedy
from avskrift.asr.halving import can_be_halved
from avskrift.asr.packing import Chunk
from avskrift.asr.takes import BEAM_SIZE, Take, Takes
from avskrift.asr.task import Task
from avskrift.asr.whisper import Whisper


def decode_batch(whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> list[DecodedChunk]:
    """What is said in each chunk. Raises ``Cancelled`` between attempts."""
    task.raise_if_cancelled()
    tried = attempts_at(whisper, chunks, task)
    return [_decoded(chunk, of_chunk) for chunk, of_chunk in zip(chunks, tried, strict=True)]


def attempts_at(whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> list[list[Take]]:
    """All attempts at each chunk, in the order they are made."""
    takes = Takes(whisper, chunks, task)
    firsts = takes.first()
    tried = [[first] for first in firsts]
    offered = [set(_offered(chunk, task)) for chunk in chunks]
    while remedies := _remedies(tried, offered, most_attempts(firsts)):
        for how, rows in remedies.items():
            for row, take in zip(rows, takes.again(how, rows), strict=True):
                tried[row].append(take)
    return tried


def _remedies(tried: Sequence[Sequence[Take]], offered: Sequence[set[How]], most: int) -> dict[How, list[int]]:
    """Which chunks to try how; empty when every chunk has passed or has no attempt left."""
    wanted = [next_remedy(takes, its_own, most) for takes, its_own in zip(tried, offered, strict=True)]
    return {how: [row for row, remedy in enumerate(wanted) if remedy is how] for how in How if how in wanted}


def _offered(chunk: Chunk, task: Task) -> Iterator[How]:
    """What may be tried with this chunk at all."""
    yield from (How.TIMESTAMPS, How.NO_REPEAT, How.LANGUAGE)
    if can_be_halved(chunk):
        yield How.WINDOWS
    if task.options.beam_size < BEAM_SIZE:
        yield How.BEAM


def _decoded(chunk: Chunk, takes: Sequence[Take]) -> DecodedChunk:
    chosen = choose(takes)
    taken = takes[chosen]
    words = () if Fault.NO_SPEECH in taken.faults else taken.words
    audit = ChunkAudit(tuple(take.audit() for take in takes), chosen)
    return DecodedChunk(chunk.clock, words, taken.measures.language, audit)
