"""What every command prints with: results on stdout, everything else on stderr.

Names of files and keys are others' text, so ``[red]`` and ``:100:`` mean no more here than what they look like; JSON
and what is in files go past rich altogether (``typer.echo``, ``put_out``). A progress column does not ask its console
and needs its own ``markup=False``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from avskrift.errors import AvskriftError, BadOptions
from avskrift.output import writing

if TYPE_CHECKING:
    from rich.table import Table

err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


_PIPED_WIDTH = 2_000
"""Columns of a table that goes to a file or another program: wide enough to cut and wrap nothing."""


def show_table(table: Table) -> None:
    """A table on stdout: fitted to a terminal, whole lines anywhere else."""
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(width=_PIPED_WIDTH, highlight=False, markup=False, emoji=False)
    with wide.capture() as captured:
        wide.print(table)
    out.file.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())


def put_out(content: str | bytes, *, line: bool = True) -> None:
    """A result on stdout; raises ``ConfigurationError`` where that takes no more.

    Whoever closed the pipe has read enough: that error is typer's, which ends the command without a word.
    """
    with writing():
        typer.echo(content, nl=line)


def complain(error: AvskriftError) -> None:
    """One line: the stable code and the sentence."""
    err.print(f"avskrift: {error.code}: {error.message}", style="red")


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Options that cannot be honoured end a command as wrong usage does (exit status 2)."""
    try:
        yield
    except BadOptions as error:
        raise typer.BadParameter(error.message) from error
