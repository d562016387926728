"""Cancelling: a queued job never starts, a running attempt may write nothing more, an ended one stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.cancel import AlreadyEnded, NoSuchJob, cancel_job
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.table import JobTable, StaleAttempt, ended_job

NOW = 1_700_000_100.0


def cancel(deployment: Any, job: Job) -> Job:
    return cancel_job(deployment.table, deployment.sqs, deployment.outbox_queue_url, job.job_id, NOW)


def test_cancelled_queued_job_can_not_be_claimed_and_tells_its_receiver(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)

    cancel(deployment, queued_job)

    assert deployment.table.claim(queued_job.job_id, "i-1", NOW) is None
    stored = deployment.table.get(queued_job.job_id)
    assert (stored.status, stored.status_at, stored.sequence) == (JobStatus.CANCELLED, NOW, queued_job.sequence + 1)
    (message,) = deployment.messages(deployment.outbox_queue_url)
    assert deployment.table.outbox_entry(message["outbox_id"]).type == "job.cancelled"


def test_running_attempt_learns_of_the_cancellation_at_its_next_write(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    running = deployment.table.claim(queued_job.job_id, "i-1", NOW)

    cancel(deployment, queued_job)

    with pytest.raises(StaleAttempt):
        deployment.table.beat(running, None, {})
    with pytest.raises(StaleAttempt):
        deployment.table.finish(running, ended_job(running, JobStatus.COMPLETED, NOW), None)


def test_cancelling_twice_makes_one_webhook(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    first = cancel(deployment, queued_job)
    assert cancel(deployment, queued_job) == deployment.table.get(queued_job.job_id)
    assert first.sequence == deployment.table.get(queued_job.job_id).sequence
    assert len(deployment.messages(deployment.outbox_queue_url)) == 1


def test_job_that_changes_hands_meanwhile_is_cancelled_all_the_same(
    deployment: Any, queued_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = deployment.table
    table.create(queued_job)
    finish, met = JobTable.finish, []

    def claimed_in_between(self: JobTable, *arguments: Any) -> None:
        if not met:
            met.append(table.claim(queued_job.job_id, "i-1", NOW))
        finish(self, *arguments)

    monkeypatch.setattr(JobTable, "finish", claimed_in_between)
    assert cancel(deployment, queued_job).attempt == 1
    assert table.get(queued_job.job_id).status is JobStatus.CANCELLED


def test_ended_and_unknown_jobs_are_sentences(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(replace(queued_job, status=JobStatus.COMPLETED))
    with pytest.raises(AlreadyEnded, match="completed already"):
        cancel(deployment, queued_job)
    with pytest.raises(NoSuchJob, match="jobs list"):
        cancel(deployment, replace(queued_job, job_id="nobody"))
    assert deployment.messages(deployment.outbox_queue_url) == []
