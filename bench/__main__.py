"""``scripts/bench``: lists the benches, or runs one."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console

from avskrift.cli import run_command
from bench.report import Narrator, Report, show


@dataclass(frozen=True)
class Bench:
    """What can be run; modules are imported when they are."""

    summary: str
    run: Callable[[bool], Report]


def _pipeline(quick: bool) -> Report:
    from bench import pipeline

    return pipeline.run(Narrator(), quick=quick)


BENCHES = {
    "pipeline": Bench(
        "every link from upload to webhook in a local cloud, the functions' asset, the engine against faster-whisper",
        _pipeline,
    ),
}


def command(
    name: Annotated[str | None, typer.Argument(help="Which bench; without it, they are listed.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Each thing once and on less audio: about a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of tables.")] = False,
) -> None:
    """Measure speed and print a table; what is compared runs in turns, on this machine, in one go.

    Examples:

        scripts/bench

        scripts/bench pipeline --quick

        scripts/bench pipeline --json > pipeline.json
    """
    if name is None:
        for each, bench in BENCHES.items():
            typer.echo(f"{each:10} {bench.summary}")
        return
    if name not in BENCHES:
        raise typer.BadParameter(f"There is no bench {name!r}, only: {', '.join(BENCHES)}.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    report = BENCHES[name].run(quick)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=2))
    else:
        show(Console(highlight=False), report)


if __name__ == "__main__":
    run_command(command, "scripts/bench")
