"""`avskrift jobs cancel`: what it changes, says and returns."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from avskrift.cli import app
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.table import failed_job

NOW = 1_700_000_000.0


def cancel(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["jobs", "cancel", *arguments], catch_exceptions=False)


@pytest.fixture
def waiting(stack: Any, queued_job: Job) -> Job:
    stack.table.create(queued_job)
    return queued_job


def spoil(stack: Any, job: Job) -> None:
    """Edit a job's row into nonsense."""
    stack.table.put_values({**job.to_dict(), "pk": f"job#{job.job_id}", "attempt": "many"})


def test_a_waiting_job_is_cancelled_with_its_webhook(stack: Any, waiting: Job) -> None:
    done = cancel(waiting.job_id)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"Job {waiting.job_id} is cancelled.\n"
    assert stack.table.get(waiting.job_id).status is JobStatus.CANCELLED
    assert stack.table.claim(waiting.job_id, "i-1", NOW) is None
    (message,) = stack.messages(stack.outbox_queue_url)
    assert stack.table.outbox_entry(message["outbox_id"]).type == "job.cancelled"


def test_of_a_running_job_it_says_who_stops(stack: Any, waiting: Job) -> None:
    stack.table.claim(waiting.job_id, "i-0abc", NOW)

    assert "i-0abc stops working on it at its next heartbeat" in cancel(waiting.job_id).stdout


def test_cancelling_again_changes_nothing(stack: Any, waiting: Job) -> None:
    cancel(waiting.job_id)
    stack.messages(stack.outbox_queue_url)

    assert cancel(waiting.job_id).exit_code == 0
    assert stack.messages(stack.outbox_queue_url) == []


def test_one_that_cannot_be_cancelled_stops_no_other_and_is_one_sentence(stack: Any, queued_job: Job) -> None:
    jobs = {name: replace(queued_job, job_id=name * 26) for name in "abc"}
    stack.table.create(jobs["a"])
    stack.table.create(failed_job(jobs["b"], None, NOW))  # type: ignore[arg-type]
    spoil(stack, jobs["c"])

    done = cancel(jobs["b"].job_id, "nothing", jobs["c"].job_id, jobs["a"].job_id)

    assert done.exit_code == 1
    ended, missing, spoilt = done.stderr.splitlines()
    assert "already_ended" in ended and jobs["b"].job_id in ended
    assert "no_such_job" in missing and "'nothing'" in missing
    assert "malformed_row" in spoilt and jobs["c"].job_id in spoilt and "'attempt'" in spoilt
    assert stack.table.get(jobs["a"].job_id).status is JobStatus.CANCELLED


def test_json_is_one_object_a_job_and_nothing_on_stderr(stack: Any, waiting: Job) -> None:
    done = cancel("--json", waiting.job_id, "nothing")

    assert (done.exit_code, done.stderr) == (1, "")
    cancelled, refused = (json.loads(line) for line in done.stdout.splitlines())
    assert (cancelled["job_id"], cancelled["status"]) == (waiting.job_id, "cancelled")
    assert (refused["job_id"], refused["error"]["code"]) == ("nothing", "no_such_job")


def test_without_an_id_it_says_how_it_is_used(stack: Any) -> None:
    done = cancel()

    assert done.exit_code == 2
    assert "JOB_ID" in done.stderr


def test_help_shows_examples(stack: Any) -> None:
    assert "avskrift jobs list --status queued --json | jq -r .job_id | xargs" in cancel("--help").stdout
