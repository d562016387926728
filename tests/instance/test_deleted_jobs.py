"""A job that is deleted while an agent works on it: the agent clears what it left, and goes on to the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from avskrift.jobs.deletion import LETTING_GO_S, Deleter
from avskrift.jobs.model import Job, JobStatus
from avskrift.local.processes import await_condition
from tests.instance.agent_stage import PATIENCE_S, Stage, Work


def deleter_of(stage: Stage) -> Deleter:
    deployment = stage.deployment
    return Deleter(deployment.table, deployment.dynamodb, deployment.s3, deployment.bucket)


def deleting(stage: Stage, job: Job, then: Callable[[Work], None]) -> Callable[[Work], None]:
    def delete(work: Work) -> None:
        work.write_checkpoint("said so far\n")
        deleter_of(stage).delete(job.job_id, time.time())
        then(work)

    return delete


def goes_on(work: Work) -> None:
    """As one that has its transcript before its next heartbeat."""


@pytest.mark.parametrize("then", [Work.await_cancel, goes_on], ids=["stops at a heartbeat", "is done before it"])
def test_nothing_can_be_fetched_of_a_job_deleted_at_work(stage: Stage, then: Any) -> None:
    job, other = stage.upload("uploads/a.mp3"), stage.upload("uploads/b.mp3", b"other")

    heard = stage.run(deleting(stage, job, then), None).heard

    assert heard == [b"sound", b"other"]
    assert [key for key in stage.keys("") if job.job_id in key or key.endswith("a.mp3")] == []
    left = stage.job(job)
    assert (left.status, left.key, left.result) == (JobStatus.CANCELLED, "", None)
    assert stage.job(other).status is JobStatus.COMPLETED
    assert stage.messages() == 0


@pytest.mark.parametrize("then", [Work.await_cancel, goes_on], ids=["stops at a heartbeat", "is done before it"])
def test_nothing_stays_of_a_job_whose_row_went_while_its_attempt_was_deaf(stage: Stage, then: Any) -> None:
    """Deleted, and again after the attempt should long have noticed: there is no row to say what is to be cleared."""
    job, other = stage.upload("uploads/a.mp3"), stage.upload("uploads/b.mp3", b"other")

    def deleted_for_good(work: Work) -> None:
        deleter_of(stage).delete(job.job_id, time.time())
        deleter_of(stage).delete(job.job_id, time.time() + LETTING_GO_S)
        assert stage.table.get(job.job_id) is None
        work.write_checkpoint("said so far\n")
        await_condition(lambda: stage.checkpoint(job) or None, PATIENCE_S, "the upload")
        then(work)

    assert stage.run(deleted_for_good, None, checkpoint_s=0.02).heard == [b"sound", b"other"]
    assert [key for key in stage.keys("") if job.job_id in key or key.endswith("a.mp3")] == []
    assert stage.table.get(job.job_id) is None
    assert stage.job(other).status is JobStatus.COMPLETED
    assert stage.messages() == 0


def test_deleting_again_takes_old_versions_too(stage: Stage) -> None:
    job = stage.upload()
    stage.run(deleting(stage, job, goes_on))

    deleter_of(stage).delete(job.job_id, time.time() + LETTING_GO_S)

    listed = stage.deployment.s3.list_object_versions(Bucket=stage.deployment.bucket)
    assert (listed.get("Versions", []), listed.get("DeleteMarkers", [])) == ([], [])
    assert stage.table.get(job.job_id) is None
