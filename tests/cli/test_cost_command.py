"""`avskrift cost`: what jobs cost, by day and by job, those that failed too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from avskrift.cli import app
from avskrift.cli.job_view import job_lines
from avskrift.jobs.cost import Price, Seconds, cost_of
from avskrift.jobs.model import Job, JobError, JobStatus

DAY_S = 86_400
NOON = 1_699_963_200.0
"""2023-11-14 12:00 UTC."""
SPOT = Price("g4dn.xlarge", "spot", "spot price at launch", 0.355)
ON_DEMAND = Price("g5.xlarge", "on-demand", "table eu-north-1 2026-11", 1.075)
ERROR = JobError("no_audio_stream", "There is no sound in this file.")


def job(base: Job, name: str, at: float, cost: Any, **changes: Any) -> Job:
    return replace(base, job_id=name, status_at=at, cost=cost, **changes)


@pytest.fixture
def spent(stack: Any, queued_job: Job) -> Any:
    """Two days: 0.18 on spot, of it 0.09 for a failure; 0.54 on demand for a job that was on spot before."""
    half_hour = cost_of(Seconds(work_s=900.0), SPOT)
    done: dict[str, Any] = {"status": JobStatus.COMPLETED, "result": {"duration_s": 7_200.0}}
    rows = (
        job(queued_job, "one", NOON, half_hour, **done),
        job(queued_job, "two", NOON + 60, half_hour, status=JobStatus.FAILED, error=ERROR),
        job(queued_job, "three", NOON + DAY_S, cost_of(Seconds(work_s=1_800.0), ON_DEMAND, half_hour), **done),
        job(queued_job, "four", NOON + DAY_S, None),
        job(queued_job, "odd", NOON + DAY_S, {"usd": "much"}, status=JobStatus.CANCELLED),
    )
    for row in rows:
        stack.table.create(row)
    return stack


def cost(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cost", *arguments])


def cells(result: Result, name: str) -> list[str]:
    """Of the line that begins with this."""
    return next(line for line in result.stdout.splitlines() if line.startswith(name)).split()


def test_each_day_is_a_line_and_the_last_one_is_all_of_them(spent: Any) -> None:
    result = cost("--since", "2023-11-14")
    assert result.exit_code == 0
    assert cells(result, "2023-11-14") == "2023-11-14 2 1 2:00:00 0:30:00 0.0000 0.1800 0.1800 0.0900".split()
    assert cells(result, "2023-11-15") == "2023-11-15 3 0 2:00:00 0:45:00 0.5400 0.0900 0.6300 0.3150".split()
    assert cells(result, "together") == "together 5 1 4:00:00 1:15:00 0.5400 0.2700 0.8100 0.2025".split()
    assert "1 of 5 jobs wait or run" in result.stdout


def test_each_job_is_a_line(spent: Any) -> None:
    result = cost("--since", "2023-11-14", "--by", "job")
    assert cells(result, "two")[:5] == ["two", "failed", "(no_audio_stream)", "2023-11-14", "12:01:00"]
    assert cells(result, "two")[-3:] == ["0.0000", "0.0900", "0.0900"]
    assert cells(result, "three")[-4:] == ["0.5400", "0.0900", "0.6300", "0.3150"]
    assert cells(result, "5 jobs")[-3:] == ["0.2700", "0.8100", "0.2025"]


def test_earlier_jobs_are_left_out(spent: Any) -> None:
    told = json.loads(cost("--since", "2023-11-14T12:01:00", "--json").stdout)
    assert {one["job_id"] for one in told["jobs"]} == {"two", "three", "four", "odd"}
    assert told["since"] == "2023-11-14T12:01:00.000Z"


def test_time_of_another_zone_is_understood(spent: Any) -> None:
    told = json.loads(cost("--since", "2023-11-14T13:00:30+01:00", "--json").stdout)
    assert told["since"] == "2023-11-14T12:00:30.000Z"


def test_json_has_jobs_days_and_the_total(spent: Any) -> None:
    told = json.loads(cost("--since", "2023-11-14", "--json").stdout)
    assert told["total"] == {
        "jobs": 5,
        "failed": 1,
        "cancelled": 1,
        "unfinished": 1,
        "audio_s": 14_400.0,
        "billed_s": 4_500.0,
        "by_market": {"on-demand": 0.54, "spot": 0.27},
        "usd": 0.81,
        "usd_per_audio_hour": 0.2025,
    }
    assert list(told["days"]) == ["2023-11-15", "2023-11-14"]
    (two,) = [one for one in told["jobs"] if one["job_id"] == "two"]
    assert (two["status"], two["cost"]["usd_per_hour"]) == ("failed", 0.355)


def test_without_a_date_it_is_the_last_thirty_days(spent: Any) -> None:
    result = cost()
    assert result.exit_code == 0
    assert cells(result, "together")[:2] == ["together", "0"]


def test_date_that_is_none_is_one_sentence(spent: Any) -> None:
    result = cost("--since", "yesterday")
    assert result.exit_code == 1
    assert "2026-11-01" in str(result.exception)


def test_one_jobs_cost_is_said_to_people(queued_job: Job) -> None:
    paid = cost_of(Seconds(work_s=1_800.0, boot_s=40.0), ON_DEMAND, cost_of(Seconds(work_s=900.0, linger_s=5.0), SPOT))
    lines = [line.strip() for line in job_lines(replace(queued_job, cost=paid))]
    assert "cost       0.642500 USD, 0.003813 of it for the address" in lines
    assert "2745.0 s billed: 2700.0 work, 40.0 boot, 5.0 linger" in lines
    assert "g5.xlarge, on-demand: 1.075 USD an hour (table eu-north-1 2026-11)" in lines
    assert "by market: spot 0.0905 USD, on-demand 0.552 USD" in lines


def test_cost_of_an_older_version_is_shown_as_it_is(queued_job: Job) -> None:
    lines = [line.strip() for line in job_lines(replace(queued_job, cost={"usd": 0.5, "market": "spot"}))]
    assert "cost       usd: 0.5" in lines
