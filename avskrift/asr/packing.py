"""Speech spans packed into chunks of up to 30 s, and the one way back from a chunk's clock to the recording's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avskrift.asr.vad import SpeechSpan
from avskrift.audio import SAMPLE_RATE_HZ, Samples

#: The window of Whisper's encoder.
CHUNK_S = 30.0


@dataclass(frozen=True, eq=False)
class Chunk:
    """Spans of speech laid end to end, the silence between them removed."""

    spans: tuple[SpeechSpan, ...]

    @cached_property
    def samples(self) -> Samples:
        return np.concatenate([span.samples for span in self.spans])

    @property
    def duration_s(self) -> float:
        return self._packed_starts[-1] / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        """Where the chunk's last span ends in the recording."""
        return self.spans[-1].end / SAMPLE_RATE_HZ

    def span_at(self, packed_s: float) -> int:
        """Which span sounds at this second of the chunk (the first or last one outside it)."""
        index = bisect_right(self._packed_starts, packed_s * SAMPLE_RATE_HZ) - 1
        return min(max(index, 0), len(self.spans) - 1)

    def to_recording(self, start_s: float, end_s: float) -> tuple[float, float]:
        """A stretch of the chunk's clock on the recording's clock, inside the one span that holds its middle.

        Nothing mapped here ever reaches over removed silence or outside the recording.
        """
        index = self.span_at((start_s + end_s) / 2)
        span = self.spans[index]
        shift = (span.start - self._packed_starts[index]) / SAMPLE_RATE_HZ
        low, high = span.start / SAMPLE_RATE_HZ, span.end / SAMPLE_RATE_HZ
        start = min(max(start_s + shift, low), high)
        return start, min(max(end_s + shift, start), high)

    @cached_property
    def _packed_starts(self) -> list[int]:
        """Where each span begins in the chunk, in samples; last, where the chunk ends."""
        return [0, *np.cumsum([len(span.samples) for span in self.spans]).tolist()]


def pack(spans: Iterable[SpeechSpan], chunk_s: float = CHUNK_S) -> Iterator[Chunk]:
    """Chunks as full as they get without cutting a span, in order."""
    limit = round(chunk_s * SAMPLE_RATE_HZ)
    open_spans: list[SpeechSpan] = []
    open_samples = 0
    for span in spans:
        if open_spans and open_samples + len(span.samples) > limit:
            yield Chunk(tuple(open_spans))
            open_spans, open_samples = [], 0
        open_spans.append(span)
        open_samples += len(span.samples)
    if open_spans:
        yield Chunk(tuple(open_spans))
