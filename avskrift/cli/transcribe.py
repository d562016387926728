"""`avskrift transcribe`: the engine without any cloud."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from avskrift.asr import models
from avskrift.asr.engine import Engine, EngineConfig, EngineInfo, Progress, TranscribeOptions
from avskrift.cli import output_options as output
from avskrift.cli import transcribe_options as cli
from avskrift.cli.option_groups import flat
from avskrift.cli.outputs import (
    files_to_write,
    options_of,
    require_one_for,
    say_missing_captions,
    say_path,
    written,
)
from avskrift.cli.terminal import as_usage_error, complain, err, put_out
from avskrift.errors import AvskriftError, BadOptions
from avskrift.file_names import shown
from avskrift.formats import FORMATS, RenderOptions, check_formats, write
from avskrift.formats.files import (
    PlannedOutput,
    Recording,
    find_recordings,
    plan_outputs,
    require_writable,
)
from avskrift.transcript import Transcript

STDIN = "-"
EXIT_SOME_FAILED = 1

_HELP = """Transcribe recordings on this machine: audio or video, files, folders, or - for standard input.

Writes <name>.txt, .srt and .json beside each recording (or into --output-dir) and prints their paths. Standard input
is transcribed to standard output. Files that exist are kept.

[bold]Examples[/bold]

  avskrift transcribe interview.mp3 --language sv

  avskrift transcribe recordings/ --format srt --format vtt --output-dir subtitles

  avskrift transcribe council.mp4 --language sv --style verbatim --glossary names.txt --clip 10:00-12:00

  avskrift transcribe call.wav --language auto --home-language sv --channels split

  avskrift transcribe lecture.m4a --model large-v3 --language multi

  avskrift transcribe intervju.mp3 --model medium --language sv --task translate

  cat talk.ogg | avskrift transcribe - > talk.txt
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(name="transcribe", help=_HELP, no_args_is_help=True)(flat(transcribe))


@dataclass(frozen=True)
class Request:
    """What is asked for of every recording."""

    options: TranscribeOptions
    formats: tuple[str, ...]
    render: RenderOptions
    force: bool
    quiet: bool


def transcribe(
    inputs: cli.Inputs,
    speech: cli.Speech,
    *,
    formats: cli.Formats = None,
    output_dir: output.OutputDir = None,
    words: cli.Words = False,
    force: output.Force = False,
    quiet: output.Quiet = False,
    look: output.Look,
    machine: cli.Machine,
) -> None:
    with as_usage_error():
        wanted = _formats_of(formats, words, to_stdout=inputs == [STDIN] and not output_dir)
        render = look.render_options(wanted)
        timed = words or render.timestamps or any(FORMATS[name].needs_word_times for name in wanted)
        options = speech.transcribe_options(words=timed, beam_size=machine.beam_size)
        config = machine.engine_config()
        _require_possible(config, options)
    request = Request(options, wanted, render, force, quiet)
    open_engine = _engine_opener(config, is_default=machine.model is None, quiet=quiet)
    if STDIN in inputs:
        _transcribe_stdin(inputs, output_dir, request, open_engine)
    else:
        with as_usage_error():
            planned = plan_outputs(find_recordings([Path(name) for name in inputs], output_dir), wanted)
            require_one_for(render.media_url, planned)
        _transcribe_all(planned, request, open_engine)


def _formats_of(asked: list[str] | None, words: bool, *, to_stdout: bool) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(asked or (("txt",) if to_stdout else cli.DEFAULT_FORMATS)))
    check_formats(formats)
    if words and "json" not in formats:
        raise BadOptions("--words is for json, which is not among the formats: add --format json, or leave it out.")
    return formats


def _require_possible(config: EngineConfig, options: TranscribeOptions) -> None:
    """Raise ``BadOptions`` for whatever is known before a model is loaded."""
    config.validate()
    options.validate()
    models.require_style(config.model, config.style)
    models.fitted(options, config.model)


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
        put_out(write(transcript, request.formats[0], request.render), line=False)


def _transcribe_all(planned: list[PlannedOutput], request: Request, open_engine: Callable[[], Engine]) -> None:
    """Every recording that lacks a file; one that fails does not stop the others."""
    files_of = [(plan, files_to_write(plan, force=request.force, quiet=request.quiet)) for plan in planned]
    missing = [(plan, files) for plan, files in files_of if files]
    if not missing:
        return
    require_writable(plan.recording.output_folder for plan, _ in missing)
    failed = 0
    with open_engine() as engine:
        results = _results(engine, [plan.recording.path for plan, _ in missing], request)
        for (plan, files), result in zip(missing, results, strict=True):
            try:
                options = options_of(plan, request.render, plan.media_url)
                for path in written(_transcript(result), files, options):
                    say_path(path, request.quiet)
                say_missing_captions(plan, files, request.quiet)
            except AvskriftError as error:
                complain(error)
                failed += 1
    if failed:
        if len(missing) > 1:
            err.print(f"{failed} of {len(missing)} recordings failed.")
        raise typer.Exit(EXIT_SOME_FAILED)


def _engine_opener(config: EngineConfig, *, is_default: bool, quiet: bool) -> Callable[[], Engine]:
    """An engine with its model loaded, made only once it is known that there is work for it."""

    def open_engine() -> Engine:
        chosen = models.DefaultModel(config.model)
        if is_default:
            chosen = models.default_model(config.models_dir, config.style)
        if chosen.notice and not quiet:
            err.print(chosen.notice, style="yellow")
        engine = Engine(replace(config, model=chosen.name))
        info = engine.start()
        if not quiet:
            err.print(
                f"{_named(info, chosen.name)} on {info.device} ({info.compute_type}), ready in {info.load_s:.1f} s."
            )
        return engine

    return open_engine


def _named(info: EngineInfo, name: str) -> str:
    """The model, with its commit where the name does not say which one it is."""
    follows_branch = info.style != "standard" or ("/" in name and info.revision is not None)
    details = [info.style] if info.style != "standard" else []
    details += [f"revision {info.revision}"] if follows_branch and info.revision else []
    return f"Model {info.model}" + (f" ({', '.join(details)})" if details else "")


def _results(engine: Engine, paths: list[Path], request: Request) -> Iterator[Transcript | AvskriftError]:
    """What comes of each recording; several are handed over together, so that short ones share their batches."""
    if len(paths) > 1:
        yield from _results_of_many(engine, paths, request)
        return
    try:
        yield _transcribe_one(engine, paths[0], request)
    except AvskriftError as error:
        yield error


def _results_of_many(engine: Engine, paths: list[Path], request: Request) -> Iterator[Transcript | AvskriftError]:
    from avskrift.cli.progress import progress_bar

    began, sound_s = time.monotonic(), 0.0
    reports: dict[int, Callable[[Progress], None]] = {}

    def report(place: int, progress: Progress) -> None:
        if place in reports:
            reports[place](progress)

    results = engine.transcribe_many(paths, request.options, report)
    for place, path in enumerate(paths):
        with progress_bar(shown(path), request.quiet) as reports[place]:
            result = next(results)
        if isinstance(result, Transcript):
            sound_s += _heard_s(result)
            _tell(path, result, None, request)
        yield result
    if not request.quiet:
        err.print(f"{len(paths)} recordings: {sound_s:.1f} s, {_pace(sound_s, time.monotonic() - began)}")


def _transcript(result: Transcript | AvskriftError) -> Transcript:
    if isinstance(result, AvskriftError):
        raise result
    return result


def _transcribe_one(engine: Engine, path: Path, request: Request) -> Transcript:
    from avskrift.cli.progress import progress_bar

    began = time.monotonic()
    with progress_bar(shown(path), request.quiet) as report:
        transcript = engine.transcribe(path, request.options, report)
    _tell(path, transcript, time.monotonic() - began, request)
    return transcript


def _tell(path: Path, transcript: Transcript, took_s: float | None, request: Request) -> None:
    if request.quiet:
        return
    for warning in transcript.warnings:
        err.print(f"{shown(path)}: {warning}", style="yellow")
    err.print(_summary(path, transcript, took_s))


def _summary(path: Path, transcript: Transcript, took_s: float | None) -> str:
    """Of one that shared its batches with others nobody knows how long it took."""
    language = transcript.language or "no language"
    if transcript.language_probability is not None:
        language += f" ({transcript.language_probability:.2f})"
    said = f"{transcript.word_count} words" if transcript.segments else "no speech"
    pace = "" if took_s is None else f", {_pace(_heard_s(transcript), took_s)}"
    return f"{shown(path)}: {_heard_s(transcript):.1f} s, {language}, {said}{pace}"


def _heard_s(transcript: Transcript) -> float:
    """How much sound was transcribed: a clip's own length, though its times are those of the whole recording."""
    clip_start_s: float = (transcript.engine.get("clip") or [0.0])[0]
    return transcript.duration_s - clip_start_s


def _pace(duration_s: float, took_s: float) -> str:
    speed = duration_s / took_s if took_s > 0 else 0.0
    return f"in {took_s:.1f} s ({speed:.1f}x)"
