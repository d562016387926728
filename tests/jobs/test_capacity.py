"""Passes of λ capacity against moto's EC2: launches, fallbacks, lost beats, jobs that can't be served."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.capacity import Capacity
from avskrift.jobs.fleet import DEPLOYMENT_TAG
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.observation import Nudge
from avskrift.jobs.options import JobOptions
from tests.jobs.capacity_world import IMAGE_PARAMETER, FaultyEC2
from tests.jobs.policy_world import IMAGE, NOW


def test_queued_job_gets_one_tagged_spot_instance(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    report = capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    assert report.launched == 1
    assert instance.market == "spot"
    assert capacity.run(NOW + 1).launched == 0


def test_nudge_finds_a_job_that_the_index_does_not_know_yet(
    deployment: Any, capacity: Capacity, queued_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.table.create(queued_job)
    monkeypatch.setattr(deployment.table, "with_status", lambda *_, **__: iter(()))
    assert capacity.run(NOW).launched == 0
    assert capacity.run(NOW, Nudge((queued_job.job_id,))).launched == 1


def test_lack_of_spot_is_bought_on_demand_in_the_same_pass(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    ec2.faults = ["InsufficientInstanceCapacity"]
    deployment.table.create(queued_job)
    report = capacity.run(NOW)
    assert [answer.market for answer in report.launches] == ["spot", "on-demand"]
    assert report.launched == 1
    assert len({request["ClientToken"] for request in ec2.requests}) == 2
    overrides = ec2.requests[0]["LaunchTemplateConfigs"][0]["Overrides"]
    assert {override["ImageId"] for override in overrides} == {IMAGE}


def test_other_launch_errors_do_not_buy_on_demand(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    ec2.faults = ["InvalidFleetConfiguration"]
    deployment.table.create(queued_job)
    assert [answer.market for answer in capacity.run(NOW).launches] == ["spot"]


def test_silent_job_is_requeued_with_a_message_of_its_own(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    stale = deployment.table.claim(queued_job.job_id, "i-gone", NOW)
    capacity.run(NOW)
    capacity.run(NOW + 90)
    back = deployment.table.get(stale.job_id)
    assert (back.status, back.failures) == (JobStatus.QUEUED, 1)
    assert deployment.messages(deployment.jobs_queue_url) == [{"job_id": stale.job_id}]


def test_job_that_cannot_be_served_ends_with_a_webhook(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = ["VcpuLimitExceeded", "InsufficientInstanceCapacity"]
    capacity.run(NOW)
    capacity.run(NOW + 7_201)
    ended = deployment.table.get(queued_job.job_id)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "no_capacity")
    (message,) = deployment.messages(deployment.outbox_queue_url)
    assert deployment.table.outbox_entry(message["outbox_id"]).type == "job.failed"
    assert len(ec2.requests) == 2, "nothing is launched for a job that ends"
    tried = [(line["market"], line["instances"], line["errors"]) for line in ended.launches]
    place = {"instance_type": "g4dn.xlarge", "zone": "eu-north-1a"}
    assert tried == [
        ("spot", [], [{"code": "VcpuLimitExceeded", **place}]),
        ("on-demand", [], [{"code": "InsufficientInstanceCapacity", **place}]),
    ]


def test_image_parameter_none_ends_jobs_with_a_sentence(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    capacity.ssm.put_parameter(Name=IMAGE_PARAMETER, Value="none", Overwrite=True)
    deployment.table.create(queued_job)
    capacity.run(NOW)
    assert "AMI parameter" in deployment.table.get(queued_job.job_id).error.message


def test_pass_on_an_empty_deployment_launches_nothing(capacity: Capacity) -> None:
    report = capacity.run(NOW)
    assert (report.launched, report.actions) == (0, [])


def test_instance_is_found_by_its_template_when_somebody_took_its_tag(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    ec2.delete_tags(Resources=[instance.instance_id], Tags=[{"Key": DEPLOYMENT_TAG}])
    template_tag = {"Key": "aws:ec2launchtemplate:id", "Value": capacity.fleet.settings.launch_template_id}
    ec2.create_tags(Resources=[instance.instance_id], Tags=[template_tag])  # EC2 sets it itself
    assert capacity.fleet.instances().live == (instance,)


def test_stopped_instance_stays_the_reapers(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    """Whoever stopped it by hand left a volume that costs."""
    deployment.table.create(queued_job)
    capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    ec2.stop_instances(InstanceIds=[instance.instance_id])
    assert [one.instance_id for one in capacity.fleet.instances().live] == [instance.instance_id]


def test_silence_on_an_instance_that_ec2_took_counts_as_no_failure(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    deployment.table.claim(queued_job.job_id, instance.instance_id, NOW)
    capacity.run(NOW + 10, Nudge(leaving={instance.instance_id: True}))
    capacity.run(NOW + 100)
    back = deployment.table.get(queued_job.job_id)
    assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 1)


def test_deadline_in_the_future_buys_nothing_on_demand(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    ec2.faults = ["InsufficientInstanceCapacity"] * 9
    patient = replace(queued_job, options=JobOptions(deadline="2033-01-01T00:00:00+00:00"))
    deployment.table.create(patient)
    for minute in range(3):
        capacity.run(NOW + minute * 7_201)
    assert {request["TargetCapacitySpecification"]["DefaultTargetCapacityType"] for request in ec2.requests} == {"spot"}
    assert deployment.table.get(patient.job_id).status is JobStatus.QUEUED


def test_missing_image_is_told(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    capacity.ssm.put_parameter(Name=IMAGE_PARAMETER, Value="none", Overwrite=True)
    patient = replace(queued_job, options=JobOptions(deadline="2033-01-01T00:00:00+00:00"))
    deployment.table.create(patient)
    report = capacity.run(NOW)
    assert report.lacks_image
    assert "AMI parameter" in report.notes[0].text
    assert deployment.table.get(patient.job_id).status is JobStatus.QUEUED
