"""Rows that no code of ours writes: the agent says so once, takes the message away and goes on."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from avskrift.jobs.items import to_item
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.table import job_pk
from tests.instance.agent_stage import Stage, Work

NONSENSE = [
    ("attempt", "three"),
    ("attempt", None),
    ("sequence", [1]),
    ("phases", "long ago"),
    ("options", "please"),
    ("size_bytes", -1),
    ("key", 7),
    ("status", "queud"),
]


def edit(stage: Stage, job: Job, name: str, value: Any) -> None:
    """What a hand in the console does to one attribute."""
    values = {":value": value} if value is not None else {}
    expression = {"ExpressionAttributeValues": to_item(values)} if values else {}
    stage.deployment.dynamodb.update_item(
        TableName="jobs",
        Key=to_item({"pk": job_pk(job.job_id)}),
        UpdateExpression="SET #name = :value" if values else "REMOVE #name",
        ExpressionAttributeNames={"#name": name},
        **expression,
    )


@pytest.mark.parametrize(("name", "value"), NONSENSE, ids=[f"{name}={value}" for name, value in NONSENSE])
def test_job_with_a_nonsense_row_is_passed_over(
    stage: Stage, name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = stage.upload("uploads/1.mp3", b"1"), stage.upload("uploads/2.mp3", b"2")
    edit(stage, broken, name, value)
    engine = stage.run()
    assert engine.heard == [b"2"]
    assert stage.job(other).status is JobStatus.COMPLETED
    assert stage.messages() == 0
    told = [one for one in caplog.records if one.levelno >= logging.WARNING and broken.job_id in one.getMessage()]
    assert 1 <= len(told) <= 2
    assert not any("loop met a fault" in one.getMessage() for one in caplog.records)


def test_row_that_turns_to_nonsense_under_the_work_still_ends(stage: Stage) -> None:
    """The beats fail; the transaction needs status and attempt only, and with it the job has its end and webhook."""
    job = stage.upload()

    def edited(work: Work) -> None:
        edit(stage, job, "beat", "often")

    stage.run(edited)
    status = stage.table.get_values(job_pk(job.job_id))["status"]
    assert status == "completed"
    assert stage.messages() == 0


def test_row_that_is_gone_stops_its_attempt(stage: Stage) -> None:
    job, other = stage.upload("uploads/1.mp3", b"1"), stage.upload("uploads/2.mp3", b"2")

    def deleted(work: Work) -> None:
        if work.path.read_bytes() == b"1":
            stage.deployment.dynamodb.delete_item(TableName="jobs", Key=to_item({"pk": job_pk(job.job_id)}))
            work.await_cancel()

    stage.run(deleted)
    assert stage.job(job) is None
    assert stage.job(other).status is JobStatus.COMPLETED
