"""The command line: thin commands that parse, call the library and print."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from avskrift import __version__
from avskrift.cli import cloud, convert, cost, doctor, jobs, models, transcribe
from avskrift.cli.terminal import complain
from avskrift.errors import AvskriftError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="avskrift",
    help="Transcribe speech: on this machine, or in your own AWS account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
transcribe.register(app)
convert.register(app)
jobs.register(app)
cost.register(app)
doctor.register(app)
app.add_typer(models.app, name="models")
app.add_typer(cloud.app, name="cloud")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"avskrift {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Entry point of ``avskrift``."""
    _guarded(app)


def run_command(command: Callable[..., None], name: str) -> None:
    """Run one function as a command line of its own, called ``name`` in its help (``scripts/demo``)."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(command)
    _guarded(lambda: alone(prog_name=name))


def _guarded(command: Callable[[], None]) -> None:
    """Errors of ours and of AWS are one sentence on stderr, never a stack trace."""
    try:
        command()
    except AvskriftError as error:
        complain(error)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if not _is_from_aws(error):
            raise
        complain(AwsRefused(f"AWS did not do it: {error} Check credentials, region and permissions."))
        sys.exit(EXIT_FAILED)


class AwsRefused(AvskriftError):
    """A call to AWS failed: credentials, region, permissions or network."""

    code = "aws"


def _is_from_aws(error: Exception) -> bool:
    """Whether botocore raised it, told without importing botocore (0.2 s) in commands that need no cloud."""
    return type(error).__module__.partition(".")[0] == "botocore"
