"""Any media file to 16 kHz mono float32, block by block.

Media comes from strangers, so a file is opened as bytes that it may never leave: playlists and manifests that name
other files or addresses are refused. What a damaged file still holds is decoded, with a warning; the clock stays that
of the recording, because a packet that could not be read leaves silence of its own length, as far as that can be
believed: nothing that a file claims decides how much memory it takes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from avskrift.errors import NoAudioStream, TooLarge, TooLong, UnsupportedMedia

SAMPLE_RATE_HZ = 16_000
BLOCK_S = 10.0

#: Headers are wrong often (variable bit rate without an index), but seldom by this much.
HEADER_TRUST_FACTOR = 2.0
#: A file is called cut short when it ends this long, and this share of itself, before its header says.
TRUNCATION_S = 1.0
TRUNCATION_SHARE = 0.02

#: A packet of any common codec is far shorter (AAC 0.02 s, FLAC 0.1 s at 48 kHz); a claim beyond this is not believed.
MAX_PACKET_S = 5.0
#: Below the rate of any recorder; from a few samples at 1 Hz, which FLAC can say, hours of sound would be made.
MIN_SAMPLE_RATE_HZ = 2_000

_READ_BUFFER_BYTES = 1 << 18

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class MediaInfo:
    """What the header says; ``duration_s`` is None where it says nothing."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float | None
    audio_streams: int
    has_video: bool


class AudioFile:
    """One media file, open for reading its speech.

    Use as a context manager: ``info`` at once, ``blocks()`` once, then ``duration_s`` and ``warnings``.
    Raises ``TooLarge``, ``UnsupportedMedia``, ``NoAudioStream`` on entry, ``TooLong`` on entry or while reading.
    """

    def __init__(self, path: Path, max_duration_s: float | None = None, max_size_bytes: int | None = None) -> None:
        self.path = path
        self.max_duration_s = max_duration_s
        self.max_size_bytes = max_size_bytes
        self.warnings: list[str] = []
        self._read_samples = 0
        self._missing_s = 0.0
        self._bad_packets = 0

    @property
    def duration_s(self) -> float:
        """Seconds decoded so far."""
        return self._read_samples / SAMPLE_RATE_HZ

    def __enter__(self) -> AudioFile:
        self._file = _open_file(self.path)
        try:
            self._refuse_too_large(os.fstat(self._file.fileno()).st_size)
            self._container = _open_container(self._file, self.path)
            self._stream = _choose_stream(self._container, self.path)
            self.info = _describe(self._container, self._stream)
            self._refuse_too_long(self.info.duration_s or 0.0, HEADER_TRUST_FACTOR)
        except BaseException:
            self._close()
            raise
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
        """The sound as float32 at 16 kHz, mono, in [-1, 1], in blocks of ``BLOCK_S`` (the last one shorter)."""
        pending: list[Samples] = []
        pending_samples = 0
        for samples in self._decoded():
            pending.append(samples)
            pending_samples += len(samples)
            self._read_samples += len(samples)
            self._refuse_too_long(self.duration_s)
            if pending_samples >= BLOCK_S * SAMPLE_RATE_HZ:
                yield np.concatenate(pending)
                pending, pending_samples = [], 0
        if pending:
            yield np.concatenate(pending)
        self._judge_end()

    def _decoded(self) -> Iterator[Samples]:
        resampler = _Resampler()
        for packet in self._packets():
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                self._bad_packets += 1
                self._missing_s += _packet_duration_s(packet)
                continue
            for frame in frames:
                self._refuse_odd_rate(frame.sample_rate)
                yield from self._silence_for_missing()
                yield from resampler(frame)
        yield from resampler(None)

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except (av.error.FFmpegError, ValueError) as error:
            self.warnings.append(
                f"Reading stopped after {self.duration_s:.1f} s, the file is damaged there ({error.strerror})."
                if isinstance(error, av.error.FFmpegError)
                else f"Reading stopped after {self.duration_s:.1f} s, the file is damaged there."
            )

    def _silence_for_missing(self) -> Iterator[Samples]:
        self._refuse_too_long(self.duration_s + self._missing_s)
        missing = round(self._missing_s * SAMPLE_RATE_HZ)
        self._missing_s = 0.0
        piece = round(BLOCK_S * SAMPLE_RATE_HZ)
        for start in range(0, missing, piece):
            yield np.zeros(min(piece, missing - start), dtype=np.float32)

    def _judge_end(self) -> None:
        if self._read_samples == 0:
            raise UnsupportedMedia(
                f"{_shown(self.path)}: no sound could be decoded from it ({self.info.container}/{self.info.codec}). "
                "The file is damaged or not what its name says; export it again, for example as wav, flac or mp3."
            )
        if self._bad_packets:
            self.warnings.append(f"{self._bad_packets} damaged packets could not be decoded; silence stands for them.")
        promised_s = self.info.duration_s
        if promised_s and promised_s - self.duration_s > max(TRUNCATION_S, TRUNCATION_SHARE * promised_s):
            self.warnings.append(
                f"The file says it lasts {promised_s:.1f} s but ends after {self.duration_s:.1f} s: it looks cut short."
            )

    def _refuse_odd_rate(self, sample_rate_hz: int) -> None:
        if sample_rate_hz < MIN_SAMPLE_RATE_HZ:
            raise UnsupportedMedia(
                f"{_shown(self.path)}: it says {sample_rate_hz} samples a second, too few for speech: the file is "
                "damaged. Export it again with 8000 Hz or more."
            )

    def _refuse_too_large(self, size_bytes: int) -> None:
        if self.max_size_bytes is not None and size_bytes > self.max_size_bytes:
            raise TooLarge(
                f"{_shown(self.path)}: the file has {size_bytes:,} bytes, more than the limit of "
                f"{self.max_size_bytes:,}. Send only its audio track, split it, or raise the limit."
            )

    def _refuse_too_long(self, duration_s: float, tolerance: float = 1.0) -> None:
        if self.max_duration_s is not None and duration_s > self.max_duration_s * tolerance:
            raise TooLong(
                f"{_shown(self.path)}: the recording is longer than the limit of {self.max_duration_s:g} s. "
                "Split it, or raise the limit."
            )


def probe(path: Path) -> MediaInfo:
    """What the header says, without decoding; raises as :class:`AudioFile` does."""
    with AudioFile(path) as media:
        return media.info


def load(path: Path, max_duration_s: float | None = None) -> Samples:
    """The whole recording at once: 64 kB of memory a second of audio."""
    with AudioFile(path, max_duration_s) as media:
        return np.concatenate(list(media.blocks()))


class _Resampler:
    """To mono float at 16 kHz; started anew when the stream changes its rate or layout on the way."""

    def __init__(self) -> None:
        self._resampler: Any = None
        self._setup: tuple[object, ...] = ()

    def __call__(self, frame: Any) -> Iterator[Samples]:
        if frame is None:
            yield from self._convert(None)
            return
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup:
            yield from self._convert(None)
            self._setup = setup
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        frame.pts = None  # damaged time stamps must not stretch or drop samples
        yield from self._convert(frame)

    def _convert(self, frame: Any) -> Iterator[Samples]:
        if self._resampler is None:
            return
        for converted in self._resampler.resample(frame):
            samples = converted.to_ndarray().reshape(-1)
            yield np.clip(np.nan_to_num(samples, posinf=1.0, neginf=-1.0), -1.0, 1.0).astype(np.float32, copy=False)


def _shown(path: Path) -> str:
    """A file's name as it can be printed, whatever bytes are in it."""
    return path.name.encode(errors="replace").decode()


def _open_file(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnsupportedMedia(
            f"{_shown(path)}: cannot be read ({error.strerror}). Check the path and its permissions."
        ) from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise UnsupportedMedia(
            f"{_shown(path)}: the file is empty (0 bytes). The upload or the recording was interrupted; send it again."
        )
    return file


def _open_container(file: IO[bytes], path: Path) -> Any:
    try:
        return av.open(
            file,
            mode="r",
            metadata_errors="replace",
            buffer_size=_READ_BUFFER_BYTES,
            io_open=_refuse_other_files,
            container_options={"protocol_whitelist": "none"},
        )
    except (av.error.FFmpegError, ValueError, PermissionError) as error:
        raise UnsupportedMedia(
            f"{_shown(path)}: this is no audio or video file that can be read. "
            "It may be cut off, or another kind of file; send for example wav, flac, mp3, m4a, ogg, mp4, mkv or webm."
        ) from error


def _refuse_other_files(url: str, _flags: int, _options: dict[str, str]) -> IO[bytes]:
    """Playlists would make us read other files, or call addresses, of a stranger's choice."""
    raise PermissionError(f"a media file may not refer to others: {url}")


def _choose_stream(container: Any, path: Path) -> Any:
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams and container.streams.video:
        raise NoAudioStream(f"{_shown(path)}: there is no sound in this file. Send one with an audio track.")
    if not streams:
        raise UnsupportedMedia(f"{_shown(path)}: no audio track that can be decoded. Export it again, say as mp3.")
    best = container.streams.best("audio")
    return best if best in streams else streams[0]


def _describe(container: Any, stream: Any) -> MediaInfo:
    return MediaInfo(
        container=container.format.name,
        codec=stream.codec_context.name,
        sample_rate_hz=stream.codec_context.sample_rate or 0,
        channels=stream.codec_context.channels or 0,
        duration_s=_header_duration_s(container, stream),
        audio_streams=len(container.streams.audio),
        has_video=any(not _is_picture(video) for video in container.streams.video),
    )


def _is_picture(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _header_duration_s(container: Any, stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration:
        duration_s = container.duration / av.time_base
    else:
        return None
    return duration_s if math.isfinite(duration_s) and duration_s > 0 else None


def _packet_duration_s(packet: Any) -> float:
    if not packet.duration or not packet.time_base:
        return 0.0
    return min(max(float(packet.duration * packet.time_base), 0.0), MAX_PACKET_S)
