"""Passes of λ capacity against moto's EC2: launches, fallbacks, lost beats, and crashes in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from avskrift.jobs.capacity import Capacity, CapacitySettings
from avskrift.jobs.fleet import OPEN_KEY, Fleet, LaunchSettings
from avskrift.jobs.lease import Lease
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.policy import FleetSettings

NOW = 1_700_000_000.0
IMAGE = "ami-0123456789abcdef0"
IMAGE_PARAMETER = "/avskrift/test/ami"
LIMITS = FleetSettings(
    max_instances=5,
    target_drain_s=600,
    lease_s=90,
    no_capacity_after_s=7_200,
    max_failures=3,
    max_usd_per_day=50,
    max_life_s=10**9,
)


class FaultyEC2:
    """moto's client, with CreateFleet answers that AWS gives and moto does not: HTTP 200 with ``Errors``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: list[Any] = []
        self.requests: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_fleet(self, **request: Any) -> Any:
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault:
            return {
                "FleetId": "fleet-1",
                "Errors": [{"ErrorCode": fault, "ErrorMessage": "none left"}],
                "Instances": [],
            }
        return self._client.create_fleet(**request)


@pytest.fixture
def ec2(deployment: Any) -> FaultyEC2:
    return FaultyEC2(boto3.client("ec2"))


@pytest.fixture
def capacity(deployment: Any, ec2: FaultyEC2) -> Capacity:
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name=IMAGE_PARAMETER, Value=IMAGE, Type="String")
    data = {"ImageId": IMAGE}  # moto launches from the template's image only
    template = ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData=data)["LaunchTemplate"]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    settings = LaunchSettings("test", template["LaunchTemplateId"], ("g4dn.xlarge",), (subnet,))
    return Capacity(
        table=deployment.table,
        fleet=Fleet(ec2, deployment.table, settings),
        sqs=deployment.sqs,
        ssm=ssm,
        settings=CapacitySettings(deployment.jobs_queue_url, deployment.outbox_queue_url, IMAGE_PARAMETER, LIMITS),
    )


def refused(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "CreateFleet")


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
    monkeypatch.setattr(deployment.table, "with_status", lambda *_: iter(()))
    assert capacity.run(NOW).launched == 0
    assert capacity.run(NOW, [queued_job.job_id]).launched == 1


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


def test_call_without_an_answer_is_repeated_as_it_was(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = [EndpointConnectionError(endpoint_url="https://ec2")]
    assert "EndpointConnectionError" in capacity.run(NOW).notes[0]
    assert len(list(deployment.table.indexed(OPEN_KEY))) == 1
    capacity.run(NOW + 60)
    assert len(ec2.requests) == 2
    assert ec2.requests[0] == ec2.requests[1]
    assert len(capacity.fleet.instances().live) == 1
    assert list(deployment.table.indexed(OPEN_KEY)) == []


def test_refused_request_is_an_answer_and_the_next_pass_asks_anew(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = [refused("InvalidAMIID.Malformed", 400)]
    report = capacity.run(NOW)
    assert [error["code"] for answer in report.launches for error in answer.errors] == ["InvalidAMIID.Malformed"]
    assert list(deployment.table.indexed(OPEN_KEY)) == []
    assert capacity.run(NOW + 60).launched == 1
    assert ec2.requests[0]["ClientToken"] != ec2.requests[1]["ClientToken"]


def test_request_that_never_gets_an_answer_is_given_up(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = [refused("InternalError", 500)]
    capacity.run(NOW)
    assert capacity.run(NOW + 601).launched == 1
    assert ec2.requests[0]["ClientToken"] != ec2.requests[1]["ClientToken"]
    assert list(deployment.table.indexed(OPEN_KEY)) == []


class RefusingSQS:
    """moto's client, which may send nothing."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_message(self, **_: Any) -> None:
        raise refused("AccessDenied", 403)


def test_action_that_fails_keeps_no_other_from_happening(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    silent = replace(queued_job, job_id="s" * 26)
    deployment.table.create(silent)
    deployment.table.claim(silent.job_id, "i-gone", NOW)
    refusing = replace(capacity, sqs=RefusingSQS(deployment.sqs))
    refusing.run(NOW)
    deployment.table.create(replace(queued_job, status_at=NOW - 200))
    report = refusing.run(NOW + 90)
    assert report.faults == 2, "the requeued job's message and the lost message"
    assert report.launched == 1
    assert deployment.table.get(silent.job_id).status is JobStatus.QUEUED
    assert deployment.table.get_values("fleet#memory")["memory"]["metered_at"] == NOW + 90


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
    deployment.table.create(replace(queued_job, status_at=NOW - 7_201))
    capacity.run(NOW)
    ended = deployment.table.get(queued_job.job_id)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "no_capacity")
    (message,) = deployment.messages(deployment.outbox_queue_url)
    assert deployment.table.outbox_entry(message["outbox_id"]).type == "job.failed"
    assert ec2.requests == []


def test_image_parameter_none_ends_jobs_with_a_sentence(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    capacity.ssm.put_parameter(Name=IMAGE_PARAMETER, Value="none", Overwrite=True)
    deployment.table.create(queued_job)
    capacity.run(NOW)
    assert "AMI parameter" in deployment.table.get(queued_job.job_id).error.message


def test_pass_on_an_empty_deployment_launches_nothing(capacity: Capacity) -> None:
    report = capacity.run(NOW)
    assert (report.launched, report.actions) == (0, [])


def test_lease_is_held_by_one_and_the_loser_asks_for_another_pass(deployment: Any) -> None:
    first = Lease(deployment.dynamodb, "jobs", "a", 60)
    second = Lease(deployment.dynamodb, "jobs", "b", 60)
    assert first.acquire(NOW)
    assert not second.acquire(NOW + 1, ["job-2"])
    assert first.release() == ["job-2"]
    assert second.acquire(NOW + 2)
    assert second.release() is None


def test_lease_that_ran_out_is_taken_over(deployment: Any) -> None:
    first = Lease(deployment.dynamodb, "jobs", "a", 60)
    second = Lease(deployment.dynamodb, "jobs", "b", 60)
    assert first.acquire(NOW)
    assert second.acquire(NOW + 61)
    assert first.release() is None
    assert not first.acquire(NOW + 62)
