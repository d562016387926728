"""``scripts/bench``: lists the benches, or runs one."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console

from avskrift.cli import run_command
from bench.report import Narrator


class Answer(Protocol):
    """What a bench comes back with."""

    def to_dict(self) -> dict[str, Any]: ...

    def show(self, console: Console) -> None: ...


@dataclass(frozen=True)
class Asked:
    """The command's options."""

    quick: bool
    extras: frozenset[str]
    """Names of the options given beside --quick and --json."""
    plot: Path | None = None
    markdown: Path | None = None


@dataclass(frozen=True)
class Bench:
    """What can be run; modules are imported when they are."""

    summary: str
    run: Callable[[Asked], Answer]
    extras: frozenset[str] = frozenset()
    """The options that it knows beside --quick and --json."""


def _pipeline(asked: Asked) -> Answer:
    from bench import pipeline

    return pipeline.run(Narrator(), quick=asked.quick)


def _asr(asked: Asked) -> Answer:
    from bench.asr import run, speed

    scope = speed.Scope(quick=asked.quick, **{name: name in asked.extras for name in SCOPE})
    report = run.run(Narrator(), run.Wanted(scope, asked.extras & INSTEAD))
    if asked.plot:
        asked.plot.write_text(report.svg, encoding="utf-8")
    if asked.markdown:
        asked.markdown.write_text(report.markdown(), encoding="utf-8")
    return report


def _formats(asked: Asked) -> Answer:
    from bench import formats

    return formats.run(Narrator(), quick=asked.quick)


#: Options of asr: what is measured instead of speed, and how much of speed is.
INSTEAD = frozenset({"quality", "ideas", "peers"})
SCOPE = frozenset({"full", "goals", "hour"})

BENCHES = {
    "asr": Bench(
        "the engine against faster-whisper: speed and what was set as a goal; other engines, ideas, quality on demand",
        _asr,
        INSTEAD | SCOPE | {"plot", "markdown"},
    ),
    "formats": Bench("every format of a ten-hour transcript: seconds and memory, one by one and all at once", _formats),
    "pipeline": Bench(
        "every link from upload to webhook in a local cloud, the functions' asset, the engine against faster-whisper",
        _pipeline,
    ),
}


def command(  # noqa: PLR0913, PLR0917 - a parameter is an option of the command
    name: Annotated[str | None, typer.Argument(help="Which bench; without it, they are listed.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Each thing once and on less audio.")] = False,
    full: Annotated[bool, typer.Option("--full", help="asr: every row on ten minutes: about 25 min.")] = False,
    goals: Annotated[bool, typer.Option("--goals", help="asr: only the goals, on ten minutes: about 18 min.")] = False,
    hour: Annotated[bool, typer.Option("--hour", help="asr: an hour of audio too, once.")] = False,
    quality: Annotated[bool, typer.Option("--quality", help="asr: errors, loops and silence instead.")] = False,
    ideas: Annotated[bool, typer.Option("--ideas", help="asr: what each idea gained, instead.")] = False,
    peers: Annotated[bool, typer.Option("--peers", help="asr: other engines instead; installs about 6 GB.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="asr: write the plot here (SVG).")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="asr: write the tables here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of tables.")] = False,
) -> None:
    """Measure speed and print a table; what is compared runs in turns, on this machine, in one go.

    Examples:

        scripts/bench

        scripts/bench asr

        scripts/bench asr --ideas

        scripts/bench formats

        scripts/bench pipeline --quick

        scripts/bench pipeline --json > pipeline.json
    """
    if name is None:
        for each, bench in BENCHES.items():
            typer.echo(f"{each:10} {bench.summary}")
        return
    given = {"full": full, "goals": goals, "hour": hour, "quality": quality, "ideas": ideas, "peers": peers}
    given |= {"plot": plot is not None, "markdown": markdown is not None}
    extras = frozenset(option for option, value in given.items() if value)
    _check(name, extras, quick=quick)
    _check_folders(plot, markdown)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    report = BENCHES[name].run(Asked(quick, extras, plot, markdown))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=2))
    else:
        report.show(Console(highlight=False))


def _check(name: str, extras: frozenset[str], *, quick: bool) -> None:
    """Refuse what the bench does not know, and what would be ignored."""
    if name not in BENCHES:
        raise typer.BadParameter(f"There is no bench {name!r}, only: {', '.join(BENCHES)}.")
    unknown = extras - BENCHES[name].extras
    if unknown:
        raise typer.BadParameter(f"{name} knows no {_options(unknown)}.")
    instead, scope = extras & INSTEAD, extras & SCOPE
    if instead and scope:
        raise typer.BadParameter(f"{_options(scope)} has no meaning with {_options(instead)}.")
    if scope >= {"full", "goals"}:
        raise typer.BadParameter("--full and --goals exclude each other.")
    if quick and scope:
        raise typer.BadParameter(f"--quick and {_options(scope)} exclude each other.")


def _check_folders(*paths: Path | None) -> None:
    """Before the runs, not after them."""
    for path in paths:
        if path and not path.parent.is_dir():
            raise typer.BadParameter(f"There is no folder {path.parent}.")


def _options(names: frozenset[str]) -> str:
    return ", ".join(f"--{name}" for name in sorted(names))


if __name__ == "__main__":
    run_command(command, "scripts/bench")
