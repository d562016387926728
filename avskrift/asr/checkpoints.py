"""What is finished of a recording, kept in a file so that another process can go on from there.

JSON lines. The first says what the file belongs to: everything that decides the text, the precision too, the recording
by all of it and the weights by their size and ends. Each further line is a finished window: its chunks with their
words, the point to resume at, and the device and instruction set that made it. Whatever is not as it should be, such
as the torn line of a process that was killed, ends what counts of the file.

The device, its instructions and the number of chunks decoded together need not be the same. Where they are, a resumed
transcript equals the uninterrupted one; where they differ, the last bits of the probabilities do, and with them,
rarely, a word. So a transcript names the devices and instructions that made its beginning where they are others.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from avskrift.asr.checkpoint_lines import Broken, FinishedWindow, language_from, parse, window_from, window_line
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.language import DetectedLanguage
from avskrift.asr.reading import ResumePoint

FORMAT = "avskrift.checkpoint"
VERSION = 3
#: About 10 kB a minute of speech, 200 kB a window; what is beyond these is none of ours and is not read into memory.
MAX_SIZE_BYTES = 64 << 20
MAX_LINE_BYTES = 4 << 20

#: No name of an instruction set is longer.
MAX_ISA_CHARS = 200

_END_BYTES = 1 << 20


@dataclass(frozen=True)
class MadeBy:
    """What a window was computed with, of what may differ within a transcript."""

    device: str
    isa: str | None
    """The CPU's instruction set; None on a GPU."""


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
    made_by: tuple[MadeBy, ...]
    """Each once, in order."""

    @property
    def end_s(self) -> float:
        """Where the finished text of the last pass ends in the recording."""
        return list(self.passes.values())[-1].end_s


class Checkpoint:
    """One checkpoint file, or none. A fault of the file costs a warning and what it would have saved, never the job."""

    def __init__(self, path: Path | None, identity: dict[str, Any], made_by: MadeBy) -> None:
        """The file counts if its ``identity`` is the same; ``made_by`` is noted with each window appended."""
        self.warnings: list[str] = []
        self._path = path
        self._made_by = made_by
        header = {"format": FORMAT, "version": VERSION, "of": identity}
        self._header = json.loads(json.dumps(header))  # as it will be read back: tuples become lists
        self._size_bytes = 0

    @classmethod
    def nowhere(cls) -> Checkpoint:
        """Keeps nothing."""
        return cls(None, {}, MadeBy("cpu", None))

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
        line = window_line(FinishedWindow(tuple(chunks), after, channel))
        self._append({**line, "made_by": asdict(self._made_by)})

    def _read(self, file: IO[bytes]) -> Finished | None:
        passes: dict[int | None, FinishedPass] = {}
        made_by: dict[MadeBy, None] = {}
        try:
            header = file.readline(MAX_LINE_BYTES)
            language = self._language(parse(header))
            self._size_bytes = len(header)
            for line in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
                value = parse(line)
                window = window_from(value, lambda channel: _samples_of(passes.get(channel)))
                made_by[_made_by_from(value.get("made_by"))] = None
                earlier = passes[window.channel].chunks if window.channel in passes else ()
                passes[window.channel] = FinishedPass((*earlier, *window.chunks), window.after)
                self._size_bytes += len(line)
        except Broken:
            pass  # what came before it counts
        return Finished(language, passes, tuple(made_by)) if passes else None

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


def _made_by_from(value: Any) -> MadeBy:
    said = value if isinstance(value, dict) else {}
    device, isa = said.get("device"), said.get("isa")
    if device not in ("cpu", "cuda") or not (isa is None or (isinstance(isa, str) and len(isa) <= MAX_ISA_CHARS)):
        raise Broken("a device")
    return MadeBy(device, isa)


def recording_identity(path: Path) -> dict[str, Any]:
    """All of it, read in pieces, at about a second per GB: who edits one in the middle may well keep its size.

    Not its time: another attempt downloads it anew. Raises OSError.
    """
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        return {"size_bytes": size_bytes, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def weights_identity(path: Path) -> dict[str, Any]:
    """Size, first and last MiB. Raises OSError.

    Nobody edits weights by hand: others have other numbers everywhere, while all of them would be gigabytes to read
    for every recording.
    """
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(file.read(_END_BYTES))
        file.seek(max(0, size_bytes - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return {"size_bytes": size_bytes, "sha256_of_ends": digest.hexdigest()}
