"""λ capacity invoked several times at once, and left without an answer: one fleet, no instance twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from avskrift.jobs.model import JobStatus
from avskrift.local.ec2.faults import Fault
from avskrift.local.processes import await_condition

# The tests of lease and launches do it on moto every time.
pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.xdist_group("scripted")]

ENOUGH_FOR_AN_INSTANCE = 480_000


@pytest.fixture
def waiting(at_rest: Any, unique: str) -> Callable[[int], list[str]]:
    """Puts jobs that wait: nothing can be had for them until the faults are cleared."""

    def put(count: int) -> list[str]:
        for market in ("spot", "on-demand"):
            at_rest.chain.cloud.inject_fault(Fault("InsufficientInstanceCapacity", market=market, times=1_000))
        keys = [f"uploads/{unique}/{number}.wav" for number in range(count)]
        ids = [at_rest.put(key, size=ENOUGH_FOR_AN_INSTANCE, work_s="1") for key in keys]
        for job_id in ids:
            at_rest.chain.await_job(job_id, lambda job: job.status is JobStatus.QUEUED, "the registration")
        # Once a pass has ended that began after that, none is under way that saw only some of them.
        await_condition(lambda: sum(invoke_at_once(at_rest, 1)) > 0, 60, "a pass in vain")
        return ids

    return put


def invoke_at_once(fleet: Any, count: int) -> list[int]:
    """How many passes each of so many invocations made."""
    client, name = fleet.chain.cloud.client("lambda"), fleet.chain.cloud.outputs["CapacityFunction"]

    def invoke(_: int) -> int:
        answer = client.invoke(FunctionName=name)
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload
        return int(json.loads(payload)["passes"])

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(invoke, range(count)))


def launched_since(fleet: Any, before: set[str]) -> dict[str, list[str]]:
    """Instances by the fleet that brought them."""
    pages = fleet.chain.cloud.client("ec2").get_paginator("describe_instances").paginate()
    fleets: dict[str, list[str]] = {}
    for one in (one for page in pages for group in page["Reservations"] for one in group["Instances"]):
        if one["InstanceId"] not in before:
            tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
            fleets.setdefault(tags["aws:ec2:fleet-id"], []).append(one["InstanceId"])
    return fleets


def known(fleet: Any) -> set[str]:
    return {one.instance_id for one in fleet.chain.cloud.instances()}


@pytest.mark.parametrize("count", [2, 5])
def test_invocations_at_once_launch_one_fleet(at_rest: Any, waiting: Callable[[int], list[str]], count: int) -> None:
    before, ids = known(at_rest), waiting(3)
    at_rest.chain.cloud.clear_faults()
    at_rest.chain.cloud.inject_fault(Fault(delay_s=2))  # so that they do meet
    passes = invoke_at_once(at_rest, count)
    assert passes.count(0) >= count - 1, "one makes the passes, the others ask for another and leave"
    with at_rest.schedule():
        jobs = at_rest.await_ends(ids)
    (instances,) = launched_since(at_rest, before).values()
    assert len(instances) == len(ids)
    assert {(job.status, job.attempt) for job in jobs.values()} == {(JobStatus.COMPLETED, 1)}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(answer_lost=True), id="connection broken once"),
        pytest.param(Fault(answer_lost=True, http_status=500, times=5), id="status 500 for a while"),
    ],
)
def test_launch_whose_answer_is_lost_is_no_second_fleet(
    at_rest: Any, waiting: Callable[[int], list[str]], fault: Fault
) -> None:
    before, ids = known(at_rest), waiting(2)
    at_rest.chain.cloud.clear_faults()
    at_rest.chain.cloud.inject_fault(fault)
    with at_rest.schedule():
        jobs = at_rest.await_ends(ids)
    (instances,) = launched_since(at_rest, before).values()
    assert len(instances) == len(ids)
    assert {(job.status, job.attempt) for job in jobs.values()} == {(JobStatus.COMPLETED, 1)}
