"""What ends of jobs and attempts at webhooks say in numbers: every family of the catalog is told whole."""

from __future__ import annotations

import pytest

from avskrift.jobs import metrics
from avskrift.jobs.launch_errors import LaunchFault
from avskrift.jobs.measures import of_attempt, of_end
from avskrift.jobs.model import JobStatus
from avskrift.jobs.outbox import OutboxEntry
from tests.jobs.policy_world import NOW, job

STEPS = ("queued", "claimed", "downloaded", "model_ready", "transcribed", "stored")


def entry(status: str, http_status: int) -> OutboxEntry:
    attempt = {"at": NOW + 7, "status": http_status, "duration_s": 0.1, "answer": ""}
    return OutboxEntry(
        outbox_id="o",
        job_id="j",
        type="job.completed",
        url="https://example.org",
        body="{}",
        created_at=NOW,
        next_attempt_at=NOW,
        expires_at=0,
        status=status,
        attempts=[attempt],
    )


def test_a_completed_job_tells_each_phase_once_and_its_webhook_the_last() -> None:
    phases = {name: NOW + 10 * number**2 for number, name in enumerate(STEPS)}
    result = {"duration_s": 35.0}
    told = of_end(job(status=JobStatus.COMPLETED, phases=phases, result=result, cost={"usd": 0.5}))

    assert {name: told.get(metric) for name, metric in metrics.PHASES.items()} == {
        "claimed": 10,
        "downloaded": 30,
        "model_ready": 50,
        "transcribed": 70,
        "stored": 90,
        "delivered": None,
    }
    assert told[metrics.JOBS_COMPLETED] == 1
    assert (told[metrics.JOB_COST], told[metrics.AUDIO], told[metrics.REAL_TIME_FACTOR]) == (0.5, 35, 2)
    assert of_attempt(entry("delivered", 204)) == {metrics.WEBHOOK_ATTEMPTS: 1, metrics.PHASES["delivered"]: 7}


@pytest.mark.parametrize(
    ("status", "metric"), [(JobStatus.FAILED, metrics.JOBS_FAILED), (JobStatus.CANCELLED, metrics.JOBS_CANCELLED)]
)
def test_other_ends_tell_what_they_cost_and_no_phases(status: JobStatus, metric: metrics.Metric) -> None:
    ended = job(status=status, phases={"queued": NOW, "claimed": NOW + 1}, cost={"usd": 0.25})
    assert of_end(ended) == {metric: 1, metrics.JOB_COST: 0.25}


@pytest.mark.parametrize("http_status", [0, 199, 302, 410, 500])
def test_an_attempt_that_was_not_answered_well_is_told_as_failed(http_status: int) -> None:
    failed = {metrics.WEBHOOK_ATTEMPTS: 1, metrics.WEBHOOK_FAILURES: 1}
    assert of_attempt(entry("pending", http_status)) == failed
    assert of_attempt(entry("abandoned", http_status)) == {**failed, metrics.WEBHOOKS_ABANDONED: 1}


def test_each_kind_of_launch_fault_has_its_metric() -> None:
    assert metrics.LAUNCH_FAULTS.keys() == {kind.value for kind in LaunchFault}
