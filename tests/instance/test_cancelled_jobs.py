"""A job that is cancelled while an agent has it: the work stops, nothing of it stays, the instance goes on."""

from __future__ import annotations

from typing import Any

from avskrift.jobs.cancel import cancel_job
from avskrift.jobs.model import Job, JobStatus
from tests.instance.agent_stage import NOW, FaultyClient, Stage, Work, refusal


def cancel(stage: Stage, job: Job) -> None:
    deployment = stage.deployment
    cancel_job(deployment.table, deployment.sqs, deployment.outbox_queue_url, job.job_id, NOW + 60)


def test_cancelled_job_never_starts(stage: Stage) -> None:
    job = stage.upload()
    cancel(stage, job)
    assert stage.run().heard == []
    assert stage.messages() == 0


def test_running_job_stops_at_the_next_beat_and_the_agent_goes_on(stage: Stage) -> None:
    cancelled, other = stage.upload("uploads/1.mp3", b"1"), stage.upload("uploads/2.mp3", b"2")

    def cancelled_meanwhile(work: Work) -> None:
        if work.path.read_bytes() == b"1":
            cancel(stage, cancelled)
            work.await_cancel()

    engine = stage.run(cancelled_meanwhile)
    assert sorted(engine.heard) == [b"1", b"2"]
    assert stage.job(cancelled).status is JobStatus.CANCELLED
    assert stage.job(other).status is JobStatus.COMPLETED
    assert stage.messages() == 0


def test_job_cancelled_before_its_end_leaves_no_results(stage: Stage) -> None:
    job = stage.upload()
    stage.run(lambda work: cancel(stage, job), settings=stage.with_settings(heartbeat_s=60.0))
    assert stage.job(job).status is JobStatus.CANCELLED
    assert stage.keys("results/") == []
    assert stage.messages() == 0


def test_job_cancelled_while_its_results_are_stored_leaves_none(stage: Stage) -> None:
    job = stage.upload()
    stored: list[str] = []

    def cancel_at_the_second(**request: Any) -> None:
        stored.append(request["Key"])
        if len(stored) == 2:
            cancel(stage, job)

    stage.run(s3=FaultyClient(stage.deployment.s3, "put_object", cancel_at_the_second))
    assert len(stored) == 4
    assert stage.keys("results/") == []


def test_job_cancelled_in_its_second_attempt_leaves_nothing_of_the_first(stage: Stage) -> None:
    job = stage.upload()

    def stop(work: Work) -> None:
        work.write_checkpoint('{"chunk": 1}\n')
        stage.deployment.s3.put_object(
            Bucket=stage.deployment.bucket, Key=f"results/{job.job_id}/transcript.txt", Body=b"of the first attempt"
        )
        agent.stop()
        work.await_cancel()

    agent = stage.agent(stop)
    agent.run()
    assert (len(stage.keys("results/")), len(stage.keys("work/"))) == (1, 1)

    def cancelled_meanwhile(work: Work) -> None:
        cancel(stage, job)
        work.await_cancel()

    stage.run(cancelled_meanwhile)
    assert (stage.keys("results/"), stage.keys("work/")) == ([], [])


def test_results_of_the_attempt_that_owns_the_job_are_left_alone(stage: Stage) -> None:
    job = stage.upload()

    def taken_over(work: Work) -> None:
        stage.table.requeue(stage.job(job), 1.0, failed=True)
        stage.table.claim(job.job_id, "i-2", 2.0)

    stage.run(taken_over, settings=stage.with_settings(heartbeat_s=60.0))
    assert stage.job(job).instance_id == "i-2"
    assert len(stage.keys("results/")) == 4, "the other attempt may have stored them meanwhile"


def test_results_that_can_not_be_deleted_stop_nobody(stage: Stage) -> None:
    job = stage.upload()

    def refuse(**_: Any) -> None:
        raise refusal("AccessDenied", 403)

    s3 = FaultyClient(stage.deployment.s3, "delete_object", refuse)
    stage.run(lambda work: cancel(stage, job), s3=s3, settings=stage.with_settings(heartbeat_s=60.0))
    assert stage.messages() == 0
