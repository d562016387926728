"""``scripts/demo``: the command line of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avskrift.cli import run_command
from avskrift.local.demo import DEFAULT_OUTPUT_DIR, SAMPLE, DemoSettings, run
from avskrift.local.settings import DEFAULT_FOLDER


def demo(
    files: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="Your own audio or video.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the local cloud up (`avskrift cloud down` ends it).")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")
    ] = False,
    output_dir: Annotated[Path, typer.Option(help="Where the results go, a folder a job.")] = DEFAULT_OUTPUT_DIR,
    cloud_dir: Annotated[
        Path, typer.Option(envvar="AVSKRIFT_CLOUD_DIR", help="Where the local cloud keeps its state and logs.")
    ] = DEFAULT_FOLDER,
) -> None:
    """Upload a recording to the whole stack on this machine and watch it become a transcript.

    Examples:

        scripts/demo

        scripts/demo intervju.mp3 filmen.mp4

        scripts/demo --json > result.json
    """
    settings = DemoSettings(keep=keep, as_json=as_json, output_dir=output_dir, cloud_dir=cloud_dir)
    raise typer.Exit(run(files or [SAMPLE], settings))


if __name__ == "__main__":
    run_command(demo, "scripts/demo")
