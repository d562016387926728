"""What λ capacity makes of sources that lag or contradict each other, and how much it does in one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs import capacity as capacity_module
from avskrift.jobs.capacity import Capacity, CapacitySettings
from avskrift.jobs.fleet import Fleet, LaunchSettings
from avskrift.jobs.fleet_model import Memory, Requeue
from avskrift.jobs.model import Job, JobError, JobStatus
from avskrift.jobs.table import failed_job
from tests.jobs.policy_world import IMAGE, LIMITS, NOW, actions, job, machine, seen

LINE = {"launch_id": "launch-1", "at": NOW, "market": "spot", "wanted": 1, "instances": [], "errors": []}


@pytest.fixture
def capacity(deployment: Any) -> Capacity:
    ec2, ssm = deployment.client("ec2"), deployment.client("ssm")
    ssm.put_parameter(Name="/ami", Value=IMAGE, Type="String")
    template = ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData={"ImageId": IMAGE})
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    settings = LaunchSettings(
        "test", template["LaunchTemplate"]["LaunchTemplateId"], ("g4dn.xlarge",), (subnet,), {subnet: "eu-north-1a"}
    )
    return Capacity(
        table=deployment.table,
        fleet=Fleet(ec2, deployment.table, settings),
        sqs=deployment.sqs,
        ssm=ssm,
        settings=CapacitySettings(deployment.jobs_queue_url, deployment.outbox_queue_url, "/ami", LIMITS),
    )


def start(deployment: Any, waiting: Job) -> Job:
    """Its attempt on an instance that EC2 does not list."""
    deployment.table.create(waiting)
    started: Job = deployment.table.claim(waiting.job_id, "i-elsewhere", NOW)
    return started


def test_beat_that_the_index_has_not_seen_costs_no_attempt(
    deployment: Any, capacity: Capacity, queued_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start(deployment, queued_job)

    def stale(status: JobStatus, *_: Any, **__: Any) -> Any:
        return iter([started] if status is JobStatus.RUNNING else [])

    monkeypatch.setattr(deployment.table, "with_status", stale)
    capacity.run(NOW)
    deployment.table.beat(started, None, {})
    capacity.run(NOW + LIMITS.lease_s)
    kept = deployment.table.get(started.job_id)
    assert (kept.status, kept.failures, kept.beat) == (JobStatus.RUNNING, 0, 1)
    capacity.run(NOW + 2 * LIMITS.lease_s)
    assert deployment.table.get(started.job_id).failures == 1, "the beat that was read stood still as long"


@pytest.fixture
def four_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of one pass, within reach."""
    monkeypatch.setattr(capacity_module, "MAX_ACTIONS", 4)


def test_pass_does_so_much_at_once_and_the_next_the_rest(
    deployment: Any, capacity: Capacity, queued_job: Job, four_actions: None
) -> None:
    started = [start(deployment, replace(queued_job, job_id=f"{number}" * 26)) for number in range(6)]
    capacity.run(NOW)
    assert len(capacity.run(NOW + LIMITS.lease_s).actions) == 4
    assert {deployment.table.get(one.job_id).status for one in started} == {JobStatus.QUEUED, JobStatus.RUNNING}
    capacity.run(NOW + LIMITS.lease_s + 1)
    assert {deployment.table.get(one.job_id).status for one in started} == {JobStatus.QUEUED}


def test_launch_is_not_crowded_out_by_messages(
    deployment: Any, capacity: Capacity, queued_job: Job, four_actions: None
) -> None:
    for number in range(6):
        deployment.table.create(replace(queued_job, job_id=f"{number}" * 26, status_at=NOW - 600))
    report = capacity.run(NOW)
    assert [type(action).__name__ for action in report.actions] == ["Launch", "Resend", "Resend", "Resend"]


def test_one_pass_does_at_most_500_things() -> None:
    """More would not end within the function's time."""
    assert capacity_module.MAX_ACTIONS == 500


def test_later_advice_takes_no_notice_back() -> None:
    """EC2 may advise to replace an instance that it has already said it takes."""
    silent = job(status=JobStatus.RUNNING, instance_id="i-0", attempt=1)
    memory = Memory(beats={"job0": (1, 0, NOW - LIMITS.lease_s)}, leaving={"i-0": True})
    observed = seen(NOW, running=(silent,), instances=(machine(),), leaving={"i-0": False})
    assert Requeue(silent, interrupted=True) in actions(observed, memory)


def test_launch_is_noted_in_the_audit_of_a_job_that_waits(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    assert deployment.table.note_launch(queued_job.job_id, LINE)
    assert deployment.table.get(queued_job.job_id).launches == [LINE]


def test_launch_is_not_noted_for_a_job_that_waits_no_longer(deployment: Any, queued_job: Job) -> None:
    started = start(deployment, queued_job)
    assert not deployment.table.note_launch(started.job_id, LINE)
    deployment.table.finish(started, failed_job(started, JobError("internal", "x"), NOW), None)
    assert not deployment.table.note_launch(started.job_id, LINE)
    assert deployment.table.get(started.job_id).launches == []
