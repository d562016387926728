"""What is finished of a recording, kept in a file so that another process can go on from there.

JSON lines. The first says what the file belongs to: everything that decides the text, the recording and the weights by
their size and ends. Each further line is a finished window: its chunks with their words, and the point to resume at.
Whatever is not as it should be, such as the torn line of a process that was killed, ends what counts of the file.

The device and the number of chunks decoded together are noted but need not be the same. Where they are, a resumed
transcript equals the uninterrupted one; where they differ, the last bits of the probabilities do, and with them,
rarely, a word.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from avskrift.asr.checkpoint_lines import Broken, FinishedWindow, language_from, parse, window_from, window_line
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.language import DetectedLanguage
from avskrift.asr.reading import ResumePoint

FORMAT = "avskrift.checkpoint"
VERSION = 2
#: About 10 kB a minute of speech, 200 kB a window; what is beyond these is none of ours and is not read into memory.
MAX_SIZE_BYTES = 64 << 20
MAX_LINE_BYTES = 4 << 20

_END_BYTES = 1 << 20


@dataclass(frozen=True)
class FinishedPass:
    """What is finished of one pass over the recording: of one channel, or of all together."""

    chunks: tuple[DecodedChunk, ...]
    after: ResumePoint

    @property
    def end_s(self) -> float:
        """Where the finished text ends in the recording."""
        return self.chunks[-1].clock.end_s


@dataclass(frozen=True)
class Finished:
    """What need not be done again, by channel; None where all channels were mixed."""

    language: DetectedLanguage
    passes: dict[int | None, FinishedPass]

    @property
    def end_s(self) -> float:
        """Where the finished text of the last pass ends in the recording."""
        return list(self.passes.values())[-1].end_s


class Checkpoint:
    """One checkpoint file, or none. A fault of the file costs a warning and what it would have saved, never the job."""

    def __init__(self, path: Path | None, identity: dict[str, Any], made_by: dict[str, Any]) -> None:
        """The file counts if its ``identity`` is the same; ``made_by`` is for whoever reads it."""
        self.warnings: list[str] = []
        self._path = path
        header = {"format": FORMAT, "version": VERSION, "of": identity, "made_by": made_by}
        self._header = json.loads(json.dumps(header))  # as it will be read back: tuples become lists
        self._size_bytes = 0

    def load(self) -> Finished | None:
        """What the file holds, if it belongs to this recording and this way of transcribing it."""
        try:
            if self._path is None or not self._path.is_file() or self._path.stat().st_size > MAX_SIZE_BYTES:
                return None
            with self._path.open("rb") as file:
                return self._read(file)
        except OSError as error:
            self._give_up(error)
            return None

    def begin(self, language: DetectedLanguage) -> None:
        """Start over: what the file held is gone."""
        self._size_bytes = 0
        self._append({**self._header, "language": {"code": language.code, "probability": language.probability}})

    def append(self, chunks: Sequence[DecodedChunk], after: ResumePoint, channel: int | None = None) -> None:
        """A window is finished: in the file as a whole line when this returns."""
        self._append(window_line(FinishedWindow(tuple(chunks), after, channel)))

    def _read(self, file: IO[bytes]) -> Finished | None:
        passes: dict[int | None, FinishedPass] = {}
        try:
            header = file.readline(MAX_LINE_BYTES)
            language = self._language(parse(header))
            self._size_bytes = len(header)
            for line in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
                window = window_from(parse(line), lambda channel: _samples_of(passes.get(channel)))
                earlier = passes[window.channel].chunks if window.channel in passes else ()
                passes[window.channel] = FinishedPass((*earlier, *window.chunks), window.after)
                self._size_bytes += len(line)
        except Broken:
            pass  # what came before it counts
        return Finished(language, passes) if passes else None

    def _language(self, header: dict[str, Any]) -> DetectedLanguage:
        if any(header.get(name) != self._header[name] for name in ("format", "version", "of")):
            raise Broken("of something else")
        return language_from(header.get("language"))

    def _append(self, line: dict[str, Any]) -> None:
        """At the end of what counts; a torn line behind it is cut off first."""
        if self._path is None:
            return
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            with self._path.open("r+b" if self._size_bytes else "wb") as file:
                file.truncate(self._size_bytes)
                file.seek(self._size_bytes)
                file.write(data)
        except OSError as error:
            self._give_up(error)
        else:
            self._size_bytes += len(data)

    def _give_up(self, error: OSError) -> None:
        """For good: after a window that is missing, no later one may follow."""
        self._path = None
        self.warnings.append(
            f"The checkpoint could not be kept ({error.strerror or error}): what comes after it would be done again."
        )


def _samples_of(finished: FinishedPass | None) -> int:
    return finished.chunks[-1].clock.spans[-1][1] if finished else 0


def file_identity(path: Path) -> dict[str, Any]:
    """What tells a file from others of its size without reading gigabytes: its first and last MiB. Raises OSError."""
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(file.read(_END_BYTES))
        file.seek(max(0, size_bytes - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return {"size_bytes": size_bytes, "sha256_of_ends": digest.hexdigest()}
