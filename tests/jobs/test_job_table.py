"""Every write of a job is fenced: a stale writer is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.model import Job, JobError, JobProgress, JobStatus
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import StaleAttempt, ended_job, failed_job

NOW = 1_700_000_100.5


def test_job_survives_the_table_unchanged(deployment: Any, queued_job: Job) -> None:
    full = replace(
        queued_job,
        progress=JobProgress(1.25, 60.0),
        error=JobError("internal", "why"),
        result={"keys": {"txt": "results/x"}, "duration_s": 1.5},
    )
    deployment.table.create(full)
    assert deployment.table.get(full.job_id) == full


def test_job_is_created_once(deployment: Any, queued_job: Job) -> None:
    assert deployment.table.create(queued_job)
    assert not deployment.table.create(replace(queued_job, size_bytes=7))
    assert deployment.table.get(queued_job.job_id).size_bytes == queued_job.size_bytes


def test_only_one_agent_claims_a_job(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    first = deployment.table.claim(queued_job.job_id, "i-1", NOW)
    assert deployment.table.claim(queued_job.job_id, "i-2", NOW) is None
    assert (first.attempt, first.instance_id, first.status) == (1, "i-1", JobStatus.RUNNING)
    assert first.phases == {"queued": queued_job.phases["queued"], "claimed": NOW}


def test_claim_whose_answer_was_lost_is_found_again(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    first = deployment.table.claim(queued_job.job_id, "i-1", NOW)
    assert deployment.table.claim(queued_job.job_id, "i-1", NOW) == first
    deployment.table.beat(first, None, {})
    assert deployment.table.claim(queued_job.job_id, "i-1", NOW) is None


def test_absent_job_is_not_claimed(deployment: Any) -> None:
    assert deployment.table.claim("nothing", "i-1", NOW) is None


def test_beat_carries_progress_and_phases(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    claimed = deployment.table.claim(queued_job.job_id, "i-1", NOW)
    deployment.table.beat(claimed, JobProgress(3.0, 10.0), {"downloaded": NOW + 1})
    stored = deployment.table.get(queued_job.job_id)
    assert (stored.beat, stored.progress, stored.phases["downloaded"]) == (1, JobProgress(3.0, 10.0), NOW + 1)


def test_stale_attempt_can_neither_beat_finish_nor_requeue(deployment: Any, queued_job: Job) -> None:
    table = deployment.table
    table.create(queued_job)
    stale = table.claim(queued_job.job_id, "i-1", NOW)
    table.requeue(stale, NOW, failed=True)
    current = table.claim(queued_job.job_id, "i-2", NOW)
    ended = failed_job(stale, JobError("internal", "late"), NOW)
    for write in (
        lambda: table.beat(stale, None, {}),
        lambda: table.requeue(stale, NOW, failed=False),
        lambda: table.finish(stale, ended, outbox_entry_for(ended, NOW)),
    ):
        with pytest.raises(StaleAttempt):
            write()
    assert table.get(queued_job.job_id) == current
    assert table.outbox_entry(outbox_entry_for(ended, NOW).outbox_id) is None


def test_failures_are_counted_but_interruptions_are_not(deployment: Any, queued_job: Job) -> None:
    table = deployment.table
    table.create(queued_job)
    for failed, expected in ((True, 1), (False, 1), (True, 2)):
        table.requeue(table.claim(queued_job.job_id, "i-1", NOW), NOW, failed=failed)
        assert table.get(queued_job.job_id).failures == expected
    assert table.get(queued_job.job_id).attempt == 3


def test_end_and_its_outbox_entry_come_together(deployment: Any, queued_job: Job) -> None:
    table = deployment.table
    table.create(queued_job)
    claimed = table.claim(queued_job.job_id, "i-1", NOW)
    ended = ended_job(claimed, JobStatus.COMPLETED, NOW, result={"keys": {}})
    outbox = outbox_entry_for(ended, NOW)
    table.finish(claimed, ended, outbox)
    assert table.get(queued_job.job_id).status is JobStatus.COMPLETED
    assert table.outbox_entry(outbox.outbox_id) == outbox
    with pytest.raises(StaleAttempt):
        table.finish(claimed, ended, outbox)


def test_index_follows_the_status(deployment: Any, queued_job: Job) -> None:
    table = deployment.table
    table.create(queued_job)
    table.claim(queued_job.job_id, "i-1", NOW)
    assert list(table.with_status(JobStatus.QUEUED)) == []
    assert [job.job_id for job in table.with_status(JobStatus.RUNNING)] == [queued_job.job_id]


def test_cost_is_told_with_beats_and_stays_when_the_job_goes_back(deployment: Any, queued_job: Job) -> None:
    table = deployment.table
    table.create(queued_job)
    claimed = table.claim(queued_job.job_id, "i-1", NOW)
    table.beat(claimed, None, {}, {"usd": 0.25})
    table.requeue(claimed, NOW, failed=True)
    assert table.get(queued_job.job_id).cost == {"usd": 0.25}
    again = table.claim(queued_job.job_id, "i-2", NOW)
    assert again.cost == {"usd": 0.25}
    table.requeue(again, NOW, cost={"usd": 0.5})
    assert table.get(queued_job.job_id).cost == {"usd": 0.5}


def test_cost_is_set_after_the_end_until_another_attempt_has_the_job(deployment: Any, queued_job: Job) -> None:
    table = deployment.table
    table.create(queued_job)
    claimed = table.claim(queued_job.job_id, "i-1", NOW)
    table.requeue(claimed, NOW, cost={"usd": 0.5})
    table.set_cost(claimed.job_id, claimed.attempt, {"usd": 0.75})
    assert table.get(queued_job.job_id).cost == {"usd": 0.75}
    table.claim(queued_job.job_id, "i-2", NOW)
    with pytest.raises(StaleAttempt):
        table.set_cost(claimed.job_id, claimed.attempt, {"usd": 9.0})
    with pytest.raises(StaleAttempt):
        table.set_cost("nothing", 1, {"usd": 9.0})
    assert table.get(queued_job.job_id).cost == {"usd": 0.75}
