"""Instances that go away in the middle: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from avskrift.jobs.model import Job, JobStatus
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.cloud, pytest.mark.speech, pytest.mark.xdist_group("cloud")]


def is_at_work(job: Job) -> bool:
    return job.status is JobStatus.RUNNING and "model_ready" in job.phases


def long_speech(media: Any, speech: bytes) -> bytes:
    """Long enough that an agent is still at work when it is struck: mp3 frames can simply follow each other."""
    return bytes(media.as_mp3(speech)) * 14


def test_spot_notice_hands_the_job_to_another_instance(chain: Any, media: Any, speech: bytes, unique: str) -> None:
    job_id = chain.put(f"uploads/{unique}/long.mp3", long_speech(media, speech), language="en")
    struck = chain.await_job(job_id, is_at_work, "the work")
    chain.cloud.interrupt(struck.instance_id, notice_s=30)
    back = chain.await_job(job_id, lambda job: job.attempt > 1 or job.status is JobStatus.QUEUED, "the return")
    assert back.failures == 0, "an interruption is no failure"
    await_condition(
        lambda: {one.instance_id: one.state for one in chain.cloud.instances()}[struck.instance_id] == "terminated",
        30,
        "the end of the struck instance",
    )
    chain.run_capacity()
    job, _ = chain.await_end(job_id)
    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETED, 2, 0)
    assert job.instance_id != struck.instance_id
    assert len({one.webhook_id for one in chain.receiver.receptions if one.job_id == job_id}) == 1
    chain.await_empty()  # the second may be on demand, and would take the next test's job


@pytest.mark.slow  # the kill matrix does it at every step, without the model
def test_killed_agent_costs_one_attempt(chain: Any, media: Any, speech: bytes, unique: str, agents_of: Any) -> None:
    job_id = chain.put(f"uploads/{unique}/long.mp3", long_speech(media, speech), language="en")
    struck = chain.await_job(job_id, is_at_work, "the work")
    (pid,) = agents_of(struck.instance_id)
    os.kill(pid, signal.SIGKILL)

    def is_requeued() -> bool:
        chain.run_capacity()  # it needs two looks, a lease apart, at a beat that stands still
        job = chain.client.find(job_id)
        return job is not None and job.failures == 1

    await_condition(is_requeued, 60, "the requeue")
    job, _ = chain.await_end(job_id)
    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETED, 2, 1)
    assert len({one.webhook_id for one in chain.receiver.receptions if one.job_id == job_id}) == 1
    chain.await_empty()
