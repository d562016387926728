"""`avskrift convert`: any format of a transcript that exists, without its recording."""

from __future__ import annotations

import gc
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from avskrift.cli import output_options as output
from avskrift.cli.option_groups import flat
from avskrift.cli.output_options import LOOK, OUTPUT
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
from avskrift.formats.files import PlannedOutput, Recording, find_transcripts, plan_outputs, require_writable
from avskrift.formats.readers import MAX_SIZE_BYTES, read_file
from avskrift.languages import LANGUAGES, primary_language
from avskrift.transcript import Transcript

STDIN = "-"
EXIT_FAILED_OR_FOUND = 1

_HELP = """Make any format of a transcript: our own json, srt or vtt, told apart by what is in them.

Writes <name>.<format> beside each transcript (or into --output-dir) and prints the paths. Standard input is converted
to standard output. Files that exist are kept. What had to be mended in a transcript is said on standard error.

--check lists what the subtitles could not satisfy, such as text too long for its time; the exit status is then 1.
Without --format it writes nothing, and the list goes to standard output.

[bold]Examples[/bold]

  avskrift convert interview.json --format docx --format ttml --preset sv-broadcast

  avskrift convert season/*.json --format srt --max-line-width 32 --output-dir subtitles

  avskrift convert film.srt --language sv --format vtt

  avskrift convert interview.json --check --preset easy

  cat interview.json | avskrift convert - --format txt
"""
_FORMATS_HELP = f"{', '.join(FORMATS)}; repeat it for several."

Inputs = Annotated[list[str], typer.Argument(metavar="FILE|-...", help="Transcripts: json, srt, vtt, or -.")]
Formats = Annotated[list[str] | None, typer.Option("--format", "-f", rich_help_panel=OUTPUT, help=_FORMATS_HELP)]
Check = Annotated[
    bool, typer.Option("--check", rich_help_panel=OUTPUT, help="List what the subtitles could not satisfy.")
]
Language = Annotated[
    str | None,
    typer.Option("--language", "-l", rich_help_panel=LOOK, help="What is spoken, where the file does not say it: sv."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(name="convert", help=_HELP, no_args_is_help=True)(flat(convert))


@dataclass(frozen=True)
class Request:
    """What is asked for of every transcript."""

    formats: tuple[str, ...]
    options: RenderOptions
    language: str | None
    check: bool
    force: bool
    quiet: bool


def convert(
    inputs: Inputs,
    *,
    formats: Formats = None,
    output_dir: output.OutputDir = None,
    check: Check = False,
    force: output.Force = False,
    quiet: output.Quiet = False,
    language: Language = None,
    look: output.Look,
) -> None:
    with as_usage_error():
        wanted = _formats_of(formats, check)
        options = look.render_options(wanted, checked=check)
        request = Request(wanted, options, _language(language), check, force, quiet)
        _require_possible(inputs, request, output_dir)
        _require_files_for({"--output-dir": output_dir is not None, "--force": force}, wanted)
        found = [] if STDIN in inputs else find_transcripts([Path(name) for name in inputs], output_dir)
        planned = plan_outputs(found, wanted)
        require_one_for(options.media_url, planned)
    if planned:
        _convert_all(planned, request)
    else:
        _convert_stdin(output_dir, request)


def _formats_of(asked: list[str] | None, check: bool) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(asked or ()))
    check_formats(formats)
    if not formats and not check:
        raise BadOptions(f"Name at least one --format, or --check. There are: {', '.join(FORMATS)}.")
    return formats


def _language(asked: str | None) -> str | None:
    if asked is not None and asked not in LANGUAGES:
        raise BadOptions(f"Unknown language {asked!r}: use a code such as 'sv' or 'en'.")
    return asked


def _require_possible(inputs: list[str], request: Request, output_dir: Path | None) -> None:
    if STDIN not in inputs:
        return
    if inputs != [STDIN]:
        raise BadOptions("- stands for standard input and goes alone.")
    if output_dir is None and len(request.formats) > 1:
        raise BadOptions("Several formats do not fit on standard output: name one, or an --output-dir.")


def _require_files_for(asked: dict[str, bool], formats: tuple[str, ...]) -> None:
    for option, given in asked.items():
        if given and not formats:
            raise BadOptions(f"{option} is for files, and no --format names one: add it, or leave this out.")


def _convert_stdin(output_dir: Path | None, request: Request) -> None:
    with tempfile.TemporaryDirectory(prefix="avskrift-") as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(sys.stdin.buffer.read(MAX_SIZE_BYTES + 1))  # one more is too large to be read
        if output_dir or not request.formats:
            _convert_all(plan_outputs([Recording(path, output_dir or path.parent)], request.formats), request)
            return
        transcript = _read(path, request)
    put_out(write(transcript, request.formats[0], request.options), line=False)
    if request.check and _report(transcript, "stdin", request):
        raise typer.Exit(EXIT_FAILED_OR_FOUND)


def _convert_all(planned: list[PlannedOutput], request: Request) -> None:
    """Every transcript that lacks a file or is to be checked; one that fails does not stop the others."""
    files_of = [(plan, files_to_write(plan, force=request.force, quiet=request.quiet)) for plan in planned]
    due = [(plan, files) for plan, files in files_of if files or request.check]
    require_writable(plan.recording.output_folder for plan, files in due if files)
    failed = found = 0
    for plan, files in due:
        try:
            found += _convert_one(plan, files, request)
        except AvskriftError as error:
            complain(error)
            failed += 1
    if failed and len(due) > 1:
        err.print(f"{failed} of {len(due)} transcripts failed.")
    if failed or found:
        raise typer.Exit(EXIT_FAILED_OR_FOUND)


def _convert_one(plan: PlannedOutput, files: dict[str, Path], request: Request) -> int:
    """Write the files of one; returns how much its check found."""
    from avskrift.cli.progress import step_bar

    path, paths = plan.recording.path, []
    transcript = _read(path, request)
    try:
        with step_bar(shown(path), len(files), request.quiet) as step:
            for file in written(transcript, files, options_of(plan, request.options)):
                paths.append(file)
                step()
    finally:  # said when the bar is gone: both may be on one terminal
        for file in paths:
            say_path(file, request.quiet)
    say_missing_captions(plan, files, request.quiet)
    return _report(transcript, shown(path), request) if request.check else 0


def _read(path: Path, request: Request) -> Transcript:
    """The transcript; what was mended in it, and what its subtitles will lack, is said."""
    reading = read_file(path)
    # It stays until all is written: without this, the collector walks over its objects again and again meanwhile.
    gc.freeze()
    transcript = replace(reading.transcript, language=reading.transcript.language or request.language)
    if not request.quiet:
        for repair in (*reading.repairs, *_unheard(transcript, request), *_lacking(transcript, request)):
            err.print(f"{shown(path)}: {repair}", style="yellow")
    return transcript


def _unheard(transcript: Transcript, request: Request) -> list[str]:
    said = transcript.language
    if request.language is None or primary_language(said) == primary_language(request.language):
        return []
    return [f"The file says that {said} is spoken: --language {request.language} was not taken."]


def _lacking(transcript: Transcript, request: Request) -> list[str]:
    wordless = sum(bool(segment.text.strip()) and not segment.words for segment in transcript.segments)
    timed = (
        request.check or request.options.timestamps or any(FORMATS[name].needs_word_times for name in request.formats)
    )
    if not wordless or not timed:
        return []
    return [f"{wordless:,} of {len(transcript.segments):,} segments have no words: times within them are estimated."]


def _report(transcript: Transcript, name: str, request: Request) -> int:
    """Say what the cues could not satisfy; returns how much that is."""
    from avskrift.formats.check import find
    from avskrift.formats.cues import build_cues, clock

    cues = build_cues(transcript, request.options.rules)
    findings = find(cues, request.options.rules)
    for finding in findings:
        line = f"{name}: cue {finding.cue}, {clock(finding.start_ms, '.')}, {finding.rule}: {finding.message}"
        if request.formats:
            err.print(line)
        else:
            put_out(line)
    if not request.quiet:
        err.print(f"{name}: {len(cues):,} cues, {len(findings):,} findings.")
    return len(findings)
