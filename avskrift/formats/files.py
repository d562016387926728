"""Recordings found on disk, and the files their transcripts go to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from avskrift.errors import BadOptions, ConfigurationError
from avskrift.formats import FORMATS

#: What is taken for a recording when a folder is searched; a file that is named is tried whatever it is called.
MEDIA_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .asf .au .avi .caf .flac .flv .m2ts .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 "
    ".mpeg .mpg .mts .mxf .oga .ogg .ogv .opus .ra .ts .vob .wav .webm .wma .wmv".split()
)


@dataclass(frozen=True)
class Recording:
    """A file to transcribe, and the folder its transcripts go to."""

    path: Path
    output_folder: Path


@dataclass(frozen=True)
class PlannedOutput:
    """A recording with the file of each format."""

    recording: Recording
    files: dict[str, Path]


def find_recordings(inputs: Iterable[Path], output_dir: Path | None = None) -> list[Recording]:
    """Files as given, folders searched through; below ``output_dir`` a folder's own tree is kept.

    Raises ``BadOptions`` for a path that does not exist and for a folder without recordings.
    """
    found: dict[Path, Recording] = {}
    for path in inputs:
        if path.is_dir():
            recordings = [Recording(file, _mirrored(file, path, output_dir)) for file in _media_below(path)]
            if not recordings:
                raise BadOptions(f"{path}: no audio or video file in this folder.")
        elif path.exists():
            recordings = [Recording(path, output_dir or path.parent)]
        else:
            raise BadOptions(f"{path}: there is no such file or folder.")
        for recording in recordings:
            found.setdefault(recording.path.resolve(), recording)
    return list(found.values())


def plan_outputs(recordings: Sequence[Recording], formats: Sequence[str]) -> list[PlannedOutput]:
    """``<stem>.<ext>`` for each, ``<name.mp3>.<ext>`` where two stems clash or a recording would be overwritten.

    Raises ``BadOptions`` when even the full names clash.
    """
    stems = Counter(recording.output_folder / recording.path.stem for recording in recordings)
    sources = {recording.path.resolve() for recording in recordings}
    planned = []
    for recording in recordings:
        files = _files(recording, recording.path.stem, formats)
        clashes = stems[recording.output_folder / recording.path.stem] > 1
        if clashes or any(file.resolve() in sources for file in files.values()):
            files = _files(recording, recording.path.name, formats)
        planned.append(PlannedOutput(recording, files))
    written = Counter(file for plan in planned for file in plan.files.values())
    twice = sorted(str(file) for file, count in written.items() if count > 1)
    if twice:
        raise BadOptions(
            f"Two recordings would be written to the same {twice[0]}. Transcribe them one after the other, each with "
            "an --output-dir of its own."
        )
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
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{path} could not be written ({error.strerror}). Free some space, or name another --output-dir."
        ) from error


def _media_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in MEDIA_SUFFIXES and not name.startswith("."):
                yield Path(parent) / name


def _mirrored(file: Path, folder: Path, output_dir: Path | None) -> Path:
    return output_dir / file.parent.relative_to(folder) if output_dir else file.parent


def _files(recording: Recording, stem: str, formats: Sequence[str]) -> dict[str, Path]:
    return {name: recording.output_folder / f"{stem}.{FORMATS[name].extension}" for name in formats}
