"""`avskrift transcribe`: the engine without any cloud."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from avskrift.asr import models
from avskrift.asr.engine import Engine, EngineConfig, Progress, TranscribeOptions
from avskrift.cli.terminal import complain, err
from avskrift.errors import AvskriftError, BadOptions
from avskrift.formats import FORMATS, check_formats, write
from avskrift.formats.files import (
    PlannedOutput,
    Recording,
    find_recordings,
    plan_outputs,
    require_writable,
    write_file,
)
from avskrift.transcript import Transcript

STDIN = "-"
DEFAULT_FORMATS = ("txt", "srt", "json")
EXIT_SOME_FAILED = 1

_HELP = """Transcribe recordings on this machine: audio or video, files, folders, or - for standard input.

Writes <name>.txt, .srt and .json beside each recording (or into --output-dir) and prints their paths. Standard input
is transcribed to standard output. Files that exist are kept.

[bold]Examples[/bold]

  avskrift transcribe interview.mp3 --language sv

  avskrift transcribe recordings/ --format srt --format vtt --output-dir subtitles

  cat talk.ogg | avskrift transcribe - > talk.txt
"""

_FORMATS_HELP = f"{', '.join(FORMATS)}; repeat it for several. Default: {', '.join(DEFAULT_FORMATS)} (for -: txt)."


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(name="transcribe", help=_HELP, no_args_is_help=True)(transcribe)


@dataclass(frozen=True)
class Request:
    """What is asked for of every recording."""

    options: TranscribeOptions
    formats: tuple[str, ...]
    force: bool
    quiet: bool


def transcribe(
    inputs: Annotated[list[str], typer.Argument(metavar="FILE|DIR|-...", help="Recordings, folders of them, or -.")],
    language: Annotated[str, typer.Option("--language", "-l", help="Code such as sv or en; auto detects it.")] = "auto",
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="See `avskrift models list`. Default: kb-whisper-small if it can be had, else base."
        ),
    ] = None,
    beam_size: Annotated[int, typer.Option("--beam-size", help="1 is fastest; 5 is a little better.")] = 1,
    formats: Annotated[list[str] | None, typer.Option("--format", "-f", help=_FORMATS_HELP)] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help="Where to write, instead of beside each recording.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="Word times in json even where no subtitle format asks for them.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", help="CPU threads. Default: every core.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write files anew that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    wanted = tuple(dict.fromkeys(formats or (("txt",) if inputs == [STDIN] and not output_dir else DEFAULT_FORMATS)))
    with _as_usage_error():
        check_formats(wanted)
        options = TranscribeOptions(
            language=None if language == "auto" else language,
            beam_size=beam_size,
            words=words or any(FORMATS[name].is_subtitle for name in wanted),
        )
        options.validate()
        EngineConfig(model=model or models.FALLBACK_MODEL, device=device, threads=threads).validate()
    request = Request(options, wanted, force, quiet)
    open_engine = _engine_opener(model, device, threads, quiet)
    if STDIN in inputs:
        _transcribe_stdin(inputs, output_dir, request, open_engine)
    else:
        with _as_usage_error():
            planned = plan_outputs(find_recordings([Path(name) for name in inputs], output_dir), wanted)
        _transcribe_all(planned, request, open_engine)


def _transcribe_stdin(
    inputs: list[str], output_dir: Path | None, request: Request, open_engine: Callable[[], Engine]
) -> None:
    if inputs != [STDIN]:
        raise typer.BadParameter("- stands for standard input and goes alone.")
    if output_dir is None and len(request.formats) > 1:
        raise typer.BadParameter("Several formats do not fit on standard output: name one, or an --output-dir.")
    with tempfile.TemporaryDirectory(prefix="avskrift-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if output_dir:
            _transcribe_all(plan_outputs([Recording(path, output_dir)], request.formats), request, open_engine)
            return
        with open_engine() as engine:
            transcript = _transcribe_one(engine, path, request)
        typer.echo(write(transcript, request.formats[0]), nl=False)


def _transcribe_all(planned: list[PlannedOutput], request: Request, open_engine: Callable[[], Engine]) -> None:
    """Every recording that lacks a file; one that fails does not stop the others."""
    missing = {plan.recording: _files_to_write(plan, request) for plan in planned}
    missing = {recording: files for recording, files in missing.items() if files}
    if not missing:
        return
    require_writable(recording.output_folder for recording in missing)
    failed = 0
    with open_engine() as engine:
        for recording, files in missing.items():
            try:
                transcript = _transcribe_one(engine, recording.path, request)
                for name, file in files.items():
                    write_file(file, write(transcript, name))
                    _say_path(file, request)
            except AvskriftError as error:
                complain(error)
                failed += 1
    if failed:
        if len(missing) > 1:
            err.print(f"{failed} of {len(missing)} recordings failed.")
        raise typer.Exit(EXIT_SOME_FAILED)


def _files_to_write(plan: PlannedOutput, request: Request) -> dict[str, Path]:
    kept = [] if request.force else [name for name, file in plan.files.items() if file.exists()]
    if kept and not request.quiet:
        names = ", ".join(_shown(plan.files[name]) for name in kept)
        err.print(f"Kept, as --force was not given: {names}")
    return {name: file for name, file in plan.files.items() if name not in kept}


def _engine_opener(model: str | None, device: str, threads: int | None, quiet: bool) -> Callable[[], Engine]:
    """An engine with its model loaded, made only once it is known that there is work for it."""

    def open_engine() -> Engine:
        chosen = models.DefaultModel(model) if model else models.default_model()
        if chosen.notice and not quiet:
            err.print(chosen.notice, style="yellow")
        engine = Engine(EngineConfig(model=chosen.name, device=device, threads=threads))
        info = engine.start()
        if not quiet:
            err.print(f"Model {info.model} on {info.device} ({info.compute_type}), ready in {info.load_s:.1f} s.")
        return engine

    return open_engine


def _transcribe_one(engine: Engine, path: Path, request: Request) -> Transcript:
    began = time.monotonic()
    with _progress_bar(_shown(path), request.quiet) as report:
        transcript = engine.transcribe(path, request.options, report)
    if not request.quiet:
        for warning in transcript.warnings:
            err.print(f"{_shown(path)}: {warning}", style="yellow")
        err.print(_summary(path, transcript, time.monotonic() - began))
    return transcript


def _summary(path: Path, transcript: Transcript, took_s: float) -> str:
    speed = transcript.duration_s / took_s if took_s > 0 else 0.0
    language = transcript.language or "no language"
    if transcript.language_probability is not None:
        language += f" ({transcript.language_probability:.2f})"
    said = f"{transcript.word_count} words" if transcript.segments else "no speech"
    return f"{_shown(path)}: {transcript.duration_s:.1f} s, {language}, {said}, in {took_s:.1f} s ({speed:.1f}x)"


@contextmanager
def _progress_bar(name: str, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Bar(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda progress: bar.update(task, completed=progress.done_s, total=progress.total_s)


@contextmanager
def _as_usage_error() -> Iterator[None]:
    try:
        yield
    except BadOptions as error:
        raise typer.BadParameter(error.message) from error


def _say_path(path: Path, request: Request) -> None:
    if not request.quiet:
        typer.echo(os.fsencode(path))


def _shown(path: Path) -> str:
    """A file's name as it can be printed, whatever bytes are in it."""
    return path.name.encode(errors="replace").decode()
