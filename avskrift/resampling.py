"""Decoded frames of any rate, layout and sample format to mono float at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000

Samples = NDArray[np.float32]

#: As many channels as libswresample knows places for in a room; more are mixed with equal weights.
_MIXED_BY_PLACE = 8
#: Without it, libswresample adds the channels of a float mix up: loud stereo would be clipped from half its level.
_MIX_WITHIN_FULL_SCALE = {"rematrix_maxval": "1.0"}


class Resampler:
    """Frames in, samples out: all channels mixed, or with ``channel`` that one alone.

    Started anew when the stream changes its rate or layout on the way; a stretch with fewer channels than ``channel``
    gives its last one. Samples come as the file has them: neither finite nor within [-1, 1] for certain.
    Raises ``av.error.FFmpegError`` or ``ValueError`` for a frame that no resampler can be set up for.
    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._resampler: Any = None
        self._setup: tuple[object, ...] = ()

    def __call__(self, frame: Any) -> Iterator[Samples]:
        """``None`` for a frame brings out what is left."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate) if frame else self._setup
        if setup != self._setup:
            yield from self._convert(None)
            self._setup = setup
            self._resampler = self._begin(frame.layout)
        if frame:
            frame.pts = None  # damaged time stamps must not stretch or drop samples
        yield from self._convert(frame)

    def _begin(self, layout: Any) -> Any:
        by_place = self._channel is None and layout.nb_channels <= _MIXED_BY_PLACE
        return av.AudioResampler(
            format="flt",  # one plane; PyAV 18 reads beyond the planes of a frame that has more than eight
            layout="mono" if by_place else layout.name,
            rate=SAMPLE_RATE_HZ,
            options=_MIX_WITHIN_FULL_SCALE if by_place and layout.nb_channels > 1 else None,
        )

    def _convert(self, frame: Any) -> Iterator[Samples]:
        if self._resampler is None:
            return
        for converted in self._resample(frame):
            count = converted.layout.nb_channels
            samples = np.frombuffer(converted.planes[0], np.float32, converted.samples * count)
            if count == 1:
                yield samples
            elif self._channel is None:
                yield samples.reshape(-1, count).mean(axis=1)
            else:
                yield samples[min(self._channel, count - 1) :: count]

    def _resample(self, frame: Any) -> list[Any]:
        try:
            return list(self._resampler.resample(frame))
        except (av.error.FFmpegError, ValueError):
            self._resampler, self._setup = None, ()  # libav's graph must not be used again once it failed
            raise
