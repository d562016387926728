"""Any media file to 16 kHz mono float32, block by block.

What a damaged file still holds is decoded, with a warning; the clock stays that of the recording, because what could
not be read leaves silence of its own length, as far as that can be believed (:mod:`avskrift.gaps`): nothing that a
file claims decides how much memory it takes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import av.error
import numpy as np

from avskrift.containers import (
    DAMAGE,
    MediaInfo,
    choose_stream,
    describe,
    open_container,
    open_file,
    player_start_s,
    track_warnings,
)
from avskrift.errors import BadOptions, TooLarge, TooLong, UnsupportedMedia
from avskrift.file_names import shown
from avskrift.gaps import Gaps, Place, gap_warnings
from avskrift.resampling import SAMPLE_RATE_HZ, Resampler, Samples

__all__ = ["BLOCK_S", "SAMPLE_RATE_HZ", "AudioFile", "Clip", "MediaInfo", "Samples", "load", "probe"]

BLOCK_S = 10.0

#: Headers are wrong often (variable bit rate without an index), but seldom by this much.
HEADER_TRUST_FACTOR = 2.0
#: A file is called cut short when it ends this long, and this share of itself, before its header says.
TRUNCATION_S = 1.0
TRUNCATION_SHARE = 0.02

#: Below the rate of any recorder; from a few samples at 1 Hz, which FLAC can say, hours of sound would be made.
MIN_SAMPLE_RATE_HZ = 2_000

#: Behind damage a demuxer may find the next packet only when asked again; this often in a row, there is none.
_MAX_READ_ERRORS = 100
_NO_END = 1 << 60

#: Where a stretch of the recording begins and ends, in seconds; an end of None is the recording's.
Clip = tuple[float, float | None]


class AudioFile:
    """One media file, open for reading its speech.

    Use as a context manager: ``info`` at once, ``blocks()`` once, then ``duration_s``, ``gaps`` and ``warnings``.

    With ``channel`` (0 is the first) that one is heard alone, else the mix of all. With ``clip`` that stretch is: the
    first sample given out is sample ``clip_start_samples`` of the recording. All before it is decoded too, because
    seeking is not exact to the sample; so the limit on duration holds for the recording up to the clip's end.

    Raises ``TooLarge``, ``UnsupportedMedia``, ``NoAudioStream`` on entry, ``TooLong``, and ``BadOptions`` for a
    channel or clip that the recording does not have, on entry or while reading.
    """

    def __init__(
        self,
        path: Path,
        max_duration_s: float | None = None,
        max_size_bytes: int | None = None,
        *,
        channel: int | None = None,
        clip: Clip | None = None,
    ) -> None:
        self.path = path
        self.max_duration_s = max_duration_s
        self.max_size_bytes = max_size_bytes
        self.channel = channel
        self.clip_start_samples, self._clip_end = _clip_samples(clip)
        self.warnings: list[str] = []
        self._read_samples = 0
        self._has_sound = False
        self._resampler = Resampler(channel)

    @property
    def duration_s(self) -> float:
        """Seconds given out so far; with a clip, those of the clip alone."""
        heard = min(self._read_samples, self._clip_end) - self.clip_start_samples
        return max(0, heard) / SAMPLE_RATE_HZ

    @property
    def expected_duration_s(self) -> float | None:
        """What ``duration_s`` will come to, if the header is right; None where it says nothing."""
        if self.info.duration_s is None:
            return None
        end_s = min(self.info.duration_s, self._clip_end / SAMPLE_RATE_HZ)
        return max(0.0, end_s - self.clip_start_samples / SAMPLE_RATE_HZ)

    @property
    def gaps(self) -> list[Place]:
        """Where nothing could be read, in seconds of the recording; with a clip, those that touch it."""
        start_s, end_s = self.clip_start_samples / SAMPLE_RATE_HZ, self._clip_end / SAMPLE_RATE_HZ
        return [place for place in self._gaps.places if place.end_s >= start_s and place.start_s < end_s]

    def __enter__(self) -> AudioFile:
        self._file = open_file(self.path)
        try:
            self._refuse_too_large(os.fstat(self._file.fileno()).st_size)
            self._container = open_container(self._file, self.path)
            self._stream = choose_stream(self._container, self.path)
            self.info = describe(self._container, self._stream)
            promised_s = min(self.info.duration_s or 0.0, self._clip_end / SAMPLE_RATE_HZ)
            self._refuse_too_long(promised_s, HEADER_TRUST_FACTOR)
            self._refuse_missing_channel(self.info.channels)
        except BaseException:
            self._close()
            raise
        begins_s = player_start_s(self._container, self._stream)
        self._gaps = Gaps(self.info.container, float(self._stream.time_base or 0), self.info.duration_s, begins_s)
        self.warnings += track_warnings(self._container, self._stream)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()

    def blocks(self) -> Iterator[Samples]:
        """The sound as float32 at 16 kHz, mono, in [-1, 1], in blocks of ``BLOCK_S`` (the last one shorter).

        While what lies before a clip is read, the blocks are empty: a caller may want to leave.
        """
        pending: list[Samples] = []
        pending_samples = 0
        for samples in self._decoded():
            pending.append(self._within_clip(samples))
            pending_samples += len(samples)
            self._refuse_too_long(min(self._read_samples + len(samples), self._clip_end) / SAMPLE_RATE_HZ)
            self._read_samples += len(samples)
            if pending_samples >= BLOCK_S * SAMPLE_RATE_HZ:
                yield _tamed(pending)
                pending, pending_samples = [], 0
            if self._read_samples >= self._clip_end:
                break
        if pending:
            yield _tamed(pending)
        self._judge_end()

    def _within_clip(self, samples: Samples) -> Samples:
        """What belongs to the clip of these samples, the next ones of the recording."""
        start = max(0, self.clip_start_samples - self._read_samples)
        return samples[start : max(0, self._clip_end - self._read_samples)]

    def _decoded(self) -> Iterator[Samples]:
        for packet in self._packets():
            self._gaps.arrived(packet, self._read_s)
            try:
                frames = packet.decode()
            except DAMAGE:
                self._gaps.damaged(packet, self._read_s)
                continue
            self._gaps.decoded(packet, frames)
            for frame in frames:
                self._refuse_odd_frame(frame)
                yield from self._silence_for_gap()
                yield from self._converted(packet, frame)
        yield from self._converted(None, None)

    def _converted(self, packet: Any, frame: Any) -> list[Samples]:
        try:
            samples = list(self._resampler(frame))
        except DAMAGE:  # a layout or rate that no resampler can be set up for
            if packet:
                self._gaps.damaged(packet, self._read_s)
            return []
        self._has_sound = self._has_sound or bool(samples)
        return samples

    @property
    def _read_s(self) -> float:
        return self._read_samples / SAMPLE_RATE_HZ

    def _packets(self) -> Iterator[Any]:
        errors_in_a_row = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    errors_in_a_row = 0
                    yield packet
                return
            except IndexError:  # of PyAV 18, behind the last packet, when streams turned up while it read
                return
            except DAMAGE as error:
                errors_in_a_row += 1
                if errors_in_a_row == _MAX_READ_ERRORS:
                    why = f" ({error.strerror})" if isinstance(error, OSError | av.error.FFmpegError) else ""
                    self.warnings.append(f"Reading stopped after {self._read_s:.1f} s, the file is damaged there{why}.")
                    return

    def _silence_for_gap(self) -> Iterator[Samples]:
        """Piece by piece, so that a long one takes no memory, and the limit on duration ends it."""
        missing = round(self._gaps.place(self._read_s) * SAMPLE_RATE_HZ)
        piece = round(BLOCK_S * SAMPLE_RATE_HZ)
        for start in range(0, missing, piece):
            yield np.zeros(min(piece, missing - start), dtype=np.float32)

    def _judge_end(self) -> None:
        if not self._has_sound:
            raise UnsupportedMedia(
                f"{shown(self.path)}: no sound could be decoded from it ({self.info.container}/{self.info.codec}). "
                "The file is damaged or not what its name says; export it again, for example as wav, flac or mp3."
            )
        self._refuse_clip_behind_end()
        if self._read_samples < self._clip_end:
            self._gaps.place(self._read_s)
        self.warnings += gap_warnings(self.gaps)
        if self._read_samples >= self._clip_end:
            return
        if self._clip_end < _NO_END:
            self.warnings.append(
                f"The clip was to end at {self._clip_end / SAMPLE_RATE_HZ:.1f} s, "
                f"but the recording ends after {self._read_s:.1f} s."
            )
        promised_s = self.info.duration_s
        if promised_s and promised_s - self._read_s > max(TRUNCATION_S, TRUNCATION_SHARE * promised_s):
            self.warnings.append(
                f"The file says it lasts {promised_s:.1f} s, but only {self._read_s:.1f} s could be read: "
                "it looks cut short, or damaged."
            )

    def _refuse_clip_behind_end(self) -> None:
        if self.clip_start_samples >= self._read_samples:
            raise BadOptions(
                f"{shown(self.path)}: the clip begins at {self.clip_start_samples / SAMPLE_RATE_HZ:g} s, "
                f"but the recording ends after {self._read_s:.1f} s."
            )

    def _refuse_missing_channel(self, channels: int) -> None:
        if self.channel is not None and channels and not 0 <= self.channel < channels:
            raise BadOptions(
                f"{shown(self.path)}: there is no channel {self.channel} in this recording; "
                f"it has {channels}, counted from 0."
            )

    def _refuse_odd_frame(self, frame: Any) -> None:
        if self._read_samples == 0:
            self._refuse_missing_channel(frame.layout.nb_channels)
        if frame.sample_rate < MIN_SAMPLE_RATE_HZ:
            raise UnsupportedMedia(
                f"{shown(self.path)}: it says {frame.sample_rate} samples a second, too few for speech: the file is "
                "damaged. Export it again with 8000 Hz or more."
            )

    def _refuse_too_large(self, size_bytes: int) -> None:
        if self.max_size_bytes is not None and size_bytes > self.max_size_bytes:
            raise TooLarge(
                f"{shown(self.path)}: the file has {size_bytes:,} bytes, more than the limit of "
                f"{self.max_size_bytes:,}. Send only its audio track, split it, or raise the limit."
            )

    def _refuse_too_long(self, duration_s: float, tolerance: float = 1.0) -> None:
        if self.max_duration_s is not None and duration_s > self.max_duration_s * tolerance:
            raise TooLong(
                f"{shown(self.path)}: the recording is longer than the limit of {self.max_duration_s:g} s. "
                "Split it, or raise the limit."
            )


def probe(path: Path) -> MediaInfo:
    """What the header says, without decoding; raises as :class:`AudioFile` does."""
    with AudioFile(path) as media:
        return media.info


def load(
    path: Path, max_duration_s: float | None = None, *, channel: int | None = None, clip: Clip | None = None
) -> Samples:
    """The whole recording or clip at once: 64 kB of memory a second of audio."""
    with AudioFile(path, max_duration_s, channel=channel, clip=clip) as media:
        return np.concatenate(list(media.blocks()))


def _clip_samples(clip: Clip | None) -> tuple[int, int]:
    """Where the clip begins and ends in the recording."""
    start_s, end_s = clip or (0.0, None)
    if not (math.isfinite(start_s) and start_s >= 0 and (end_s is None or end_s > start_s)):
        raise BadOptions(f"A clip begins at 0 s or later and ends after it begins; {start_s}–{end_s} s does not.")
    if end_s is None or not math.isfinite(end_s):
        return round(start_s * SAMPLE_RATE_HZ), _NO_END
    return round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)


def _tamed(pieces: list[Samples]) -> Samples:
    """In one block, every sample finite and in [-1, 1]: float files may hold anything."""
    block = np.concatenate(pieces)
    block[np.isnan(block)] = 0.0
    return np.clip(block, -1.0, 1.0, out=block)
