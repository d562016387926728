"""Passes of λ capacity that go wrong: refusals, silence, throttling, crashes in between, memories edited."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from avskrift.jobs.capacity import Capacity
from avskrift.jobs.fleet import OPEN_KEY, Fleet
from avskrift.jobs.fleet_model import Memory
from avskrift.jobs.items import from_item, to_item
from avskrift.jobs.model import Job, JobError, JobStatus
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import JobTable, failed_job
from tests.jobs.capacity_world import FaultyEC2, RefusingSQS, refused
from tests.jobs.policy_world import NOW


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
