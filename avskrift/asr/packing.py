"""Speech spans packed into chunks of up to 30 s, and the one way back from a chunk's clock to the recording's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from avskrift.asr.vad import Bounds, SpeechSpan
from avskrift.audio import SAMPLE_RATE_HZ, Samples

#: The window of Whisper's encoder.
CHUNK_S = 30.0


@dataclass(frozen=True)
class ChunkClock:
    """Where the spans of a chunk lie in the recording, in order: all that is needed of a chunk once it is decoded."""

    spans: tuple[Bounds, ...]

    @property
    def duration_samples(self) -> int:
        return self._packed_starts[-1]

    @property
    def duration_s(self) -> float:
        return self.duration_samples / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        """Where the chunk's last span ends in the recording."""
        return self.spans[-1][1] / SAMPLE_RATE_HZ

    def bounds_s(self, span: int) -> tuple[float, float]:
        """Where a span begins and ends in the recording."""
        start, end = self.spans[span]
        return start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ

    def later(self, samples: int) -> ChunkClock:
        """The same chunk of a recording that begins so much earlier."""
        return ChunkClock(tuple((start + samples, end + samples) for start, end in self.spans)) if samples else self

    def span_at(self, packed_s: float) -> int:
        """Which span sounds at this second of the chunk (the first or last one outside it)."""
        index = bisect_right(self._packed_starts, packed_s * SAMPLE_RATE_HZ) - 1
        return min(max(index, 0), len(self.spans) - 1)

    def to_recording(self, start_s: float, end_s: float) -> tuple[float, float]:
        """A stretch of the chunk's clock on the recording's clock, inside the one span that holds its middle.

        Nothing mapped here ever reaches over removed silence or outside the recording.
        """
        index = self.span_at((start_s + end_s) / 2)
        shift = (self.spans[index][0] - self._packed_starts[index]) / SAMPLE_RATE_HZ
        low, high = self.bounds_s(index)
        start = min(max(start_s + shift, low), high)
        return start, min(max(end_s + shift, start), high)

    @cached_property
    def _packed_starts(self) -> list[int]:
        """Where each span begins in the chunk, in samples; last, where the chunk ends."""
        return list(accumulate((end - start for start, end in self.spans), initial=0))


@dataclass(frozen=True, eq=False)
class Chunk:
    """Spans of speech laid end to end, the silence between them removed."""

    spans: tuple[SpeechSpan, ...]

    @property
    def samples(self) -> Samples:
        """All of them in one piece, made anew at each call."""
        return np.concatenate([span.samples for span in self.spans])

    @cached_property
    def clock(self) -> ChunkClock:
        return ChunkClock(tuple(span.bounds for span in self.spans))


class Packer:
    """Fills one chunk after the other; ``open_spans`` are those of the chunk that is being filled."""

    def __init__(self, open_spans: Iterable[SpeechSpan] = (), chunk_s: float = CHUNK_S) -> None:
        self.open_spans = list(open_spans)
        self._limit = round(chunk_s * SAMPLE_RATE_HZ)
        self._open_samples = sum(len(span.samples) for span in self.open_spans)

    def add(self, span: SpeechSpan) -> list[Chunk]:
        """The chunk that is full since it has no room for this span, if so."""
        full = self.rest() if self._open_samples + len(span.samples) > self._limit else []
        self.open_spans.append(span)
        self._open_samples += len(span.samples)
        return full

    def rest(self) -> list[Chunk]:
        """The chunk that is being filled, if there is something in it."""
        rest = [Chunk(tuple(self.open_spans))] if self.open_spans else []
        self.open_spans, self._open_samples = [], 0
        return rest


def pack(spans: Iterable[SpeechSpan], chunk_s: float = CHUNK_S) -> Iterator[Chunk]:
    """Chunks as full as they get without cutting a span, in order."""
    packer = Packer(chunk_s=chunk_s)
    for span in spans:
        yield from packer.add(span)
    yield from packer.rest()
