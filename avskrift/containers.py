"""A media file opened, and what its header says.

Strangers' files are opened as bytes that they may never leave: playlists and manifests that name other files or
addresses are refused.
"""

from __future__ import annotations

import io
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import av
import av.error

from avskrift.errors import NoAudioStream, UnsupportedMedia
from avskrift.file_names import shown
from avskrift.gaps import MIN_LEAD_S

#: What PyAV raises for a file that is not as it should be, or cannot be read on.
DAMAGE = (av.error.FFmpegError, ValueError, OSError)

_READ_BUFFER_BYTES = 1 << 18

#: Containers whose duration counts from time stamp 0, wherever they begin.
_DURATION_FROM_ZERO = frozenset({"matroska,webm", "nut"})
#: Durations and time stamps in headers are rounded, and padded to whole packets.
_CLOCK_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class MediaInfo:
    """What the header says.

    ``duration_s`` counts from where a player begins, be it before the sound; None where the header says nothing.
    """

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    """Of the track that is taken; 0 where the header says nothing."""
    duration_s: float | None
    audio_streams: int
    has_video: bool


class _Recording(io.BufferedReader):
    """A file that damage may send anywhere, before its beginning too: libav is told no, as it expects."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def open_file(path: Path) -> IO[bytes]:
    """Raises ``UnsupportedMedia`` for a file that is empty or cannot be read, and for what is no file."""
    try:
        file = _Recording(io.FileIO(path, opener=_without_waiting))
    except OSError as error:
        raise UnsupportedMedia(
            f"{shown(path)}: cannot be read ({error.strerror}). Check the path and its permissions."
        ) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnsupportedMedia(f"{shown(path)}: is a pipe or a device. Write the recording to a file first.")
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise UnsupportedMedia(
            f"{shown(path)}: the file is empty (0 bytes). The upload or the recording was interrupted; send it again."
        )
    return file


def _without_waiting(path: str, flags: int) -> int:
    """Of a pipe nobody may ever open the other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def open_container(file: IO[bytes], path: Path) -> Any:
    """PyAV's container; raises ``UnsupportedMedia`` for what is no media."""
    try:
        return av.open(
            file,
            mode="r",
            metadata_errors="replace",
            buffer_size=_READ_BUFFER_BYTES,
            io_open=_refuse_other_files,
            container_options={"protocol_whitelist": "none"},
        )
    except DAMAGE as error:
        raise UnsupportedMedia(
            f"{shown(path)}: this is no audio or video file that can be read. "
            "It may be cut off, or another kind of file; send for example wav, flac, mp3, m4a, ogg, mp4, mkv or webm."
        ) from error


def _refuse_other_files(url: str, _flags: int, _options: dict[str, str]) -> IO[bytes]:
    """Playlists would make us read other files, or call addresses, of a stranger's choice."""
    raise PermissionError(f"a media file may not refer to others: {url}")


def choose_stream(container: Any, path: Path) -> Any:
    """The audio stream that a player would take; raises ``NoAudioStream``, ``UnsupportedMedia``."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams and container.streams.video:
        raise NoAudioStream(f"{shown(path)}: there is no sound in this file. Send one with an audio track.")
    if not streams:
        raise UnsupportedMedia(f"{shown(path)}: no audio track that can be decoded. Export it again, say as mp3.")
    best = container.streams.best("audio")
    return best if best in streams else streams[0]


def describe(container: Any, stream: Any) -> MediaInfo:
    """What is known before anything is decoded."""
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
    begins_s = player_start_s(container, stream)
    if stream.duration and stream.time_base:
        late_s = float((stream.start_time or 0) * stream.time_base) - begins_s
        duration_s = float(stream.duration * stream.time_base) + (late_s if late_s > MIN_LEAD_S else 0.0)
    elif container.duration:
        from_zero = container.format.name in _DURATION_FROM_ZERO
        duration_s = container.duration / av.time_base - (max(0.0, begins_s) if from_zero else 0.0)
    else:
        return None
    return duration_s if math.isfinite(duration_s) and duration_s > 0 else None


def player_start_s(container: Any, stream: Any) -> float:
    """The time stamp at which a player begins, in seconds: that of the first sound or picture.

    The stream's own where the two cannot be on one clock, as those of two television programmes in one file.
    """
    begins_s = float((container.start_time or 0) / av.time_base)
    if not (stream.start_time and stream.duration and stream.time_base and container.duration):
        return begins_s
    own_s = float(stream.start_time * stream.time_base)
    end_s = own_s + float(stream.duration * stream.time_base)
    fits = end_s - begins_s <= container.duration / av.time_base + _CLOCK_TOLERANCE_S
    return begins_s if fits else own_s


def track_warnings(container: Any, stream: Any) -> list[str]:
    """Which of several audio tracks was taken, in a sentence."""
    tracks = list(container.streams.audio)
    if len(tracks) < 2:
        return []
    language = stream.metadata.get("language", "")
    named = f" ({language})" if re.fullmatch("[a-z]{2,3}", language) else ""
    return [f"The file has {len(tracks)} audio tracks; number {tracks.index(stream) + 1}{named} was transcribed."]
