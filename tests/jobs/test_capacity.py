"""Passes of λ capacity against moto's EC2: launches, fallbacks, lost beats, and crashes in between."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from avskrift.jobs.capacity import Capacity, CapacitySettings
from avskrift.jobs.fleet import DEPLOYMENT_TAG, OPEN_KEY, Fleet, LaunchSettings
from avskrift.jobs.fleet_model import Memory
from avskrift.jobs.items import from_item, to_item
from avskrift.jobs.model import Job, JobError, JobStatus
from avskrift.jobs.observation import Nudge
from avskrift.jobs.options import JobOptions
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import JobTable, failed_job
from tests.jobs import policy_world
from tests.jobs.policy_world import IMAGE, NOW

IMAGE_PARAMETER = "/avskrift/test/ami"
LIMITS = replace(policy_world.LIMITS, max_life_s=10**9, idle_limit_s=10**9)
"""moto's instances are born today: none is to be reaped."""


class FaultyEC2:
    """moto's client, with CreateFleet answers that AWS gives and moto does not: HTTP 200 with ``Errors``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_fleet(self, **request: Any) -> Any:
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault:
            override = request["LaunchTemplateConfigs"][0]["Overrides"][0]
            error = {"ErrorCode": fault, "LaunchTemplateAndOverrides": {"Overrides": override}}
            return {"FleetId": "fleet-1", "Errors": [error], "Instances": []}
        token = request["ClientToken"]
        if token not in self.answers:  # moto knows no tokens: the same one must bring the same fleet
            self.answers[token] = self._client.create_fleet(**request)
        return self.answers[token]


@pytest.fixture
def ec2(deployment: Any) -> FaultyEC2:
    return FaultyEC2(deployment.client("ec2"))


@pytest.fixture
def capacity(deployment: Any, ec2: FaultyEC2) -> Capacity:
    ssm = deployment.client("ssm")
    ssm.put_parameter(Name=IMAGE_PARAMETER, Value=IMAGE, Type="String")
    data = {"ImageId": IMAGE}  # moto launches from the template's image only
    template = ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData=data)["LaunchTemplate"]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    zones = {subnet: "eu-north-1a"}
    settings = LaunchSettings("test", template["LaunchTemplateId"], ("g4dn.xlarge",), (subnet,), zones)
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


def test_call_without_an_answer_is_repeated_as_it_was(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = [EndpointConnectionError(endpoint_url="https://ec2")]
    assert "EndpointConnectionError" in capacity.run(NOW).notes[0].text
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


def test_launch_template_that_is_gone_is_told_and_asked_for_again_each_pass(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    ec2.faults = [refused("InvalidLaunchTemplateId.NotFound", 400)] * 2
    deployment.table.create(queued_job)
    assert capacity.run(NOW).faults == 0, "an answer, not a crash"
    capacity.run(NOW + 7_201)
    ended = deployment.table.get(queued_job.job_id)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "no_capacity")
    assert "InvalidLaunchTemplateId.NotFound" in ended.error.message
    assert "deploy the stack again" in ended.error.message


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


CRASHES = {
    "after the record": (Fleet, "submit"),
    "after the answer": (Fleet, "close"),
    "before the memory": (JobTable, "put_values"),
}


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("index_lags", [False, True])
def test_crash_anywhere_in_a_launch_leaves_no_orphan_and_no_second_fleet(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job, crash: str, index_lags: bool
) -> None:
    """The function dies between record, call and write; EC2's descriptions may not know its instance yet."""
    deployment.table.create(queued_job)
    owner, name = CRASHES[crash]
    whole = getattr(owner, name)

    def die(self: Any, *arguments: Any) -> Any:
        is_memory = name != "put_values" or arguments[0]["pk"] == "fleet#memory"
        if is_memory:
            raise KeyboardInterrupt  # nothing catches it, as nothing catches the end of a function
        return whole(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(KeyboardInterrupt):
            capacity.run(NOW)
    blind = FaultyEC2(ec2)
    blind.answers = ec2.answers
    if index_lags:
        blind.get_paginator = lambda _: EmptyPages()  # type: ignore[attr-defined]
    again = replace(capacity, fleet=replace(capacity.fleet, ec2=blind))
    again.run(NOW + 5)
    again.run(NOW + 10)
    assert len(capacity.fleet.instances().live) == 1
    assert list(deployment.table.indexed(OPEN_KEY)) == []


class EmptyPages:
    """DescribeInstances, seconds after a launch."""

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Reservations": []}]


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


NONSENSE = [
    {"beats": ["no"]},
    {"beats": {"j": [1]}},
    {"beats": {"j": {}}},
    {"answers": [{}]},
    {"spent_usd": {"much": 1}},
    {"launched": "none"},
]


@pytest.mark.parametrize("memory", NONSENSE)
def test_memory_edited_into_nonsense_is_forgotten(
    deployment: Any, capacity: Capacity, queued_job: Job, memory: dict[str, Any]
) -> None:
    deployment.table.put_values({"pk": "fleet#memory", "memory": memory})
    deployment.table.create(queued_job)
    report = capacity.run(NOW)
    assert (report.launched, report.malformed) == (1, ["fleet#memory"])


def test_memory_survives_its_row() -> None:
    """Whatever a pass remembers must be read back as it was, or every pass begins anew."""
    answer = {"launch_id": "l", "at": NOW, "wanted": 1, "errors": [{"code": "UnfulfillableCapacity", "zone": "a"}]}
    memory = Memory(
        beats={"job": (1, 7, NOW)},
        idle_since={"i-1": NOW},
        suspects={"i-1": NOW + 0.5},
        leaving={"i-2": True, "i-3": False},
        launched={"i-4": NOW},
        deliveries={"msg": (NOW, NOW + 1, 0.0)},
        barren={"i-5": NOW},
        spot_failures={"l": NOW},
        spot_paused_until=NOW + 1_800,
        unserved_since=NOW,
        answers=(answer,),
        spend_day="2023-11-14",
        spent_usd=0.25,
        metered_at=NOW,
        told={"QueuedJobs": 2.0},
        cancelled={"job": NOW},
    )
    assert all(getattr(memory, item.name) for item in fields(Memory)), "a new field joins this test"
    assert Memory.from_dict(from_item(to_item(asdict(memory)))) == memory


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


def test_throttled_launches_neither_pile_up_nor_exceed_the_limit(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    ec2.faults = [refused("RequestLimitExceeded", 503)] * 4
    for minute in range(4):
        capacity.run(NOW + 60 * minute)
    assert len(list(deployment.table.indexed(OPEN_KEY))) == 1, "the same request, again and again"
    capacity.run(NOW + 240)
    assert len(capacity.fleet.instances().live) == 1


def test_delivery_that_could_not_be_asked_for_is_asked_for_by_the_next_pass(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    entry = outbox_entry_for(failed_job(queued_job, JobError("internal", "x"), NOW), NOW)
    deployment.table.put_values(entry.to_dict())
    refusing = replace(capacity, sqs=RefusingSQS(deployment.sqs))
    capacity.run(NOW)
    assert refusing.run(NOW + 61).faults == 1
    capacity.run(NOW + 121)
    assert [message["outbox_id"] for message in deployment.messages(deployment.outbox_queue_url)] == [entry.outbox_id]


def test_pass_that_is_held_up_by_a_launch_has_remembered_what_it_saw(
    deployment: Any, capacity: Capacity, queued_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 hangs until the function ends: what stands still has stood still since then."""
    silent = replace(queued_job, job_id="s" * 26)
    deployment.table.create(silent)
    deployment.table.claim(silent.job_id, "i-gone", NOW)
    deployment.table.create(queued_job)
    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "submit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        for after_s in (0, 60, 95):
            with pytest.raises(KeyboardInterrupt):
                capacity.run(NOW + after_s)
    assert deployment.table.get(silent.job_id).status is JobStatus.QUEUED, "requeued before anything is launched"


def test_missing_image_is_told(deployment: Any, capacity: Capacity, queued_job: Job) -> None:
    capacity.ssm.put_parameter(Name=IMAGE_PARAMETER, Value="none", Overwrite=True)
    patient = replace(queued_job, options=JobOptions(deadline="2033-01-01T00:00:00+00:00"))
    deployment.table.create(patient)
    report = capacity.run(NOW)
    assert report.lacks_image
    assert "AMI parameter" in report.notes[0].text
    assert deployment.table.get(patient.job_id).status is JobStatus.QUEUED
