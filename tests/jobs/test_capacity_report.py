"""What a pass of λ capacity reports: each end of a job once, whoever ended it; nothing of an idle deployment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs import metrics
from avskrift.jobs.cancel import cancel_job
from avskrift.jobs.capacity import Capacity
from avskrift.jobs.model import Job, JobError, JobStatus
from avskrift.jobs.observation import CANCELLED_SEEN_S, Nudge
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.pass_report import Report, action_fields
from avskrift.jobs.table import JobTable, failed_job
from tests.jobs.capacity_world import FaultyEC2, refused
from tests.jobs.policy_world import NOW


def cancel(deployment: Any, job_id: str, now: float) -> None:
    cancel_job(deployment.table, deployment.sqs, deployment.outbox_queue_url, job_id, now)


def test_a_cancellation_is_counted_once_whoever_asked(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    capacity.run(NOW)
    cancel(deployment, queued_job.job_id, NOW + 30)

    counted = [capacity.run(NOW + 60 * minute).cancelled for minute in range(1, 20)]

    assert counted == [1, *[0] * 18]


def test_a_cancellation_by_a_slow_clock_is_counted_too(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    capacity.run(NOW)
    cancel(deployment, queued_job.job_id, NOW - CANCELLED_SEEN_S / 2)
    assert [capacity.run(NOW + 60).cancelled, capacity.run(NOW + 120).cancelled] == [1, 0]


def test_cancellations_while_capacity_stood_still_are_counted(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    capacity.run(NOW)
    cancel(deployment, queued_job.job_id, NOW + 60)
    assert capacity.run(NOW + 6 * 3_600).cancelled == 1


def test_jobs_that_a_pass_ends_are_counted_as_failed(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    deployment.table.create(replace(queued_job, failures=2))
    deployment.table.claim(queued_job.job_id, "i-gone", NOW)
    capacity.run(NOW)
    report = capacity.run(NOW + 90)
    assert deployment.table.get(queued_job.job_id).status is JobStatus.FAILED
    assert (report.failed, report.lost_beats) == (1, 1)
    assert capacity.run(NOW + 150).failed == 0


def test_a_row_that_nobody_can_read_is_counted_as_failed_once(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    deployment.table.put_values({**deployment.table.job_values(queued_job.job_id), "attempt": "one"})
    assert [capacity.run(NOW).failed, capacity.run(NOW + 60).failed] == [1, 0]


def test_an_interruption_is_no_lost_beat(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    deployment.table.claim(queued_job.job_id, instance.instance_id, NOW)
    capacity.run(NOW + 10, Nudge(leaving={instance.instance_id: True}))
    assert capacity.run(NOW + 100).lost_beats == 0


def test_a_pass_is_barren_when_nothing_came_and_not_when_on_demand_did(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = ["InsufficientInstanceCapacity"] * 3
    assert capacity.run(NOW).is_barren
    report = capacity.run(NOW + 60)
    assert not report.is_barren
    assert [len(answer.instances) for answer in report.launches] == [0, 1]


def test_an_ec2_that_does_not_answer_makes_a_barren_pass(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = [refused("InternalError", 500)]
    assert capacity.run(NOW).is_barren


def test_gauges_end_with_a_zero_and_an_idle_pass_is_silent(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = ["InvalidFleetConfiguration"]
    assert capacity.run(NOW).gauges[metrics.QUEUED_JOBS] == 1
    cancel(deployment, queued_job.job_id, NOW + 30)
    assert capacity.run(NOW + 60).gauges[metrics.QUEUED_JOBS] == 0
    silent = capacity.run(NOW + 120)
    assert silent.gauges == {}
    assert silent.is_idle


def test_a_pass_in_which_nothing_happens_writes_its_memory_once(
    deployment: Any, capacity: Capacity, monkeypatch: Any
) -> None:
    capacity.run(NOW)
    written: list[Any] = []
    monkeypatch.setattr(JobTable, "put_values", lambda _, values: written.append(values["pk"]))
    capacity.run(NOW + 60)
    assert written == ["fleet#memory"]


def test_what_is_about_a_job_names_it_and_nothing_of_its_recording(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    silent = replace(queued_job, job_id="s" * 26)
    deployment.table.create(silent)
    deployment.table.claim(silent.job_id, "i-gone", NOW)
    capacity.run(NOW)
    deployment.table.create(replace(queued_job, status_at=NOW - 200))
    report = capacity.run(NOW + 90)

    lines = [action_fields(action) for action in report.actions]
    assert {line["action"]: line.get("job_id") for line in lines} == {
        "requeue": silent.job_id,
        "launch": None,
        "resend": queued_job.job_id,
    }
    assert "uploads/" not in str(lines)
    assert "receiver.example" not in str(lines)


def late_webhook(deployment: Any, capacity: Capacity, job: Job, **nonsense: Any) -> tuple[str, Report]:
    """One that nobody attempted in time: its id, and what the pass that asks for it again says."""
    entry = outbox_entry_for(failed_job(job, JobError("internal", "x"), NOW), NOW)
    assert entry
    deployment.table.put_values({**entry.to_dict(), **nonsense})
    capacity.run(NOW + 1)
    return entry.outbox_id, capacity.run(NOW + 62)


def test_a_webhook_that_is_late_is_asked_for_by_its_jobs_id(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    outbox_id, report = late_webhook(deployment, capacity, queued_job)
    (message,) = deployment.messages(deployment.outbox_queue_url)
    said = {"outbox_id": outbox_id, "job_id": queued_job.job_id}
    assert [action_fields(action) for action in report.actions] == [{"action": "redeliver", **said}]
    assert message == {**said, "attempt": 0}


def test_a_webhook_put_aside_names_its_job(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    outbox_id, report = late_webhook(deployment, capacity, queued_job, attempts="none")
    assert report.malformed_fields == [{"outbox_id": outbox_id, "job_id": queued_job.job_id}]


@pytest.mark.parametrize("job_id", [7, "uploads/hemlig.mp3", ""])
def test_what_is_no_id_is_none(deployment: Any, capacity: Capacity, queued_job: Job, job_id: Any) -> None:
    outbox_id, report = late_webhook(deployment, capacity, queued_job, job_id=job_id, attempts="none")
    assert [action_fields(action) for action in report.actions] == [{"action": "redeliver", "outbox_id": outbox_id}]
    assert report.malformed_fields == [{"outbox_id": outbox_id}]


def test_a_note_names_the_job_it_is_about(
    deployment: Any, capacity: Capacity, queued_job: Job, monkeypatch: Any
) -> None:
    deployment.table.create(queued_job)
    deployment.table.claim(queued_job.job_id, "i-gone", NOW)
    capacity.run(NOW)

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionResetError(queued_job.key)

    monkeypatch.setattr(JobTable, "requeue", fail)
    (note,) = capacity.run(NOW + 90).notes
    assert (note.text, note.about["job_id"]) == ("ConnectionResetError", queued_job.job_id)


def test_a_report_of_something_is_not_idle() -> None:
    assert Report().is_idle
    assert not Report(malformed=["fleet#memory"]).is_idle
    assert not Report(cancelled=1).is_idle
