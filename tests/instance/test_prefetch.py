"""The next job is fetched while the present one is decoded, and costs nothing if it then isn't worked on here."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avskrift.asr.engine import Progress
from avskrift.jobs.messages import send_job
from avskrift.jobs.model import Job, JobStatus
from avskrift.local.processes import await_condition
from instance import prefetch, preparation
from instance.prefetch import AHEAD_S, Peek, Prefetcher, Speed
from instance.services import Services
from instance.work import HandBack
from tests.instance.agent_stage import NOW, PATIENCE_S, FaultyClient, Outcome, Stage, Work, refusal
from tests.instance.test_cancelled_jobs import cancel

NEARLY_DONE = Progress(2.0, 2.0)


class Watched:
    """A bucket that says which recordings were fetched."""

    def __init__(self, stage: Stage, before: Callable[..., None] = lambda *_: None) -> None:
        self.fetched: list[str] = []
        self._before = before
        self.s3 = FaultyClient(stage.deployment.s3, "download_file", self._look, self._note)

    def _look(self, bucket: str, key: str, path: str, **_: Any) -> None:
        self._before(key)

    def _note(self, bucket: str, key: str, path: str, **_: Any) -> None:
        self.fetched.append(key)


def two_jobs(stage: Stage) -> tuple[Job, Job]:
    """In the order they are taken."""
    first = stage.upload("uploads/1.mp3", b"1")
    return first, stage.upload("uploads/2.mp3", b"2")


def in_first(then: Callable[[Work], None]) -> Outcome:
    """Only in the first of two jobs."""
    return lambda work: then(work) if work.path.read_bytes() == b"1" else None


def test_next_recording_is_there_when_its_job_is_claimed(stage: Stage) -> None:
    _, second = two_jobs(stage)
    watched = Watched(stage)
    seen: list[Job] = []

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: len(watched.fetched) == 2 or None, PATIENCE_S, "the second recording")
        seen.append(stage.job(second))

    stage.run(in_first(decode), s3=watched.s3)
    assert (seen[0].status, seen[0].attempt) == (JobStatus.QUEUED, 0), "peeked at, not claimed"
    assert watched.fetched == ["uploads/1.mp3", "uploads/2.mp3"], "fetched once"
    assert stage.engine.heard == [b"1", b"2"]
    assert stage.job(second).status is JobStatus.COMPLETED
    assert stage.messages() == 0
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_recording_still_on_its_way_is_waited_for(stage: Stage) -> None:
    _, second = two_jobs(stage)
    began, claimed = threading.Event(), threading.Event()

    def wait_for_claim(key: str) -> None:
        if key == second.key:
            began.set()
            assert claimed.wait(PATIENCE_S)

    watched = Watched(stage, wait_for_claim)
    claim = stage.table.claim

    def claim_and_tell(*arguments: Any) -> Any:
        job = claim(*arguments)
        if job and job.key == second.key:
            claimed.set()
        return job

    stage.table.claim = claim_and_tell

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        assert began.wait(PATIENCE_S)

    stage.run(in_first(decode), s3=watched.s3)
    assert watched.fetched == ["uploads/1.mp3", "uploads/2.mp3"]
    assert stage.job(second).status is JobStatus.COMPLETED


def test_checkpoint_of_the_next_job_comes_along(stage: Stage) -> None:
    job = stage.upload("uploads/2.mp3", b"2")

    def stop(work: Work) -> None:
        work.write_checkpoint('{"chunk": 1}\n')
        agent.stop()
        work.await_cancel()

    agent = stage.agent(stop)
    agent.run()
    message = stage.waiting()
    stage.upload("uploads/1.mp3", b"1")
    send_job(stage.deployment.sqs, stage.deployment.jobs_queue_url, message[0]["job_id"])
    watched = Watched(stage)

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: len(watched.fetched) == 2 or None, PATIENCE_S, "the second recording")

    engine = stage.run(in_first(decode), s3=watched.s3)
    assert engine.heard == [b"2", b"1", b"2"]
    assert engine.checkpoints == [None, None, '{"chunk": 1}\n']
    assert stage.job(job).status is JobStatus.COMPLETED


@pytest.mark.parametrize("leave", ["stop", "retire"])
def test_agent_that_leaves_gives_the_next_job_back_at_once(stage: Stage, leave: str) -> None:
    first, second = two_jobs(stage)
    watched = Watched(stage)

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: len(watched.fetched) == 2 or None, PATIENCE_S, "the second recording")
        getattr(agent, leave)()
        await_condition(lambda: stage.waiting() or None, PATIENCE_S, "the message")

    agent = stage.agent(in_first(decode), s3=watched.s3)
    agent.run()
    assert stage.job(first).status is JobStatus.COMPLETED
    untouched = stage.job(second)
    assert (untouched.status, untouched.attempt, untouched.failures) == (JobStatus.QUEUED, 0, 0)
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_nothing_is_fetched_ahead_by_an_agent_that_leaves(stage: Stage) -> None:
    two_jobs(stage)
    watched = Watched(stage)

    def decode(work: Work) -> None:
        agent.stop(HandBack.INTERRUPTED)
        work.on_progress(NEARLY_DONE)
        work.await_cancel()

    agent = stage.agent(in_first(decode), s3=watched.s3)
    agent.run()
    assert watched.fetched == ["uploads/1.mp3"]
    assert len(stage.waiting()) == 2


def test_next_job_that_is_cancelled_meanwhile_is_dropped(stage: Stage) -> None:
    _, second = two_jobs(stage)
    watched = Watched(stage)

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: len(watched.fetched) == 2 or None, PATIENCE_S, "the second recording")
        cancel(stage, second)

    stage.run(in_first(decode), s3=watched.s3)
    assert stage.engine.heard == [b"1"]
    assert stage.job(second).status is JobStatus.CANCELLED
    assert stage.messages() == 0
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_next_job_that_another_claimed_is_left_to_it(stage: Stage) -> None:
    _, second = two_jobs(stage)
    watched = Watched(stage)

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: len(watched.fetched) == 2 or None, PATIENCE_S, "the second recording")
        stage.table.claim(second.job_id, "i-2", NOW)

    stage.run(in_first(decode), s3=watched.s3)
    assert stage.engine.heard == [b"1"]
    assert (stage.job(second).instance_id, stage.job(second).attempt) == ("i-2", 1)


def test_recording_that_can_not_be_fetched_ahead_is_met_again_by_its_attempt(stage: Stage) -> None:
    _, second = two_jobs(stage)
    refused: list[str] = []

    def refuse_once(key: str) -> None:
        if key == second.key and not refused:
            refused.append(key)
            raise refusal("AccessDenied", 403)

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: refused or None, PATIENCE_S, "the refusal")

    stage.run(in_first(decode), s3=Watched(stage, refuse_once).s3)
    ended = stage.job(second)
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.COMPLETED, 1, 0)
    assert stage.messages() == 0


def test_recording_deleted_before_its_turn_ends_its_own_job_only(stage: Stage) -> None:
    first, second = two_jobs(stage)
    stage.deployment.s3.delete_object(Bucket=second.bucket, Key=second.key)
    # What cannot be fetched ahead goes back to the queue, where the agent must still be looking.
    patient = stage.with_settings(linger_s=1.0)
    stage.run(in_first(lambda work: work.on_progress(NEARLY_DONE)), settings=patient)
    assert stage.job(first).status is JobStatus.COMPLETED
    assert stage.job(second).error.code == "object_gone"
    assert stage.messages() == 0


def test_nothing_is_fetched_of_a_job_that_nobody_can_claim(stage: Stage) -> None:
    ended = stage.upload("uploads/2.mp3", b"2")
    cancel(stage, ended)
    (stale,) = stage.waiting()
    stage.upload("uploads/1.mp3", b"1")
    send_job(stage.deployment.sqs, stage.deployment.jobs_queue_url, stale["job_id"])
    watched = Watched(stage)
    returned = threading.Event()

    def note(VisibilityTimeout: int, **_: Any) -> None:
        if VisibilityTimeout == 0:
            returned.set()

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        assert returned.wait(PATIENCE_S)

    sqs = FaultyClient(stage.deployment.sqs, "change_message_visibility", note)
    stage.run(in_first(decode), s3=watched.s3, sqs=sqs)
    assert watched.fetched == ["uploads/1.mp3"]


@pytest.mark.parametrize("body", ["not json", '{"job_id": "nobody"}'])
def test_message_without_a_job_is_dropped_though_peeked_at(stage: Stage, body: str) -> None:
    stage.upload("uploads/1.mp3", b"1")
    stage.deployment.sqs.send_message(QueueUrl=stage.deployment.jobs_queue_url, MessageBody=body)
    stage.run(in_first(lambda work: work.on_progress(NEARLY_DONE)))
    assert stage.engine.heard == [b"1"]
    assert stage.messages() == 0


def test_nothing_is_fetched_ahead_onto_a_full_disk(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = two_jobs(stage)
    asked = threading.Event()

    class Full:
        @property
        def free(self) -> int:
            asked.set()
            return preparation.SPARE_BYTES

    monkeypatch.setattr("shutil.disk_usage", lambda _: Full())
    watched = Watched(stage)
    seen: list[list[str]] = []

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        assert asked.wait(PATIENCE_S)
        seen.append(list(watched.fetched))

    stage.run(in_first(decode), s3=watched.s3)
    assert seen == [["uploads/1.mp3"]]
    assert stage.job(second).status is JobStatus.COMPLETED


def test_message_peeked_at_stays_hidden_for_several_leases(stage: Stage) -> None:
    _, second = two_jobs(stage)
    watched = Watched(stage)
    kept: list[str] = []

    def note(**request: Any) -> None:
        kept.append(request["ReceiptHandle"])

    def decode(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: len(set(kept)) == 2 or None, PATIENCE_S, "the second message to be kept")
        assert stage.waiting() == []

    sqs = FaultyClient(stage.deployment.sqs, "change_message_visibility", note)
    stage.run(in_first(decode), s3=watched.s3, sqs=sqs, settings=stage.with_settings(lease_s=1.5, heartbeat_s=0.3))
    assert stage.job(second).status is JobStatus.COMPLETED


def test_next_job_comes_back_from_an_agent_whose_present_job_stands_still(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_jobs(stage)
    monkeypatch.setattr(prefetch, "HOLD_S", 0.5)
    hidden_s: list[int] = []

    def stand_still(work: Work) -> None:
        work.on_progress(NEARLY_DONE)
        await_condition(lambda: 0 in hidden_s or None, PATIENCE_S, "the second message to come back")
        assert stage.waiting() == [{"job_id": second.job_id}], "another agent may have it"

    sqs = FaultyClient(
        stage.deployment.sqs, "change_message_visibility", after=lambda **to: hidden_s.append(to["VisibilityTimeout"])
    )
    stage.run(in_first(stand_still), sqs=sqs)
    assert stage.job(first).status is JobStatus.COMPLETED
    untouched = stage.job(second)
    assert (untouched.status, untouched.attempt) == (JobStatus.QUEUED, 0)
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_agent_looks_ahead_no_more_until_the_job_that_stood_still_has_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload()
    looks: list[Peek] = []

    def look(services: Services) -> Peek:
        looks.append(Peek(services))
        return looks[-1]

    monkeypatch.setattr(prefetch, "HOLD_S", 0.0)
    monkeypatch.setattr(prefetch, "PEEK_PAUSE_S", 0.0)
    monkeypatch.setattr(prefetch, "Peek", look)
    prefetcher = Prefetcher(stage.services)
    for job_at_work in (1, 2):
        prefetcher.begin()
        prefetcher.follow(NEARLY_DONE)
        await_condition(lambda: looks[-1].is_over or None, PATIENCE_S, "the end of the look")
        prefetcher.follow(NEARLY_DONE)
        assert len(looks) == job_at_work
        assert prefetcher.take() is None
    assert len(stage.waiting()) == 1


def test_time_left_follows_the_speed_of_the_present_job() -> None:
    speed = Speed()
    assert speed.remaining_s(Progress(0.0, 600.0), now=0.0) == math.inf
    assert speed.remaining_s(Progress(300.0, 600.0), now=10.0) == pytest.approx(10.0)
    assert speed.remaining_s(Progress(600.0, 600.0), now=20.0) == 0.0


def test_speed_counts_from_where_a_checkpoint_ended() -> None:
    speed = Speed()
    speed.remaining_s(Progress(500.0, 1_000.0), now=0.0)
    assert speed.remaining_s(Progress(600.0, 1_000.0), now=10.0) == pytest.approx(40.0)


def test_speed_of_the_job_before_tells_for_the_first_moments() -> None:
    speed = Speed()
    speed.remaining_s(Progress(0.0, 600.0), now=0.0)
    speed.remaining_s(Progress(600.0, 600.0), now=10.0)
    speed.begin()
    assert speed.remaining_s(Progress(0.0, 1_200.0), now=11.0) == pytest.approx(20.0)
    assert AHEAD_S > 20.0
