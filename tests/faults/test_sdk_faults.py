"""Every SDK call of the functions and the agent fails, once and for a while, in each way an SDK call can fail.

Whatever fails: in the end the job has ended as it should, its webhook has one id, every agent that was not cut off came
to its own end, no function raised but one that its trigger repeats, and no message outlives the next upload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest
from _pytest.mark import ParameterSet

from avskrift.jobs.model import JobStatus
from tests.faults.wire import KINDS, Call, Fault
from tests.faults.world import DIES_AT_WORK, DIES_BEFORE_WEBHOOK, END_OF, NEVER_WORKS, World

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

LENGTHS = {"once": 1, "for a while": 4}
"""Calls in a row that fail; the longer row is more than one attempt insists on."""
LOST_FOR_S = 660
"""As old as an object must be before it is looked for."""


def parse_calls(text: str) -> list[Call]:
    lines = [line.split() for line in text.strip().splitlines()]
    return [(caller.rstrip(":"), *one.split(".")) for caller, *calls in lines for one in calls]


MADE_OR_RAISED = parse_calls(
    """
    register: s3.HeadObject dynamodb.PutItem dynamodb.TransactWriteItems sqs.SendMessage
    capacity: dynamodb.PutItem dynamodb.GetItem dynamodb.Query dynamodb.DeleteItem
    capacity: ec2.DescribeInstances sqs.GetQueueAttributes ssm.GetParameter
    deliver: dynamodb.GetItem dynamodb.PutItem dynamodb.UpdateItem secretsmanager.GetSecretValue sqs.SendMessage
    """
)
"""Calls without which a function can't go on. register and deliver give the message back to its queue, without the
trace whose text might name a key; capacity raises, and the schedule repeats it. Nobody else may, an agent never."""


@dataclass(frozen=True)
class Scenario:
    """A story, and those of its calls that are to fail in it."""

    name: str
    begin: Callable[[World], str]
    """Starts it; the id of its job."""
    ends_as: JobStatus
    calls: str
    """One caller a line: ``agent: s3.GetObject sqs.ReceiveMessage``."""

    def __str__(self) -> str:
        return self.name

    def parsed(self) -> list[Call]:
        return parse_calls(self.calls)


def main_job(world: World) -> str:
    return world.upload("uploads/a.mp3")


def refused_upload(world: World) -> str:
    """An empty file, and a receiver that does not take the news at once."""
    world.receiver.answer_next([500])
    return world.upload("uploads/empty.mp3", b"")


def lost_event(world: World) -> str:
    job_id = world.upload("uploads/a.mp3", is_announced=False)
    world.clock.skipped_s += LOST_FOR_S
    return job_id


def no_image(world: World) -> str:
    world.set_image("none")
    return main_job(world)


def with_fate(fate: str) -> Callable[[World], str]:
    def begin(world: World) -> str:
        world.fates = [fate]
        return main_job(world)

    return begin


SCENARIOS = (
    Scenario(
        "main job",
        main_job,
        JobStatus.COMPLETED,
        """
        register: s3.HeadObject dynamodb.PutItem sqs.SendMessage lambda.Invoke
        capacity: dynamodb.PutItem dynamodb.GetItem dynamodb.Query dynamodb.UpdateItem dynamodb.DeleteItem
        capacity: dynamodb.TransactWriteItems ec2.DescribeInstances ec2.CreateFleet sqs.GetQueueAttributes
        capacity: ec2.DescribeSpotPriceHistory ssm.GetParameter
        agent: sqs.ReceiveMessage sqs.ChangeMessageVisibility sqs.DeleteMessage
        agent: dynamodb.UpdateItem dynamodb.GetItem dynamodb.TransactWriteItems dynamodb.PutItem
        agent: s3.HeadObject s3.GetObject s3.PutObject secretsmanager.GetSecretValue
        """,
    ),
    Scenario(
        "refused upload",
        refused_upload,
        JobStatus.FAILED,
        """
        register: dynamodb.TransactWriteItems sqs.SendMessage
        deliver: dynamodb.GetItem dynamodb.PutItem dynamodb.UpdateItem secretsmanager.GetSecretValue sqs.SendMessage
        """,
    ),
    Scenario("no image", no_image, JobStatus.FAILED, "capacity: dynamodb.TransactWriteItems sqs.SendMessage"),
    Scenario(
        "instance dies at work",
        with_fate(DIES_AT_WORK),
        JobStatus.COMPLETED,
        "capacity: dynamodb.UpdateItem sqs.SendMessage",
    ),
    Scenario(
        "instance dies before its webhook",
        with_fate(DIES_BEFORE_WEBHOOK),
        JobStatus.COMPLETED,
        "capacity: sqs.SendMessage",
    ),
    Scenario("instance hangs", with_fate(NEVER_WORKS), JobStatus.COMPLETED, "capacity: ec2.TerminateInstances"),
    Scenario(
        "lost event",
        lost_event,
        JobStatus.COMPLETED,
        """
        reconcile: s3.ListObjectVersions dynamodb.BatchGetItem dynamodb.GetItem dynamodb.PutItem
        reconcile: s3.HeadObject sqs.SendMessage lambda.Invoke
        """,
    ),
)
MOST_DIFFERENT = {("timeout", "once"), ("throttling", "for a while")}
"""Done although it failed, and refused until patience ends: these run every time, what is much like one of them when
there is time."""


def cases() -> Iterator[ParameterSet]:
    for scenario in SCENARIOS:
        for call, kind, length in product(scenario.parsed(), KINDS, LENGTHS):
            if scenario.name == "main job" or length == "for a while":
                marks = [] if (kind, length) in MOST_DIFFERENT else [pytest.mark.slow]
                name = f"{scenario}, {'.'.join(call)}, {kind} {length}"
                yield pytest.param(scenario, call, kind, length, marks=marks, id=name)


def check_end(world: World, scenario: Scenario, job_id: str) -> None:
    assert world.job(job_id).status is scenario.ends_as
    received = [one for one in world.receiver.receptions if one.job_id == job_id]
    assert {one.type for one in received} == {f"job.{scenario.ends_as.value}"}
    assert len({one.webhook_id for one in received}) == 1
    assert all(end == END_OF[fate] for fate, end in world.agents()), world.agents()
    left = world.left()
    assert left["messages"] == {}, "a message outlived the next upload, or was set aside in a dead-letter queue"


@pytest.mark.parametrize(("scenario", "call", "kind", "length"), list(cases()))
def test_sdk_fault_ends_well(world: World, scenario: Scenario, call: Call, kind: str, length: str) -> None:
    world.wire.fault = Fault(kind, call, last=LENGTHS[length])
    job_id = scenario.begin(world)
    world.settle()
    assert world.wire.hits > 0
    world.upload_another()
    assert world.crashed() == ({call[0]} if call in MADE_OR_RAISED else set()), world.crashes
    check_end(world, scenario, job_id)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario_without_faults_makes_the_calls_that_are_listed(world: World, scenario: Scenario) -> None:
    """So that a call which somebody adds is made to fail too: it belongs into a scenario's list above."""
    job_id = scenario.begin(world)
    world.settle()
    made = set(world.wire.calls)
    assert set(scenario.parsed()) <= made
    assert made <= {call for one in SCENARIOS for call in one.parsed()}
    world.upload_another()
    assert world.crashes == []
    check_end(world, scenario, job_id)
