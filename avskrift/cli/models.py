"""`avskrift models …`"""

from __future__ import annotations

from typing import Annotated

import typer

from avskrift.asr import embedded, models
from avskrift.asr.catalog import ModelSource
from avskrift.cli.terminal import as_usage_error, err, show_table

app = typer.Typer(no_args_is_help=True, help="Models: what there is, what is here, and fetching them.")


@app.command(name="list")
def list_models() -> None:
    """List the models known by name, and which of them are on this machine.

    A directory with a CTranslate2 Whisper model, or a hub repository as owner/name@revision, can be named as well. WER
    is KBLab's on the Swedish part of FLEURS. Styles beside the standard one are fetched and kept as weights of their
    own; "translates" means to English.
    """
    from rich.table import Table

    titles = "model", "family", "languages", "MB", "here", "styles", "translates", "what it is"
    table = Table(*titles, box=None, pad_edge=False)
    for name in [*models.MODELS, *(name for name in models.installed_names() if name not in models.MODELS)]:
        table.add_row(*_row(name, models.MODELS.get(name)))
    show_table(table)


def _row(name: str, source: ModelSource | None) -> tuple[str, ...]:
    if source is None:
        return name, "", "", "", _where(name), "", "", f"in {models.models_folder()}"
    translates = {True: "yes", False: "no", None: "unknown"}[source.can_translate]
    styles = ", ".join(("standard", *source.styles))
    return name, source.family, source.languages, str(source.size_mb), _where(name), styles, translates, source.note


def _where(name: str) -> str:
    if models.find_local(name):
        return "yes"
    return "embedded" if name == embedded.NAME and embedded.is_installed() else "no"


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name of the list, or owner/name@revision.")],
    style: Annotated[
        str, typer.Option("--style", help="standard, subtitle or verbatim: the weights that transcribe --style takes.")
    ] = "standard",
) -> None:
    """Fetch a model, verify it, and print its directory.

    A name of the list is fetched at the commit that this version of avskrift knows. A style or a repository without
    revision is a branch: the commit that it leads to is said, recorded in every transcript, and kept until the hub's
    cache is cleared.

    [bold]Examples[/bold]

      avskrift models pull kb-whisper-small

      avskrift models pull kb-whisper-small --style verbatim
    """
    with as_usage_error():
        models.require_style(name, style)
    model = models.resolve(name, style=style)
    styled = f" ({model.style})" if model.style != "standard" else ""
    err.print(f"{model.name}{styled} is here, revision {model.revision or 'unknown'}.")
    typer.echo(model.directory)
