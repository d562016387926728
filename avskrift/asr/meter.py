"""How much of a recording is finished, told while it is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from avskrift.asr.decoding import DecodedBatch
from avskrift.asr.options import Progress
from avskrift.asr.packing import ChunkClock
from avskrift.asr.reading import Window
from avskrift.audio import AudioFile


class Meter:
    """Counts the seconds before which every chunk has its text.

    A recording that is gone through several times, once for each channel, is counted as often and told as once.
    """

    def __init__(self, on_progress: Callable[[Progress], None], passes: int = 1) -> None:
        self._on_progress = on_progress
        self._passes = passes
        self._finished_passes = 0
        self._told_s = 0.0
        self._known_length_s = 0.0
        """Of a pass that is over: all are as long."""

    def begin(self, media: AudioFile, finished_s: float) -> None:
        """A pass over ``media`` begins, of which the first ``finished_s`` seconds are there."""
        self._media = media
        self._has_read_all = False
        self._finished_s = finished_s
        self._given = deque[ChunkClock]()
        self._decoded: set[ChunkClock] = set()
        self._tell()

    def given(self, windows: Iterable[Window]) -> Iterator[Window]:
        """Passes on what is about to be decoded."""
        for window in windows:
            self._given.extend(chunk.clock for chunk in window.chunks)
            yield window

    def decoded(self, batches: Iterable[DecodedBatch]) -> Iterator[DecodedBatch]:
        """Passes on what has been decoded."""
        for batch in batches:
            self._decoded.update(chunk.clock for chunk in batch.chunks)
            while self._given and self._given[0] in self._decoded:
                clock = self._given.popleft()
                self._decoded.remove(clock)
                self._finished_s = clock.end_s
            self._tell()
            yield batch

    def read_all(self) -> None:
        """The recording's length is known for sure."""
        self._has_read_all = True

    def finish(self) -> None:
        """The pass is over."""
        self._finished_passes += 1
        self._finished_s = 0.0
        self._known_length_s = self._media.duration_s
        self._tell()

    def _tell(self) -> None:
        total_s = self._total_s()
        done_s = (self._finished_passes * total_s + self._finished_s) / self._passes
        self._told_s = max(self._told_s, min(done_s, total_s))
        self._on_progress(Progress(self._told_s, max(total_s, self._told_s)))

    def _total_s(self) -> float:
        if self._known_length_s or self._has_read_all:
            return self._known_length_s or self._media.duration_s
        return max(self._media.duration_s, self._media.expected_duration_s or 0.0, self._finished_s)
