"""An instance on which attempts only fail ends before it has used up the backlog: other instances get the jobs."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.errors import NoAudioStream, WorkerCrashed
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.table import JobTable
from instance import agent as agent_module
from tests.instance.agent_stage import FaultyClient, Outage, Stage, Work, refusal

CRASH = WorkerCrashed("The worker died (signal 11).")
SILENT = NoAudioStream("There is no sound in this file: send its audio track.")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "FAULT_PAUSE_S", 0.0)


@pytest.fixture
def twice(stage: Stage) -> dict[str, Any]:
    """A deployment whose jobs may fail twice."""
    return {"settings": stage.with_settings(max_failures=3)}


def backlog(stage: Stage, size: int = 6) -> list[Job]:
    return [stage.upload(f"uploads/{number}.mp3", str(number).encode()) for number in range(size)]


def failures(stage: Stage, jobs: list[Job]) -> int:
    return sum(stage.job(job).failures for job in jobs)


def statuses(stage: Stage, jobs: list[Job]) -> set[JobStatus]:
    return {stage.job(job).status for job in jobs}


def test_instance_that_only_fails_leaves_the_backlog_to_others(stage: Stage, twice: dict[str, Any]) -> None:
    jobs = backlog(stage)
    stage.run(CRASH, **twice)
    assert failures(stage, jobs) == 2
    assert statuses(stage, jobs) == {JobStatus.QUEUED}
    stage.run(None)
    assert statuses(stage, jobs) == {JobStatus.COMPLETED}


def test_lone_job_keeps_its_last_attempt_for_another_instance(stage: Stage, twice: dict[str, Any]) -> None:
    job = stage.upload()
    stage.run(CRASH, **twice)
    assert (stage.job(job).status, stage.job(job).failures) == (JobStatus.QUEUED, 2)
    stage.run(None)
    assert stage.job(job).status is JobStatus.COMPLETED


def test_attempts_that_stand_still_count_like_those_that_fail(stage: Stage, twice: dict[str, Any]) -> None:
    jobs = backlog(stage, 3)
    stage.run(Work.await_cancel, stall_s=0.2, **twice)
    assert failures(stage, jobs) == 2
    assert statuses(stage, jobs) == {JobStatus.QUEUED}


def test_transcript_in_between_shows_that_the_instance_is_well(stage: Stage) -> None:
    jobs = backlog(stage, 3)
    stage.run(CRASH, None, CRASH, None, CRASH, None, settings=stage.with_settings(max_failures=4))
    assert statuses(stage, jobs) == {JobStatus.COMPLETED}
    assert failures(stage, jobs) == 3


def test_recording_at_fault_shows_nothing_of_the_instance(stage: Stage, twice: dict[str, Any]) -> None:
    jobs = backlog(stage)
    stage.run(CRASH, SILENT, SILENT, CRASH, **twice)
    assert failures(stage, jobs) == 2
    assert sorted(stage.job(job).status for job in jobs) == ["failed"] * 2 + ["queued"] * 4


def test_ends_that_can_not_be_written_count_too(stage: Stage, twice: dict[str, Any]) -> None:
    jobs = backlog(stage)
    outage = Outage(refusal("AccessDeniedException"), times=10**6)
    table = JobTable(FaultyClient(stage.deployment.dynamodb, "transact_write_items", outage), "jobs")
    stage.run(table=table, **twice)
    assert sorted(stage.job(job).status for job in jobs) == ["queued"] * 4 + ["running"] * 2
