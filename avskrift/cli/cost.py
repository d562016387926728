"""`avskrift cost`: what the jobs of a deployment cost, by day and by job."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avskrift.cli.job_view import clock, status_text
from avskrift.cli.jobs import CloudDirOption, DeploymentOption, LocalOption, _connect
from avskrift.cli.terminal import out, show_table
from avskrift.errors import BadOptions
from avskrift.local.settings import DEFAULT_FOLDER

if TYPE_CHECKING:
    from avskrift.jobs.cost_report import Report, Sum

DEFAULT_DAYS = 30


class By(StrEnum):
    """What a line of the table is."""

    DAY = "day"
    JOB = "job"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(cost)


def cost(
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="From this day or time on (UTC). Default: the last 30 days.")
    ] = None,
    by: Annotated[By, typer.Option(help="A line for each day, or for each job.")] = By.DAY,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with days, jobs and the total.")] = False,
    deployment: DeploymentOption = "avskrift",
    local: LocalOption = False,
    cloud_dir: CloudDirOption = DEFAULT_FOLDER,
) -> None:
    """Show what jobs cost: instances and their addresses, from boot to the end, whatever became of the job.

    A job counts on the UTC day on which it ended, for as long as its row is kept (job_ttl_days). Prices are those of
    the launch; disks, storage, requests, and instances that never got a job are not in it.

    Examples:

        avskrift cost

        avskrift cost --since 2026-11-01 --by job

        avskrift cost --since 2026-11-01 --json
    """
    from avskrift.jobs.cost_report import report

    begin = _begin(since, time.time())
    found = report(_connect(deployment, cloud_dir if local else None).jobs_since(begin), begin)
    if as_json:
        typer.echo(json.dumps(_as_json(found), ensure_ascii=False))
        return
    names, lines, together = _by_day(found) if by is By.DAY else _by_job(found)
    _show(names, lines, together, found.total)


Lines = Iterable[tuple[list[str], "Sum"]]


def _by_day(found: Report) -> tuple[list[str], Lines, list[str]]:
    """Names of the columns before the amounts, the lines, and what the last line begins with."""
    lines = (([day, str(one.jobs), str(one.failed)], one) for day, one in found.days.items())
    return ["day (UTC)", "jobs", "failed"], lines, ["together", str(found.total.jobs), str(found.total.failed)]


def _by_job(found: Report) -> tuple[list[str], Lines, list[str]]:
    from avskrift.jobs.cost_report import sum_of

    lines = (([job.job_id, status_text(job), clock(job.status_at)], sum_of([job])) for job in found.jobs)
    together = [f"{found.total.jobs} jobs together", f"{found.total.failed} failed", ""]
    return ["job", "status", "since (UTC)"], lines, together


def _begin(since: str | None, now: float) -> float:
    """UTC epoch seconds; ``BadOptions`` for what is no date."""
    if since is None:
        midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - timedelta(days=DEFAULT_DAYS)).timestamp()
    try:
        given = datetime.fromisoformat(since)
    except ValueError as error:
        raise BadOptions(
            f"--since takes a day or a time such as 2026-11-01 or 2026-11-01T12:00; {since!r} is none."
        ) from error
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _as_json(found: Report) -> dict[str, Any]:
    from avskrift.jobs.outbox import iso_time

    return {
        "since": iso_time(found.since),
        "days": {day: sum_.to_dict() for day, sum_ in found.days.items()},
        "jobs": [
            {"job_id": job.job_id, "status": job.status.value, "status_at": iso_time(job.status_at), "cost": job.cost}
            for job in found.jobs
        ],
        "total": found.total.to_dict(),
    }


def _show(names: Sequence[str], lines: Lines, together: list[str], total: Sum) -> None:
    from rich.table import Table

    markets = sorted(total.by_market)
    table = Table(*names, box=None, pad_edge=False)
    for name in ("audio", "instances", *(f"{market} USD" for market in markets), "USD", "USD / audio h"):
        table.add_column(name, justify="right")
    for cells, sum_ in lines:
        table.add_row(*cells, *_amounts(sum_, markets))
    table.add_row(*together, *_amounts(total, markets))
    show_table(table)
    if total.unfinished:
        out.print(f"{total.unfinished} of {total.jobs} jobs wait or run: theirs is what they have cost so far.")


def _amounts(sum_: Sum, markets: Sequence[str]) -> list[str]:
    per_hour = sum_.usd_per_audio_hour
    return [
        _duration(sum_.audio_s),
        _duration(sum_.billed_s),
        *(_usd(sum_.by_market.get(market, 0.0)) for market in markets),
        _usd(sum_.usd),
        "" if per_hour is None else _usd(per_hour),
    ]


def _usd(value: float) -> str:
    return f"{value:.4f}"


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
