"""Writing a transcript's files from a command: what exists is kept, what is written is named on stdout."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from avskrift.cli.terminal import err, put_out
from avskrift.errors import BadOptions
from avskrift.file_names import shown
from avskrift.formats import FORMATS, RenderOptions, write_all
from avskrift.formats.files import PlannedOutput, write_file
from avskrift.transcript import Transcript


def files_to_write(plan: PlannedOutput, *, force: bool, quiet: bool) -> dict[str, Path]:
    """By format, those that do not exist yet; the others are kept and named, unless ``force``. A link that leads
    nowhere exists too: writing would replace it."""
    kept = [] if force else [name for name, file in plan.files.items() if os.path.lexists(file)]
    if kept and not quiet:
        names = ", ".join(shown(plan.files[name]) for name in kept)
        err.print(f"Kept, as --force was not given: {names}")
    return {name: file for name, file in plan.files.items() if name not in kept}


def require_one_for(media_url: str | None, planned: Sequence[PlannedOutput]) -> None:
    """One address is that of one recording: raises ``BadOptions`` where several would play it."""
    if media_url is not None and len(planned) > 1:
        raise BadOptions(
            f"--media-url is the address of one recording, and there are {len(planned)}: do one after the other."
        )


def options_of(plan: PlannedOutput, options: RenderOptions, media_url: str | None = None) -> RenderOptions:
    """With what differs from recording to recording: its name, and where it lies unless that was asked for."""
    return replace(options, name=plan.name, media_url=options.media_url or media_url)


def written(transcript: Transcript, files: dict[str, Path], options: RenderOptions) -> Iterator[Path]:
    """Writes each file whole; yields its path once it is there."""
    for name, content in write_all(transcript, files, options):
        write_file(files[name], content)
        yield files[name]


def say_missing_captions(plan: PlannedOutput, files: Collection[str], quiet: bool) -> None:
    """A manifest refers to captions beside it; else only a player would say that there are none."""
    for name in files:
        needed = FORMATS[name].refers_to
        if needed is None or quiet:
            continue
        captions = plan.recording.output_folder / f"{plan.name}.{FORMATS[needed].extension}"
        if not captions.exists():
            manifest = shown(plan.files[name])
            err.print(
                f"{manifest} shows the captions of {shown(captions)}, which is not beside it: add --format {needed}.",
                style="yellow",
            )


def say_path(path: Path, quiet: bool) -> None:
    """On stdout, in the bytes of the name, so that other programs find the file."""
    if not quiet:
        put_out(os.fsencode(path))
