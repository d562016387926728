"""Faults that a person must hear of ring the alarm that is meant for them, and what mends itself rings none.

The real λ capacity and λ deliver on moto, with a clock that is moved; what they print goes to CloudWatch as its
documentation describes it, with the alarms of the template.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from avskrift.jobs.model import JobProgress, JobStatus
from tests.lambdas.invoking import Context, metric_lines, record, upload_record
from tests.lambdas.watching import CloudWatch

QUARTER = 20
"""Minutes: three periods of five, wherever they begin."""


@pytest.fixture(scope="session")
def alarms() -> dict[str, Any]:
    """Of the stack as it is deployed, by name."""
    from tests.infra.conftest import WITHOUT_BUNDLING, Template, build_app  # starts Node

    template = Template.from_stack(build_app(WITHOUT_BUNDLING).node.find_child("avskrift"))
    found = [each["Properties"] for each in template.find_resources("AWS::CloudWatch::Alarm").values()]
    return {each["AlarmName"].removeprefix("avskrift-"): each for each in found}


@dataclass
class Deployment:
    """A deployment that is watched, and its clock."""

    data: Any
    functions: dict[str, ModuleType]
    watch: CloudWatch
    capsys: Any
    now: float

    def minutes(self, number: int, meanwhile: Callable[[], object] = object, step_s: int = 150) -> None:
        """Passes of capacity for so long, and what else happens before each: two for each period of an alarm."""
        for _ in range(number * 60 // step_s):
            self.now += step_s
            meanwhile()
            self.call("capacity", {})

    def call(self, function: str, event: dict[str, Any]) -> None:
        self.capsys.readouterr()
        self.functions[function].handler(event, Context())
        for line in metric_lines(self.capsys.readouterr().out):
            self.watch.take(line, self.now)
        self.watch.pass_time(self.now)

    def upload(self, *keys: str) -> None:
        self.call("register", {"Records": [upload_record(self.data, key, n) for n, key in enumerate(keys)]})

    def work(self) -> None:
        """An agent: claims what waits, if there is an instance, and says that it lives."""
        reservations = self.data.client("ec2").describe_instances()["Reservations"]
        live = [one["InstanceId"] for each in reservations for one in each["Instances"]]
        running = list(self.data.table.with_status(JobStatus.RUNNING))
        for job in running:
            self.data.table.beat(job, JobProgress(1.0, 3_600.0), {})
        busy = {job.instance_id for job in running}
        for job in self.data.table.with_status(JobStatus.QUEUED):
            free = [one for one in live if one not in busy]
            if free:
                self.data.table.claim(job.job_id, free[0], self.now)
                busy.add(free[0])


@pytest.fixture
def watched(
    deployment: Any, functions: Any, alarms: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    watched = Deployment(deployment, functions, CloudWatch(alarms), capsys, time.time())
    for name in ("capacity", "register"):
        monkeypatch.setattr(functions[name], "time", SimpleNamespace(time=lambda: watched.now))
    return watched


def answer_launches(watched: Deployment, monkeypatch: pytest.MonkeyPatch, code: str, markets: set[str]) -> None:
    """Let EC2 have none of these markets' machines, with this code."""
    ec2 = watched.functions["capacity"]._capacity().fleet.ec2
    real = ec2.create_fleet

    def create_fleet(**request: Any) -> Any:
        market = request["TargetCapacitySpecification"]["DefaultTargetCapacityType"]
        if market not in markets:
            return real(**request)
        return {"Errors": [{"ErrorCode": code}], "Instances": []}

    monkeypatch.setattr(ec2, "create_fleet", create_fleet)


def test_an_idle_deployment_rings_nothing(watched: Deployment) -> None:
    watched.minutes(QUARTER)
    assert watched.watch.rang() == set()
    assert not any(watched.watch.values.values()), "and says nothing"


def test_a_quota_that_is_used_up_rings(watched: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_launches(watched, monkeypatch, "VcpuLimitExceeded", {"spot", "on-demand"})
    watched.upload("uploads/a.mp3")
    watched.minutes(QUARTER)
    assert watched.watch.rang() == {"launch-failures"}
    assert sum(value for _, value in watched.watch.values["LaunchFaultsQuota"]) >= 2


def test_a_deployment_without_an_image_rings(watched: Deployment) -> None:
    """Its jobs fail at once: nothing lasts, and every client is told of a failure that is not theirs."""
    watched.data.client("ssm").put_parameter(Name="/ami", Value="none", Overwrite=True)
    watched.upload("uploads/a.mp3")
    watched.minutes(5)
    assert watched.watch.rang() == {"jobs-unserved"}


def test_lack_of_spot_that_on_demand_makes_up_for_rings_nothing(
    watched: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_launches(watched, monkeypatch, "InsufficientInstanceCapacity", {"spot"})
    watched.upload("uploads/a.mp3")
    watched.minutes(QUARTER, watched.work)
    assert watched.watch.rang() == set()
    assert watched.watch.values["LaunchFaultsCapacity"]
    assert max(value for _, value in watched.watch.values["OnDemandInstances"]) == 1
    assert sum(value for _, value in watched.watch.values["InstancesLaunched"]) == 1


def test_a_job_that_waits_behind_others_rings(watched: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """One instance is allowed and at work: nothing is wrong with launches, but somebody waits for half an hour."""
    monkeypatch.setenv("AVSKRIFT_MAX_INSTANCES", "1")
    watched.upload("uploads/a.mp3", "uploads/b.mp3")
    watched.minutes(25, watched.work)
    assert watched.watch.rang() == set()
    watched.minutes(10, watched.work)
    assert watched.watch.rang() == {"oldest-wait"}


def test_an_instance_that_cannot_be_ended_rings(watched: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSKRIFT_MAX_LIFE_S", "60")
    watched.upload("uploads/a.mp3")
    watched.minutes(5, watched.work)

    def refuse(**_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(watched.functions["capacity"]._capacity().fleet.ec2, "terminate_instances", refuse)
    watched.minutes(QUARTER + 5, watched.work)
    assert watched.watch.rang() == {"overdue-instances"}


class LongDay(datetime):
    """The meter's calendar, when the test runs around midnight."""

    @classmethod
    def fromtimestamp(cls, *_: Any) -> datetime:  # type: ignore[override]
        return datetime(2026, 11, 22, tzinfo=UTC)


def test_the_days_money_rings_before_and_when_it_is_spent(
    watched: Deployment, monkeypatch: pytest.MonkeyPatch, alarms: Any
) -> None:
    """About a cent for three minutes of a spot instance, on a day without a midnight."""
    monkeypatch.setattr("avskrift.jobs.growth.datetime", LongDay)
    monkeypatch.setenv("AVSKRIFT_MAX_USD_PER_DAY", "0.02")
    scaled = {**alarms, "spend-warning": {**alarms["spend-warning"], "Threshold": 0.016}}
    watched.watch.alarms = scaled
    watched.upload("uploads/a.mp3")
    watched.minutes(6, watched.work, step_s=60)
    spent = watched.watch.values["SpentToday"][-1][1]
    assert 0.016 <= spent < 0.02
    assert watched.watch.rang() == {"spend-warning"}
    watched.minutes(2, watched.work, step_s=60)
    watched.upload("uploads/b.mp3")
    watched.minutes(1, step_s=60)
    assert watched.watch.rang() == {"spend-warning", "spend-limit"}


def test_a_row_edited_into_nonsense_rings(watched: Deployment) -> None:
    watched.upload("uploads/a.mp3")
    (job,) = watched.data.table.with_status(JobStatus.QUEUED)
    watched.data.table.put_values({**watched.data.table.job_values(job.job_id), "attempt": "one"})
    watched.minutes(3)
    assert watched.watch.rang() == {"malformed-rows"}


def test_receivers_that_do_not_answer_ring_and_so_does_giving_up(watched: Deployment) -> None:
    """Nobody listens at the address: each webhook's first attempts fail."""
    empty = [watched.data.put(f"uploads/{number}.mp3", b"") for number in range(5)]
    items = [{"key": each.key, "size": 0, "version-id": each.version_id} for each in empty]
    details = [{"detail": {"bucket": {"name": empty[0].bucket}, "object": item}} for item in items]
    watched.call("register", {"Records": [record(json.dumps(detail), n) for n, detail in enumerate(details)]})
    messages = watched.data.messages(watched.data.outbox_queue_url)
    for message in messages[:4]:
        watched.call("deliver", {"Records": [record(json.dumps(message))]})
    assert watched.watch.rang() == set(), "four attempts may fail"
    entry = watched.data.table.outbox_entry(messages[4]["outbox_id"])
    spent = [{"at": 1.0, "status": 500, "duration_s": 0.1, "answer": ""}] * 9
    watched.data.table.put_values({**entry.to_dict(), "attempts": spent})
    watched.call("deliver", {"Records": [record(json.dumps({**messages[4], "attempt": 9}))]})
    assert watched.watch.rang() == {"webhooks-failing", "webhooks-abandoned"}
