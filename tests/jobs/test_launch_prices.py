"""A pass notes what its instances cost, after all that it has to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from avskrift.jobs.capacity import Capacity
from avskrift.jobs.cost import Price, table_price
from avskrift.jobs.instance_prices import SPOT_SOURCE, noted_price
from avskrift.jobs.model import Job, JobStatus
from tests.jobs.capacity_world import FaultyEC2, refused
from tests.jobs.policy_world import NOW

SPOT_USD = 0.2345


def quote(ec2: FaultyEC2, order: list[str], fault: Exception | None = None) -> None:
    """Let EC2 answer for prices, and note when it is asked."""
    launch = ec2.create_fleet

    def describe_spot_price_history(**_: Any) -> dict[str, Any]:
        order.append("prices")
        if fault:
            raise fault
        at = datetime.fromtimestamp(NOW, UTC)
        line = {"InstanceType": "g4dn.xlarge", "AvailabilityZone": "eu-north-1a", "Timestamp": at}
        return {"SpotPriceHistory": [{**line, "SpotPrice": str(SPOT_USD)}]}

    def create_fleet(**request: Any) -> Any:
        order.append(request["TargetCapacitySpecification"]["DefaultTargetCapacityType"])
        return launch(**request)

    quoting: Any = ec2
    quoting.describe_spot_price_history, quoting.create_fleet = describe_spot_price_history, create_fleet


def test_price_of_a_launched_instance_is_noted(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    deployment.table.create(queued_job)
    quote(ec2, [])
    capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    assert noted_price(deployment.table, instance.instance_id) == Price("g4dn.xlarge", "spot", SPOT_SOURCE, SPOT_USD)


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_prices_that_can_not_be_had_cost_no_launch(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job, code: str
) -> None:
    deployment.table.create(queued_job)
    quote(ec2, [], refused(code, 403))
    report = capacity.run(NOW)
    (instance,) = capacity.fleet.instances().live
    assert (report.launched, report.faults) == (1, 1)
    assert noted_price(deployment.table, instance.instance_id) == table_price("g4dn.xlarge", "spot")


def test_every_launch_is_made_before_a_price_is_asked_for(
    deployment: Any, capacity: Capacity, ec2: FaultyEC2, queued_job: Job
) -> None:
    for number in range(2):
        struck = replace(queued_job, job_id=f"{number}", interruptions=number, size_bytes=10**9)
        deployment.table.create(struck)
    order: list[str] = []
    quote(ec2, order)
    capacity.run(NOW)
    assert sorted(order[:-1]) == ["on-demand", "spot"]
    assert order[-1] == "prices"


def test_job_that_is_ended_for_its_silence_keeps_what_it_cost(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    limits = capacity.settings.limits
    silent = replace(queued_job, failures=limits.max_failures - 1, cost={"usd": 0.25})
    deployment.table.create(silent)
    deployment.table.claim(silent.job_id, "i-gone", NOW)
    capacity.run(NOW)
    report = capacity.run(NOW + limits.lease_s + 1)
    ended = deployment.table.get(silent.job_id)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "attempts_exhausted")
    assert (ended.cost, report.cost_usd) == ({"usd": 0.25}, 0.25)


def test_job_that_is_taken_from_a_silent_agent_keeps_what_it_cost(
    deployment: Any, capacity: Capacity, queued_job: Job
) -> None:
    deployment.table.create(replace(queued_job, cost={"usd": 0.25}))
    deployment.table.claim(queued_job.job_id, "i-gone", NOW)
    capacity.run(NOW)
    capacity.run(NOW + capacity.settings.limits.lease_s + 1)
    back = deployment.table.get(queued_job.job_id)
    assert (back.status, back.failures, back.cost) == (JobStatus.QUEUED, 1, {"usd": 0.25})
