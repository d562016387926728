"""SIGKILL of the agent after each of its steps: the job ends once, visibly; no message outlives the next upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from avskrift.jobs.model import Job, JobStatus

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("scripted")]

COSTS_AN_ATTEMPT = ("claim", "download", "mid-transcription", "results stored")
"""Before the transaction the job is still to be done; after it, only what follows is."""
COSTS_NOTHING = ("transaction", "webhook sent", "before delete")
STEPS = (*COSTS_AN_ATTEMPT, *COSTS_NOTHING)
ENOUGH_FOR_AN_INSTANCE = 480_000
"""Bytes: so many agents work at once as may."""
TRANSCRIPTS = {"transcript.txt", "transcript.json", "transcript.srt", "transcript.vtt"}


@dataclass(frozen=True)
class Struck:
    """A job whose first agent was killed, once everything has ended."""

    job: Job
    text: str
    expected_text: str
    files: set[str]
    webhook_ids: set[str]
    deaths: int


@pytest.fixture(scope="module")
def struck(fleet: Any, scripted_text: Callable[[str, int], str]) -> Iterator[dict[str, Struck]]:
    """All cases at once, so that one waits while the others do."""
    keys = {step: f"uploads/killed/{step.replace(' ', '-')}.wav" for step in STEPS}
    ids = {step: fleet.put(key, size=ENOUGH_FOR_AN_INSTANCE, work_s="0.5", kill=step) for step, key in keys.items()}
    with fleet.schedule():
        jobs = fleet.await_ends(list(ids.values()))
        fleet.await_webhooks(list(ids.values()))
        # What the killed left in the queue is dropped by whoever comes next: here, the next upload's agent.
        fleet.await_ends([fleet.put("uploads/killed/and-another.wav", work_s="6")])
        fleet.chain.await_empty()
    logs = "\n".join(fleet.log_of(one.instance_id) for one in fleet.chain.cloud.instances())
    yield {
        step: Struck(
            job=jobs[job_id],
            text=fleet.results(job_id)["transcript.txt"].decode(),
            expected_text=scripted_text(keys[step], ENOUGH_FOR_AN_INSTANCE),
            files=set(fleet.results(job_id)),
            webhook_ids=fleet.webhook_ids(job_id),
            deaths=logs.count(f"script: kill after {step} of job {job_id}"),
        )
        for step, job_id in ids.items()
    }


@pytest.mark.parametrize("step", STEPS)
def test_killed_after(struck: dict[str, Struck], step: str) -> None:
    case = struck[step]
    assert case.deaths == 1, "the test must have killed what it says"
    assert case.job.status is JobStatus.COMPLETED
    attempts = (2, 1) if step in COSTS_AN_ATTEMPT else (1, 0)
    assert (case.job.attempt, case.job.failures) == attempts


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_leaves_exactly_one_visible_result(struck: dict[str, Struck], step: str) -> None:
    """``job.json`` is written behind the transaction, so that one kill leaves the evidence to the row alone."""
    case = struck[step]
    assert case.files - {"job.json"} == TRANSCRIPTS
    assert ("job.json" in case.files) == (step != "transaction")
    assert case.text.strip() == case.expected_text


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_sends_exactly_one_id_of_job_completed(struck: dict[str, Struck], step: str) -> None:
    assert len(struck[step].webhook_ids) == 1


def test_killed_agents_leave_no_instance_and_no_message_that_outlives_the_next_upload(
    fleet: Any, struck: dict[str, Struck]
) -> None:
    assert fleet.live() == []
    fleet.chain.await_empty()
