"""A chunk in two windows, cut where nobody speaks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from avskrift.asr.packing import Chunk
from avskrift.audio import SAMPLE_RATE_HZ, Samples

#: A shorter chunk is left in one piece.
MIN_SPEECH_S = 4.0
#: The cut lies at most this share of the chunk from its middle: 30 s give windows of 12 to 18 s.
_SLACK = 0.1
_QUIET = SAMPLE_RATE_HZ // 10


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a chunk: ``samples`` begin ``offset_s`` into it."""

    offset_s: float
    samples: Samples

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


def can_be_halved(chunk: Chunk) -> bool:
    return chunk.clock.duration_s >= MIN_SPEECH_S


def halves(chunk: Chunk) -> tuple[Piece, Piece]:
    """Cut between two spans if one ends near the middle, else in the quietest 0.1 s there."""
    samples = chunk.samples
    low, high = round(len(samples) * (0.5 - _SLACK)), round(len(samples) * (0.5 + _SLACK))
    ends = accumulate(len(span.samples) for span in chunk.spans[:-1])
    near = [end for end in ends if low <= end <= high]
    cut = min(near, key=lambda end: abs(end - len(samples) // 2)) if near else low + _quietest(samples[low:high])
    return Piece(0.0, samples[:cut]), Piece(cut / SAMPLE_RATE_HZ, samples[cut:])


def _quietest(samples: Samples) -> int:
    """The middle of the 0.1 s with the least power; the first of equals."""
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return int(np.argmin(power[_QUIET:] - power[:-_QUIET])) + _QUIET // 2
