"""`avskrift submit` and `avskrift jobs …`: recordings into a deployment, and what became of them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avskrift.cli.job_view import clock, job_lines, printable, status_text
from avskrift.cli.terminal import complain, err, out, show_table
from avskrift.errors import AvskriftError, BadOptions, ConfigurationError
from avskrift.local.settings import DEFAULT_FOLDER

if TYPE_CHECKING:
    from avskrift.client import Client

DeploymentOption = Annotated[
    str, typer.Option(envvar="AVSKRIFT_DEPLOYMENT", help="Name of the deployment (its stack).", show_default=True)
]
LocalOption = Annotated[bool, typer.Option("--local", help="The local cloud (`avskrift cloud up`) instead of AWS.")]
CloudDirOption = Annotated[
    Path, typer.Option(envvar="AVSKRIFT_CLOUD_DIR", help="With --local: where that cloud keeps its state.")
]

jobs_app = typer.Typer(no_args_is_help=True, help="What became of the recordings of a deployment.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(submit)
    app.add_typer(jobs_app, name="jobs")


def submit(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Recordings to upload.")],
    callback_url: Annotated[str | None, typer.Option(help="Where the signed webhook goes, if not the default.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="A job option, such as language=sv; repeat it for several.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the transcripts and save them here.")] = False,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where --wait puts the results, a folder a job.")
    ] = Path(),
    deployment: DeploymentOption = "avskrift",
    local: LocalOption = False,
    cloud_dir: CloudDirOption = DEFAULT_FOLDER,
) -> None:
    """Upload recordings to a deployment.

    Examples:

        avskrift submit intervju.mp3

        avskrift submit *.wav --option language=sv --option formats=srt,txt --wait
    """
    client = _connect(deployment, cloud_dir if local else None)
    options = _options(option or [], callback_url)
    job_ids = _upload(client, files, options)
    if not wait:
        for job_id in job_ids.values():
            out.print(job_id)
        return
    failed = [path for path, job_id in job_ids.items() if not _await(client, path, job_id, output_dir)]
    if failed:
        raise typer.Exit(1)


@jobs_app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only queued, running, completed, failed or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    deployment: DeploymentOption = "avskrift",
    local: LocalOption = False,
    cloud_dir: CloudDirOption = DEFAULT_FOLDER,
) -> None:
    """List jobs, newest first.

    Example: avskrift jobs list --status failed
    """
    from avskrift.jobs.outbox import summary

    jobs = _connect(deployment, cloud_dir if local else None).jobs(_status(status), limit)
    if as_json:
        for job in jobs:
            typer.echo(json.dumps(summary(job), ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("job", "status", "changed (UTC)", "attempt", "recording", box=None, pad_edge=False)
    for job in jobs:
        table.add_row(job.job_id, status_text(job), clock(job.status_at), str(job.attempt), printable(job.key))
    show_table(table)


@jobs_app.command("show")
def show_job(
    job_id: Annotated[str, typer.Argument(help="The id that submit printed.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
    deployment: DeploymentOption = "avskrift",
    local: LocalOption = False,
    cloud_dir: CloudDirOption = DEFAULT_FOLDER,
) -> None:
    """Show one job: status, attempts, phases, launches, result, error.

    Launches are what was tried to get it an instance, and what each instance type and zone answered.

    Examples:

        avskrift jobs show 6rltmukcmqxwxbmv5v7b4lq2wy

        avskrift jobs show 6rltmukcmqxwxbmv5v7b4lq2wy --json
    """
    job = _connect(deployment, cloud_dir if local else None).job(job_id)
    if as_json:
        typer.echo(json.dumps(job.to_dict(), ensure_ascii=False, indent=2))
        return
    for line in job_lines(job):
        out.print(line)


@jobs_app.command("cancel")
def cancel_jobs(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID", help="Ids as submit and list print them.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: the job, or its error.")] = False,
    deployment: DeploymentOption = "avskrift",
    local: LocalOption = False,
    cloud_dir: CloudDirOption = DEFAULT_FOLDER,
) -> None:
    """Cancel jobs that wait or run.

    One that waits never starts; one that runs stops at its next heartbeat; one that was cancelled before stays so. The
    exit code is 1 if one could not be cancelled.

    Examples:

        avskrift jobs cancel 6rltmukcmqxwxbmv5v7b4lq2wy

        avskrift jobs list --status queued --json | jq -r .job_id | xargs avskrift jobs cancel
    """
    client = _connect(deployment, cloud_dir if local else None)
    done = [_cancel(client, job_id, as_json) for job_id in job_ids]
    if not all(done):
        raise typer.Exit(1)


@jobs_app.command("delete")
def delete_jobs(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID", help="Ids as submit and list print them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: what was deleted, or why not.")
    ] = False,
    deployment: DeploymentOption = "avskrift",
    local: LocalOption = False,
    cloud_dir: CloudDirOption = DEFAULT_FOLDER,
) -> None:
    """Delete jobs for good: every version of the recording, the transcript, the row.

    One at work is cancelled first. No webhook tells of it, and one that was not delivered yet never is. What stays, and
    for how long, is in docs/privacy.md. The exit code is 1 if one could not be deleted; it may be repeated.

    Examples:

        avskrift jobs delete 6rltmukcmqxwxbmv5v7b4lq2wy

        avskrift jobs list --status failed --json | jq -r .job_id | xargs avskrift jobs delete --yes
    """
    client = _connect(deployment, cloud_dir if local else None)
    if not yes:
        _confirm(f"Delete {len(job_ids)} job{'s' * (len(job_ids) > 1)} with recording and transcript for good?")
    done = [_delete(client, job_id, as_json) for job_id in job_ids]
    if not all(done):
        raise typer.Exit(1)


def _confirm(question: str) -> None:
    """Raises ``ConfigurationError`` where nobody can be asked."""
    if not _is_asked():
        raise ConfigurationError("There is nobody to ask whether to delete: add --yes.")
    typer.confirm(question, abort=True, err=True)


def _is_asked() -> bool:
    return sys.stdin.isatty()


def _delete(client: Client, job_id: str, as_json: bool) -> bool:
    """Delete one job and say what became of it; whether it is gone."""
    try:
        done = client.delete(job_id)
    except AvskriftError as error:
        _tell_error(job_id, error, as_json)
        return False
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return True
    parts = [f"Job {job_id} is deleted, with {done.versions} object versions"]
    if done.kept_versions:
        parts.append(f"{done.kept_versions} versions of the same key are other jobs' recordings, or newer, and stay")
    if done.instance_id:
        parts.append(f"{done.instance_id} stops working on it at its next heartbeat, then its emptied row expires")
    out.print("; ".join(parts) + ".")
    return True


def _tell_error(job_id: str, error: AvskriftError, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"job_id": job_id, "error": {"code": error.code, "message": error.message}}))
    else:
        complain(error)


def _cancel(client: Client, job_id: str, as_json: bool) -> bool:
    """Cancel one job and say what became of it; whether it is cancelled."""
    from avskrift.jobs.outbox import summary

    try:
        job = client.cancel(job_id)
    except AvskriftError as error:
        _tell_error(job_id, error, as_json)
        return False
    if as_json:
        typer.echo(json.dumps(summary(job), ensure_ascii=False))
    else:
        worker = f"; {job.instance_id} stops working on it at its next heartbeat" if job.instance_id else ""
        out.print(f"Job {job_id} is cancelled{worker}.")
    return True


def _connect(deployment: str, cloud_dir: Path | None) -> Client:
    """The deployment in AWS, or the one in the local cloud of ``cloud_dir``."""
    from avskrift.client import Client, Place

    if cloud_dir is None:
        return Client.connect(deployment)
    from avskrift.local.cloud import Cloud

    cloud = Cloud.attach(cloud_dir)
    return Client(Place.from_outputs(cloud.outputs), cloud.session())


def _options(pairs: list[str], callback_url: str | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise BadOptions(f"--option takes name=value, such as language=sv; {pair!r} has no '='.")
        options[name] = value
    if callback_url:
        options["callback_url"] = callback_url
    return options


def _upload(client: Client, files: list[Path], options: dict[str, Any]) -> dict[Path, str]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        job_ids = {}
        for path in files:
            task = progress.add_task(f"upload {path.name}", total=path.stat().st_size)
            job_ids[path] = client.submit(path, options, lambda sent, task=task: progress.advance(task, sent))  # type: ignore[misc]
        return job_ids


def _await(client: Client, path: Path, job_id: str, output_dir: Path) -> bool:
    """Follow one job to its end and fetch its results; whether it completed."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(path.name, total=None)
        for job in client.follow(job_id):
            progress.update(task, description=f"{path.name}: {job.status.value}")
            if job.progress:
                progress.update(task, total=job.progress.total_s, completed=job.progress.done_s)
    if job.error:
        err.print(f"{path.name}: {job.error.code}: {job.error.message}", style="red")
        return False
    for result in client.download(job, output_dir / job_id).values():
        out.print(str(result))
    return True


def _status(text: str | None) -> Any:
    from avskrift.jobs.model import JobStatus

    if text is None:
        return None
    try:
        return JobStatus(text)
    except ValueError as error:
        raise BadOptions(f"There is no status {text!r}: use one of {', '.join(JobStatus)}.") from error
