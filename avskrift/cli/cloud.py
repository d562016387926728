"""`avskrift cloud …`: the whole deployment on this machine."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avskrift.cli.terminal import err, out
from avskrift.errors import LocalCloudError
from avskrift.local.settings import DEFAULT_FOLDER

if TYPE_CHECKING:
    from avskrift.local.cloud import Step

app = typer.Typer(
    no_args_is_help=True,
    help="The whole cloud on this machine: the real stack in an emulator, instances as processes.",
    rich_markup_mode="rich",
)

_Instance = typer.Argument(help="Id of an instance, as `avskrift cloud status` shows it.", metavar="INSTANCE")
_Context = typer.Option([], "-c", "--context", metavar="NAME=VALUE", help="A setting of the stack; may be repeated.")
_CloudDir = Annotated[
    Path,
    typer.Option(
        envvar="AVSKRIFT_CLOUD_DIR",
        resolve_path=True,
        help="Where this cloud keeps its state and logs: each folder has a cloud of its own.",
    ),
]
_LINES = 20


@app.command()
def up(
    callback_url: str = typer.Option("", help="Where webhooks go, for jobs that name no address."),
    context: list[str] = _Context,
    enforcing: bool = typer.Option(
        False, "--enforcing", help="Check every signature and policy as AWS does, over TLS."
    ),
    tied: bool = typer.Option(False, "--tied", help="End when the calling process ends."),
    cloud_dir: _CloudDir = DEFAULT_FOLDER,
) -> None:
    """Start the local cloud and deploy the stack into it.

    Examples:

    [bold]avskrift cloud up --callback-url http://127.0.0.1:9000/hook -c linger_s=30[/bold]

    [bold]avskrift cloud up --enforcing[/bold]: as in AWS, each part may do what its role may
    """
    from avskrift.local.cloud import Cloud, CloudSettings, StepFailed
    from avskrift.local.settings import parse_context

    settings = CloudSettings(
        folder=cloud_dir,
        callback_url=callback_url,
        context=parse_context(context),
        enforcing=enforcing,
        tied_to=os.getppid() if tied else None,
    )
    try:
        cloud = Cloud.up(settings, on_step=_show_step)
    except StepFailed as error:
        err.print("\n".join(error.tail), style="dim")
        raise
    out.print(f"Bucket     {cloud.outputs['BucketName']}")
    out.print(f"Endpoint   {cloud.endpoint}")
    err.print('Point an AWS client at it:  eval "$(avskrift cloud env)"')


@app.command()
def down(cloud_dir: _CloudDir = DEFAULT_FOLDER) -> None:
    """End the local cloud and everything that runs in it; its logs stay."""
    from avskrift.local.cloud import Cloud
    from avskrift.local.lock import is_held
    from avskrift.local.settings import Files

    if is_held(cloud_dir):
        Cloud.attach(cloud_dir).down()
        err.print("The local cloud is down.")
    else:
        Files(cloud_dir).clear_temporary()  # of one that was killed
        err.print("No local cloud is up.")


@app.command()
def status(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."), cloud_dir: _CloudDir = DEFAULT_FOLDER
) -> None:
    """Show the local cloud: its addresses, the stack's outputs, the instances."""
    from avskrift.local.cloud import Cloud

    cloud = Cloud.attach(cloud_dir)
    if as_json:
        typer.echo(json.dumps(cloud.status(), indent=2))
        return
    values = cloud.status()
    out.print(f"{'Up' if values['ready'] else 'Starting'}, process {values['pid']}, at {values['endpoint']}")
    from rich.table import Table

    table = Table(box=None)
    for heading in ("instance", "state", "market", "type", "zone", "ended by"):
        table.add_column(heading)
    for one in cloud.instances():
        table.add_row(one.instance_id, one.state, one.market, one.instance_type, one.zone, one.reason or "")
    out.print(table if values["instances"] else "No instance was launched yet.")
    for name, value in sorted(values["outputs"].items()):
        out.print(f"{name:18} {value}")


@app.command()
def interrupt(
    instance: str = _Instance,
    notice_s: float = typer.Option(120.0, min=0, help="Seconds between the notice and the end."),
    cloud_dir: _CloudDir = DEFAULT_FOLDER,
) -> None:
    """Give a running spot instance its interruption notice, and take it when the time is over."""
    from avskrift.local.cloud import Cloud

    answer = Cloud.attach(cloud_dir).interrupt(instance, notice_s)
    out.print(f"{instance} is taken at {answer['taken_at']}")


@app.command()
def logs(
    name: str = typer.Argument("", help="Part of a log's name: supervisor, emulator, deploy, an instance id."),
    lines: int = typer.Option(_LINES, "-n", min=1, help="How many lines of each."),
    cloud_dir: _CloudDir = DEFAULT_FOLDER,
) -> None:
    """Print the end of the logs of the present cloud, or of the last one."""
    from avskrift.local.processes import last_lines
    from avskrift.local.settings import Files

    found = [log for log in Files(cloud_dir).logs() if name in log.stem]
    if not found:
        raise LocalCloudError(f"There is no log{f' named {name}' if name else ''} in {cloud_dir}.")
    for log in found:
        out.print(os.path.relpath(log), style="bold")
        out.print("\n".join(last_lines(log, lines)))


@app.command()
def env(cloud_dir: _CloudDir = DEFAULT_FOLDER) -> None:
    """Print shell commands that point any AWS client at the local cloud.

    Example: [bold]eval "$(avskrift cloud env)"; aws s3 ls[/bold]
    """
    from avskrift.local.cloud import Cloud

    for name, value in Cloud.attach(cloud_dir).environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _show_step(step: Step) -> None:
    from avskrift.local.journal import READY

    if step.state == "started" or step.name == READY:
        return
    mark, style = ("✓", "green") if step.state == "done" else ("✗", "red")
    err.print(f"{mark} {step.name:24} {step.elapsed_s:6.1f} s", style=style)
