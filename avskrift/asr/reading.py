"""A recording to windows of chunks, each with the point behind it at which another process can go on.

Every block passes speech detection and packing wholly before a chunk of it is given out, so the state between two
blocks and the bounds of the chunks that still wait are all there is to keep. To go on, the recording is decoded from
its start again, because seeking is not exact to the sample; what was heard before is kept only where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from avskrift.asr.packing import CHUNK_S, Chunk, Packer
from avskrift.asr.plan import WindowSizes
from avskrift.asr.vad import Bounds, SpeechSpan, SpeechState, Vad, speech_finder
from avskrift.audio import Samples

ChunkBounds = tuple[Bounds, ...]


class Misfit(Exception):
    """The recording does not go as the resume point says: it belongs to another one, or to another decoder."""


@dataclass(frozen=True)
class ResumePoint:
    """What has been read but is not in a finished window, and how to read on. Made only between two blocks."""

    speech: SpeechState | None = field(default_factory=SpeechState)
    """None when the recording has been heard to its end."""
    waiting: tuple[ChunkBounds, ...] = ()
    """Chunks that are packed."""
    open: ChunkBounds = ()
    """Spans of the chunk that is being packed."""


@dataclass(frozen=True)
class Window:
    """Chunks that are decoded together, in order, and where to resume once they are."""

    chunks: tuple[Chunk, ...]
    after: ResumePoint
    is_whole: bool = False
    """Whether the recording has these chunks and no others."""
    languages: tuple[str, ...] = ()
    """Of each chunk, where they are of several recordings."""


def windows(
    blocks: Iterable[Samples],
    sizes: WindowSizes,
    resume: ResumePoint | None = None,
    vad: Vad = "default",
    chunk_s: float = CHUNK_S,
) -> Iterator[Window]:
    """The speech in ``blocks`` in windows of chunks, the last one smaller; holds little more than one.

    ``blocks`` are those of the whole recording. With ``resume`` they are not listened to before that point; raises
    ``Misfit`` when they do not reach it. Only what begins a recording begins with a small window. Spans are put
    together up to ``chunk_s`` seconds.
    """
    blocks = iter(blocks)
    reader = _Reader(blocks, sizes, resume, vad, chunk_s)
    yield from reader.full_windows()
    for block in blocks:
        reader.hear(block)
        yield from reader.full_windows()
    reader.finish()
    while reader.waiting:
        yield reader.take()


class _Reader:
    """The chain from blocks to chunks. Takes those blocks that ``resume`` has behind it."""

    def __init__(
        self, blocks: Iterator[Samples], sizes: WindowSizes, resume: ResumePoint | None, vad: Vad, chunk_s: float
    ) -> None:
        self._sizes = sizes
        self._given = 1 if resume else 0
        resume = resume or ResumePoint()
        speech = resume.speech
        tape = [speech.tape_bounds] if speech else []
        bounds = [*tape, *resume.open, *(span for chunk in resume.waiting for span in chunk)]
        found = iter(_gather(blocks, bounds, speech.heard if speech else None))
        self._finder = speech_finder(vad, speech, next(found)) if speech else None
        self._packer = Packer([SpeechSpan(start, next(found)) for start, _ in resume.open], chunk_s)
        self.waiting = [Chunk(tuple(SpeechSpan(start, next(found)) for start, _ in chunk)) for chunk in resume.waiting]

    def hear(self, block: Samples) -> None:
        if self._finder:
            self._pack(self._finder.hear(block))

    def finish(self) -> None:
        if self._finder:
            self._pack(self._finder.finish())
            self.waiting += self._packer.rest()
            self._finder = None

    def full_windows(self) -> Iterator[Window]:
        while len(self.waiting) >= self._sizes.after(self._given):
            yield self.take()

    def take(self) -> Window:
        is_first, size = not self._given, self._sizes.after(self._given)
        self._given += 1
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        is_last = not self._finder and not self.waiting
        return Window(tuple(taken), self._resume_point(), is_first and is_last)

    def _pack(self, spans: list[SpeechSpan]) -> None:
        for span in spans:
            self.waiting += self._packer.add(span)

    def _resume_point(self) -> ResumePoint:
        return ResumePoint(
            speech=self._finder.state() if self._finder else None,
            waiting=tuple(chunk.clock.spans for chunk in self.waiting),
            open=tuple(span.bounds for span in self._packer.open_spans),
        )


def _gather(blocks: Iterator[Samples], wanted: Sequence[Bounds], heard: int | None) -> list[Samples]:
    """The samples within each of ``wanted``, out of the first ``heard`` ones, or of all."""
    pieces: list[list[Samples]] = [[np.zeros(0, np.float32)] for _ in wanted]
    at = 0
    while heard is None or at < heard:
        block = next(blocks, None)
        if block is None:
            break
        for (start, end), kept in zip(wanted, pieces, strict=True):
            if start < at + len(block) and end > at:
                kept.append(block[max(0, start - at) : end - at])
        at += len(block)
    gathered = [np.concatenate(kept) for kept in pieces]
    complete = all(len(samples) == end - start for samples, (start, end) in zip(gathered, wanted, strict=True))
    if not complete or heard not in (None, at):
        raise Misfit("The recording does not go on where the checkpoint ended.")
    return gathered
