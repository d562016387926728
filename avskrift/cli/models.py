"""`avskrift models …`"""

from __future__ import annotations

from typing import Annotated

import typer

from avskrift.asr import embedded, models
from avskrift.cli.terminal import err, show_table

app = typer.Typer(no_args_is_help=True, help="Models: what there is, what is here, and fetching them.")


@app.command(name="list")
def list_models() -> None:
    """List the models known by name, and which of them are on this machine.

    A directory with a CTranslate2 Whisper model, or a hub repository as owner/name@revision, can be named as well.
    """
    from rich.table import Table

    table = Table("model", "MB", "here", "what it is", box=None, pad_edge=False)
    for name in [*models.MODELS, *(name for name in models.installed_names() if name not in models.MODELS)]:
        source = models.MODELS.get(name)
        note = source.note if source else f"in {models.models_folder()}"
        table.add_row(name, str(source.size_mb) if source else "", _where(name), note)
    show_table(table)


def _where(name: str) -> str:
    if models.find_local(name):
        return "yes"
    return "embedded" if name == embedded.NAME and embedded.is_installed() else "no"


@app.command()
def pull(name: Annotated[str, typer.Argument(help="A name of the list, or owner/name@revision.")]) -> None:
    """Fetch a model, verify it, and print its directory.

    [bold]Example[/bold]: avskrift models pull kb-whisper-small
    """
    model = models.resolve(name)
    err.print(f"{model.name} is here, revision {model.revision or 'unknown'}.")
    typer.echo(model.directory)
