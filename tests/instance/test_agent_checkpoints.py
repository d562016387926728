"""What an attempt that was cut short leaves to the next one, and that it never gets in the way."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from avskrift.errors import NoAudioStream, WorkerCrashed
from avskrift.jobs.layout import checkpoint_key
from avskrift.jobs.model import JobStatus
from avskrift.local.processes import await_condition
from instance import checkpoints
from instance.work import HandBack
from tests.instance.agent_stage import PATIENCE_S, FaultyClient, Outcome, Stage, Work, refusal


def write_and(then: Outcome) -> Outcome:
    """An engine that leaves a checkpoint, with a line it had no time to finish."""

    def work(work: Work) -> None:
        work.write_checkpoint('{"chunk": 1}\n{"chunk": 2}\n{"chu')
        if isinstance(then, Exception):
            raise then
        if then:
            then(work)

    return work


WHOLE_LINES = '{"chunk": 1}\n{"chunk": 2}\n'


@pytest.mark.parametrize("reason", [HandBack.STOPPED, HandBack.INTERRUPTED])
def test_job_handed_back_goes_on_where_it_was(stage: Stage, reason: HandBack) -> None:
    job = stage.upload()

    def stop(work: Work) -> None:
        agent.stop(reason)
        work.await_cancel()

    agent = stage.agent(write_and(stop))
    agent.run()
    assert stage.checkpoint(job) == WHOLE_LINES

    engine = stage.run()
    assert engine.checkpoints == [None, WHOLE_LINES]
    assert stage.job(job).status is JobStatus.COMPLETED


def test_checkpoint_is_in_the_bucket_before_the_job_is_in_the_queue(stage: Stage) -> None:
    job = stage.upload()
    seen: list[JobStatus] = []

    def look(**request: Any) -> None:
        if request["Key"] == checkpoint_key(job.job_id):
            seen.append(stage.job(job).status)

    def stop(work: Work) -> None:
        agent.stop(HandBack.INTERRUPTED)
        work.await_cancel()

    agent = stage.agent(write_and(stop), s3=FaultyClient(stage.deployment.s3, "put_object", look))
    agent.run()
    assert seen == [JobStatus.RUNNING]
    assert stage.job(job).status is JobStatus.QUEUED


def test_crashed_attempt_leaves_its_checkpoint_too(stage: Stage) -> None:
    stage.upload()
    settings = stage.with_settings(max_failures=3)
    engine = stage.run(write_and(WorkerCrashed("The worker died (signal 11).")), None, settings=settings)
    assert engine.checkpoints == [None, WHOLE_LINES]


def test_checkpoint_is_saved_while_the_job_is_worked_on(stage: Stage) -> None:
    """What a SIGKILL leaves: nobody is asked first."""
    job = stage.upload()
    seen: list[str | None] = []

    def watch(work: Work) -> None:
        for _ in range(2):
            work.write_checkpoint('{"chunk": 1}\n')
            written = work.checkpoint.read_text() if work.checkpoint else ""
            await_condition(lambda text=written: text == stage.checkpoint(job) or None, PATIENCE_S, "the upload")
            seen.append(stage.checkpoint(job))

    stage.run(watch, checkpoint_s=0.02)
    assert seen == ['{"chunk": 1}\n', '{"chunk": 1}\n' * 2]


@pytest.mark.parametrize("end", [None, NoAudioStream("There is no sound in it.")], ids=["completed", "failed"])
def test_job_that_has_ended_leaves_no_checkpoint(stage: Stage, end: Outcome) -> None:
    job = stage.upload()

    def stop(work: Work) -> None:
        agent.stop()
        work.await_cancel()

    agent = stage.agent(write_and(stop))
    agent.run()
    assert stage.keys("work/")
    stage.run(end)
    assert stage.job(job).is_terminal
    assert stage.keys("work/") == []


def test_last_chance_is_taken_without_the_checkpoint(stage: Stage) -> None:
    job = stage.upload()
    engine = stage.run(write_and(WorkerCrashed("The worker died (signal 11).")), None)
    assert engine.checkpoints == [None, None]
    assert (stage.job(job).status, stage.job(job).failures) == (JobStatus.COMPLETED, 1)
    assert stage.keys("work/") == []


def test_first_attempt_asks_for_no_checkpoint(stage: Stage) -> None:
    stage.upload()
    asked: list[Any] = []
    stage.run(s3=FaultyClient(stage.deployment.s3, "get_object", lambda **request: asked.append(request)))
    assert asked == []


@pytest.mark.parametrize(
    ("method", "heard"), [("get_object", None), ("put_object", None), ("delete_object", WHOLE_LINES)]
)
def test_fault_of_the_bucket_costs_the_head_start_only(stage: Stage, method: str, heard: str | None) -> None:
    job = stage.upload()

    def refuse(**request: Any) -> None:
        if request["Key"] == checkpoint_key(job.job_id):
            raise refusal("AccessDenied", 403)

    def stop(work: Work) -> None:
        agent.stop()
        work.await_cancel()

    s3 = FaultyClient(stage.deployment.s3, method, refuse)
    agent = stage.agent(write_and(stop), s3=s3)
    agent.run()
    engine = stage.run(s3=s3)
    assert engine.checkpoints == [None, heard]
    assert stage.job(job).status is JobStatus.COMPLETED


def test_upload_that_hangs_holds_up_no_hand_back(stage: Stage) -> None:
    job = stage.upload()
    released = threading.Event()

    def stop(work: Work) -> None:
        agent.stop(HandBack.INTERRUPTED)
        work.await_cancel()

    hanging = FaultyClient(stage.deployment.s3, "put_object", lambda **_: released.wait())
    agent = stage.agent(write_and(stop), s3=hanging, hand_back_s=0.2)
    agent.run()
    released.set()
    assert (stage.job(job).status, stage.job(job).interruptions) == (JobStatus.QUEUED, 1)
    assert stage.waiting() == [{"job_id": job.job_id}]


def test_checkpoint_too_big_to_be_one_is_left_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "MAX_CHECKPOINT_BYTES", 10)
    job = stage.upload()
    stage.put_checkpoint(job, "x" * 11)
    queued_again(stage)
    assert stage.run().checkpoints[-1] is None
    assert stage.job(job).status is JobStatus.COMPLETED


def queued_again(stage: Stage) -> None:
    """The one job that waits gets an attempt that ends before it begins."""

    def stop(*_: str | None) -> Any:
        agent.stop()
        return stage.engine

    agent = stage.agent(engine_for=stop)
    agent.run()
