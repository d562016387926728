"""What EC2 announces to a spot instance, read from a real metadata server, and what the agent does about it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from avskrift.jobs.model import JobStatus
from avskrift.local.ec2.state import Instance, LaunchSpec
from avskrift.local.imds import MetadataServer, Notices
from avskrift.local.processes import await_condition
from instance import departure
from instance.departure import Departure
from instance.metadata import InstanceMetadata
from instance.spotwatch import SpotWatch, left_s
from instance.work import HandBack
from tests.instance.agent_stage import NOW, PATIENCE_S, FaultyClient, Stage, Work

IN_TWO_MINUTES = '{"action": "terminate", "time": "2023-11-14T22:15:20Z"}'
"""Two minutes after NOW."""


@pytest.mark.parametrize(
    ("notice", "clock_s", "left"),
    [
        (IN_TWO_MINUTES, NOW, 120.0),
        (IN_TWO_MINUTES, NOW + 90.0, 30.0),
        (IN_TWO_MINUTES, NOW - 240.0, 120.0),
        (IN_TWO_MINUTES, NOW + 240.0, 120.0),
        ('{"action": "terminate"}', NOW, 120.0),
        ('{"action": "stop", "time": "soon"}', NOW, 120.0),
        ("[]", NOW, 120.0),
        ("<html>", NOW, 120.0),
    ],
    ids=["in time", "late", "clock behind", "clock ahead", "no time", "no such time", "no object", "no json"],
)
def test_time_left_is_two_minutes_at_most_whatever_the_clock_says(notice: str, clock_s: float, left: float) -> None:
    assert left_s(notice, clock_s) == left


class Metadata:
    """The metadata service of one spot instance, and a watch that asks it."""

    def __init__(self) -> None:
        spec = LaunchSpec("ami-1", "g4dn.xlarge", "subnet-1", "vpc-1", "eu-north-1a")
        one = Instance("i-1", spec, "spot", "10.0.0.4", "r-1", datetime.now(UTC), {})
        self.notices = Notices()
        self.server = MetadataServer(lambda: one, lambda: self.notices, None, "123456789012")
        self.told: queue.SimpleQueue[object] = queue.SimpleQueue()

    def watch(self, url: str | None = None) -> SpotWatch:
        metadata = InstanceMetadata(url or self.server.url)
        return SpotWatch(metadata, self.told.put, lambda: self.told.put("at risk"), poll_s=0.01)

    def recommend_rebalance(self) -> None:
        self.notices = replace(self.notices, rebalance_at=datetime.now(UTC))

    def interrupt(self) -> None:
        self.notices = replace(self.notices, interruption_at=datetime.now(UTC) + timedelta(seconds=60))


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    metadata = Metadata()
    with metadata.server:
        yield metadata


def test_notice_is_told_with_the_time_left(metadata: Metadata) -> None:
    with metadata.watch():
        metadata.interrupt()
        told = metadata.told.get(timeout=PATIENCE_S)
    assert isinstance(told, float)
    assert 0 < told <= 60
    assert metadata.told.empty(), "once is enough"


def test_notice_is_told_after_a_recommendation_too(metadata: Metadata) -> None:
    with metadata.watch():
        metadata.recommend_rebalance()
        assert metadata.told.get(timeout=PATIENCE_S) == "at risk"
        metadata.interrupt()
        assert isinstance(metadata.told.get(timeout=PATIENCE_S), float)
    assert metadata.told.empty(), "once is enough"


def test_watch_outlives_a_metadata_service_that_is_away(metadata: Metadata) -> None:
    asked = threading.Event()

    class Away(InstanceMetadata):
        def get(self, path: str) -> str | None:
            asked.set()
            return super().get(path)

    url = metadata.server.url
    metadata.server.stop()
    with SpotWatch(Away(url), metadata.told.put, lambda: None, poll_s=0.01) as watch:
        assert asked.wait(PATIENCE_S)
        assert watch._thread.is_alive()
    assert metadata.told.empty()


def test_agent_at_risk_finishes_its_job_and_claims_no_more(stage: Stage) -> None:
    first, second = stage.upload("uploads/1.mp3"), stage.upload("uploads/2.mp3")
    agent = stage.agent(lambda work: agent.retire())
    agent.run()
    ended, left = sorted((stage.job(first), stage.job(second)), key=lambda job: job.attempt, reverse=True)
    assert (ended.status, left.status, left.attempt) == (JobStatus.COMPLETED, JobStatus.QUEUED, 0)
    assert stage.waiting() == [{"job_id": left.job_id}]


@pytest.mark.parametrize("how", ["stop", "retire"])
def test_message_that_comes_while_the_agent_leaves_goes_back(stage: Stage, how: str) -> None:
    job = stage.upload()
    agent = stage.agent(
        sqs=FaultyClient(stage.deployment.sqs, "receive_message", lambda **_: getattr(agent, how)()),
    )
    agent.run()
    assert (stage.job(job).status, stage.job(job).attempt) == (JobStatus.QUEUED, 0)
    assert stage.waiting() == [{"job_id": job.job_id}]


def test_job_claimed_while_the_agent_is_told_to_leave_goes_back(stage: Stage) -> None:
    job = stage.upload()
    agent = stage.agent()
    claim = stage.table.claim

    def claim_and_notice(*arguments: Any) -> Any:
        claimed = claim(*arguments)
        agent.stop(HandBack.INTERRUPTED)
        return claimed

    stage.table.claim = claim_and_notice
    agent.run()
    back = stage.job(job)
    assert (back.status, back.attempt, back.interruptions) == (JobStatus.QUEUED, 1, 1)
    assert stage.engine.heard == []


def test_abandoned_job_goes_back_past_a_worker_that_listens_to_nobody(stage: Stage) -> None:
    job = stage.upload()
    released = threading.Event()
    agent = stage.agent(lambda work: released.wait(PATIENCE_S) and None)
    running = threading.Thread(target=agent.run)
    running.start()
    try:
        await_condition(lambda: stage.engine.heard, PATIENCE_S, "the work")
        agent.stop(HandBack.INTERRUPTED)
        agent.abandon()
        back = stage.job(job)
        assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 1)
    finally:
        released.set()
        running.join()
    after = stage.job(job)
    assert replace(after, cost=back.cost) == back, "what the worker brings after all is refused"
    assert after.cost and back.cost and after.cost["work_s"] == back.cost["work_s"], "only the wait for it is paid"
    assert stage.waiting() == [{"job_id": job.job_id}]


@pytest.mark.parametrize("hangs", [False, True], ids=["", "aws hangs"])
def test_process_ends_in_time_whatever_hangs(monkeypatch: pytest.MonkeyPatch, hangs: bool) -> None:
    monkeypatch.setattr(departure, "SHORTEST_S", 0.1)
    steps: queue.SimpleQueue[object] = queue.SimpleQueue()
    released = threading.Event()

    def abandon() -> None:
        steps.put("abandoned")
        if hangs:
            released.wait(PATIENCE_S)

    Departure(abandon, end=steps.put).begin(left_s=0.0)
    assert [steps.get(timeout=PATIENCE_S), steps.get(timeout=PATIENCE_S)] == ["abandoned", 1]
    released.set()


def test_process_ends_though_the_job_can_not_be_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "SHORTEST_S", 0.1)
    ended: queue.SimpleQueue[object] = queue.SimpleQueue()

    def refuse() -> None:
        raise RuntimeError("injected")

    Departure(refuse, end=ended.put).begin(left_s=0.0)
    assert ended.get(timeout=PATIENCE_S) == 1


def test_work_that_stops_when_told_is_not_needed_twice(stage: Stage) -> None:
    """A job handed back in order is no longer there to be abandoned."""
    job = stage.upload()

    def stop(work: Work) -> None:
        agent.stop(HandBack.INTERRUPTED)
        work.await_cancel()

    agent = stage.agent(stop)
    agent.run()
    agent.abandon()
    assert stage.job(job).interruptions == 1
