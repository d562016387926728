"""Recordings and transcripts found on disk, and the files that are written of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from avskrift.errors import BadOptions, ConfigurationError
from avskrift.formats import FORMATS

#: What is taken for a recording when a folder is searched; a file that is named is tried whatever it is called.
MEDIA_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .asf .au .avi .caf .flac .flv .m2ts .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 "
    ".mpeg .mpg .mts .mxf .oga .ogg .ogv .opus .ra .ts .vob .wav .webm .wma .wmv".split()
)

#: Of file systems in use: ext4, APFS and NTFS come to about this.
_MAX_NAME_BYTES = 255


_OPEN_FILES = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))
"""Names there (``/dev/stdin``) are another file, or none, to the process that reads recordings."""


@dataclass(frozen=True)
class Recording:
    """A file to transcribe, or a transcript to convert, and the folder that what is written goes to."""

    path: Path
    output_folder: Path


@dataclass(frozen=True)
class PlannedOutput:
    """A recording with the file of each format; ``name`` is what those files are called before their extension."""

    recording: Recording
    name: str
    files: dict[str, Path]

    @property
    def media_url(self) -> str | None:
        """The recording as the files beside it can refer to it; None where they lie elsewhere."""
        beside = self.recording.output_folder == self.recording.path.parent
        return quote(os.fsencode(self.recording.path.name)) if beside else None


def find_recordings(inputs: Iterable[Path], output_dir: Path | None = None) -> list[Recording]:
    """Files as given, folders searched through; below ``output_dir`` a folder's own tree is kept.

    Raises ``BadOptions`` for a path that does not exist, for a pipe or a device, and for a folder without recordings.
    """
    found: dict[Path, Recording] = {}
    for path in inputs:
        if not _exists(path):
            raise BadOptions(f"{path}: there is no such file or folder.")
        if path.is_dir():
            recordings = [Recording(file, _mirrored(file, path, output_dir)) for file in _media_below(path)]
            if not recordings:
                raise BadOptions(f"{path}: no audio or video file in this folder.")
        elif not path.is_file() or path.absolute().parent in _OPEN_FILES:
            raise BadOptions(
                f"{path}: is no file but a pipe or a device. "
                "Write the recording to a file, or pipe it to `avskrift transcribe -`."
            )
        else:
            recordings = [Recording(path, output_dir or path.parent)]
        for recording in recordings:
            found.setdefault(recording.path.resolve(), recording)
    return list(found.values())


def find_transcripts(inputs: Iterable[Path], output_dir: Path | None = None) -> list[Recording]:
    """Files as given, each once; raises ``BadOptions`` for a folder and for what does not exist."""
    found: dict[Path, Recording] = {}
    for path in inputs:
        if not _exists(path):
            raise BadOptions(f"{path}: there is no such file.")
        if path.is_dir():
            raise BadOptions(f"{path} is a folder: name the transcripts in it, such as {path}/*.json.")
        found.setdefault(path.resolve(), Recording(path, output_dir or path.parent))
    return list(found.values())


def plan_outputs(recordings: Sequence[Recording], formats: Sequence[str]) -> list[PlannedOutput]:
    """``<stem>.<ext>`` for each, ``<name.mp3>.<ext>`` where two files clash or a recording would be overwritten.

    Raises ``BadOptions`` when even the full names clash with each other or with an input, and for a name that no file
    can have.
    """
    sources = {recording.path.resolve() for recording in recordings}
    by_stem = [_planned(recording, recording.path.stem, formats) for recording in recordings]
    written = _counted(by_stem)
    planned = [
        _planned(plan.recording, plan.recording.path.name, formats)
        if any(written[file] > 1 or file.resolve() in sources for file in plan.files.values())
        else plan
        for plan in by_stem
    ]
    taken = sorted(str(file) for file, count in _counted(planned).items() if count > 1 or file.resolve() in sources)
    if taken:
        raise BadOptions(
            f"Two inputs would be written to the same {taken[0]}, or one over another. Do one after the other, each "
            "with an --output-dir of its own."
        )
    too_long = [
        file for plan in planned for file in plan.files.values() if len(os.fsencode(file.name)) > _MAX_NAME_BYTES
    ]
    if too_long:
        raise BadOptions(f"{too_long[0].name}: no file's name may be that long. Rename what it is made of.")
    return planned


def require_writable(folders: Iterable[Path]) -> None:
    """Make the folders and try them; raises ``ConfigurationError`` before any work is lost."""
    for folder in sorted(set(folders)):
        trial = folder / f".avskrift-{os.getpid()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"Transcripts cannot be written to {folder} ({error.strerror}). "
                "Name a folder that can be written with --output-dir."
            ) from error


def write_file(path: Path, content: bytes) -> None:
    """All of it or nothing: written beside, then renamed."""
    beside = path.with_name(f".avskrift-{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} could not be written ({error.strerror}). Free some space, or name another --output-dir."
        ) from error
    finally:  # also after an interrupt
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for any file
        return False


def _media_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(parent) / name
            is_media = file.suffix.lower() in MEDIA_SUFFIXES and not name.startswith(".")
            if is_media and (file.is_file() or not _exists(file)):  # a link that leads nowhere is tried, and told of
                yield file


def _mirrored(file: Path, folder: Path, output_dir: Path | None) -> Path:
    return output_dir / file.parent.relative_to(folder) if output_dir else file.parent


def _planned(recording: Recording, stem: str, formats: Sequence[str]) -> PlannedOutput:
    files = {name: recording.output_folder / f"{stem}.{FORMATS[name].extension}" for name in formats}
    return PlannedOutput(recording, stem, files)


def _counted(plans: Iterable[PlannedOutput]) -> Counter[Path]:
    return Counter(file for plan in plans for file in plan.files.values())
