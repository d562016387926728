"""A burst with everything real: events repeated, an agent killed at its work, the real model."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from avskrift.jobs.model import Job, JobStatus
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.cloud, pytest.mark.speech, pytest.mark.slow, pytest.mark.xdist_group("cloud")]

UPLOADS = 6


def is_at_work(job: Job) -> bool:
    return job.status is JobStatus.RUNNING and "model_ready" in job.phases


@pytest.mark.timeout(600)
def test_burst_with_repeated_events_and_a_killed_agent_ends_as_one_transcript_each(
    chain: Any, media: Any, speech: bytes, spoken: str, unique: str, agents_of: Any
) -> None:
    chain.await_empty()
    long = media.as_mp3(speech) * 24
    keys = [f"uploads/{unique}/{number}.mp3" for number in range(UPLOADS)]
    ids = [chain.put(key, speech if number else long, language="en") for number, key in enumerate(keys)]
    for key in keys[::2]:
        head = chain.s3.head_object(Bucket=chain.bucket, Key=key)
        chain.send_event(key, head["VersionId"], head["ContentLength"])
    struck = chain.await_job(ids[0], is_at_work, "the work")
    (pid,) = agents_of(struck.instance_id)
    os.kill(pid, signal.SIGKILL)

    def have_ended() -> bool:
        chain.run_capacity()
        return all((job := chain.client.find(job_id)) and job.is_terminal for job_id in ids)

    await_condition(have_ended, 300, f"the end of {UPLOADS} jobs")
    jobs = [chain.await_end(job_id)[0] for job_id in ids]
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    first_words = spoken.split()[:2]
    for job in jobs:
        text = chain.text_of(job)
        assert all(word.strip(".,").lower() in text.lower() for word in first_words)
        received = {one.webhook_id for one in chain.receiver.receptions if one.job_id == job.job_id}
        assert len(received) == 1
    assert [job.failures for job in jobs] == [1, 0, 0, 0, 0, 0], "the killed agent's job lost an attempt, no other did"
    chain.await_empty()
