"""What becomes of a job on the instance: results, errors, interruptions, and who may still write."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from avskrift.errors import NoAudioStream, WorkerCrashed
from avskrift.jobs.messages import send_job
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.outbox import PENDING_KEY
from instance.work import HandBack
from tests.instance.agent_stage import FaultyClient, Stage, Work, refusal


def test_job_ends_with_results_record_and_webhook(stage: Stage) -> None:
    job = stage.upload()
    engine = stage.run()
    ended = stage.job(job)
    assert engine.heard == [b"sound"]
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.COMPLETED, 1, 0)
    assert ended.result["words"] == 2
    assert set(ended.result["keys"]) == {"txt", "json", "srt", "vtt"}
    assert "Hej världen." in stage.read(ended.result["keys"]["txt"])
    record = json.loads(stage.read(f"results/{job.job_id}/job.json"))
    assert (record["status"], record["audit"]) == ("completed", {"retried": 1})
    order = ["queued", "launched", "booted", "claimed", "downloaded", "model_ready", "transcribed", "stored"]
    assert set(order) <= set(ended.phases)
    assert stage.messages() == 0
    (entry,) = stage.table.indexed(PENDING_KEY)  # nobody listens there: λ deliver goes on
    assert (entry["type"], len(entry["attempts"])) == ("job.completed", 1)
    assert set(json.loads(entry["body"])["data"]["links"]) == {"txt", "json", "srt", "vtt"}


def test_one_agent_drains_the_queue(stage: Stage) -> None:
    jobs = [stage.upload(f"uploads/{number}.mp3") for number in range(3)]
    stage.run()
    assert {stage.job(job).status for job in jobs} == {JobStatus.COMPLETED}


def test_error_of_the_recording_ends_the_job_without_a_retry(stage: Stage) -> None:
    job = stage.upload()
    stage.run(NoAudioStream("There is no sound in this file: send its audio track."))
    ended = stage.job(job)
    assert (ended.status, ended.error.code, ended.attempt) == (JobStatus.FAILED, "no_audio_stream", 1)
    assert stage.waiting() == []


def test_recording_deleted_meanwhile_is_never_transcribed(stage: Stage) -> None:
    job = stage.upload()
    stage.deployment.s3.delete_object(Bucket=job.bucket, Key=job.key)  # leaves a delete marker
    engine = stage.run()
    assert stage.job(job).error.code == "object_gone"
    assert engine.heard == []


def test_overwritten_recording_is_transcribed_as_it_was(stage: Stage) -> None:
    stage.upload(body=b"first")
    stage.deployment.put("uploads/a.mp3", b"second")
    assert stage.run().heard == [b"first"]


def test_crash_costs_an_attempt_and_the_last_one_ends_the_job(stage: Stage) -> None:
    job = stage.upload()
    stage.run(WorkerCrashed("The worker died (signal 11)."))
    ended = stage.job(job)
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.FAILED, 2, 2)
    assert ended.error.code == "attempts_exhausted"
    assert "signal 11" in ended.error.message
    assert stage.waiting() == []


@pytest.mark.parametrize(
    ("reason", "failures", "interruptions"),
    [(HandBack.STOPPED, 0, 0), (HandBack.INTERRUPTED, 0, 1), (HandBack.OVERDUE, 1, 0)],
    ids=lambda value: value.value if isinstance(value, HandBack) else "",
)
def test_job_that_is_handed_back_counts_what_it_was_handed_back_for(
    stage: Stage, reason: HandBack, failures: int, interruptions: int
) -> None:
    job = stage.upload()

    def stop(work: Work) -> None:
        agent.stop(reason)
        work.await_cancel()

    agent = stage.agent(stop)
    agent.run()
    back = stage.job(job)
    assert (back.status, back.attempt, back.instance_id) == (JobStatus.QUEUED, 1, "")
    assert (back.failures, back.interruptions) == (failures, interruptions)
    assert stage.waiting() == [{"job_id": job.job_id}]


def test_worker_that_dies_of_being_stopped_costs_the_job_nothing(stage: Stage) -> None:
    job = stage.upload()

    def stop(work: Work) -> None:
        agent.stop()
        raise WorkerCrashed("The worker died (signal 15).")

    agent = stage.agent(stop)
    agent.run()
    assert (stage.job(job).status, stage.job(job).failures) == (JobStatus.QUEUED, 0)


def test_any_fault_costs_the_attempt_and_never_the_agent(stage: Stage) -> None:
    job = stage.upload("uploads/secret name.mp3")
    stage.run(RecursionError("secret name"))
    ended = stage.job(job)
    assert (ended.status, ended.failures) == (JobStatus.FAILED, 2)
    assert "RecursionError" in ended.error.message
    assert "secret name" not in ended.error.message


def test_attempt_that_stands_still_is_given_up(stage: Stage) -> None:
    job = stage.upload()
    stage.run(Work.await_cancel, stall_s=0.2)
    ended = stage.job(job)
    assert (ended.status, ended.failures, ended.error.code) == (JobStatus.FAILED, 2, "attempts_exhausted")


def test_notice_during_the_download_hands_the_job_back(stage: Stage) -> None:
    job = stage.upload()
    noticing = FaultyClient(stage.deployment.s3, "download_file", lambda *_, **__: agent.stop())
    agent = stage.agent(s3=noticing)
    agent.run()
    back = stage.job(job)
    assert (back.status, back.failures, stage.engine.heard) == (JobStatus.QUEUED, 0, [])


def test_record_that_cannot_be_written_holds_up_no_webhook(stage: Stage) -> None:
    job = stage.upload()

    def refuse_the_record(**request: Any) -> None:
        if request["Key"].endswith("job.json"):
            raise refusal("SlowDown", 503)

    stage.run(s3=FaultyClient(stage.deployment.s3, "put_object", refuse_the_record))
    assert stage.job(job).status is JobStatus.COMPLETED
    (entry,) = stage.table.indexed(PENDING_KEY)
    assert len(entry["attempts"]) == 1
    assert stage.messages() == 0


def test_record_holds_no_query_string_of_the_callback(stage: Stage) -> None:
    job = stage.upload(default_callback_url="http://127.0.0.1:9/nobody?token=secret")
    stage.run()
    assert "secret" not in stage.read(f"results/{job.job_id}/job.json")


def test_attempt_that_lost_its_job_to_another_stops_and_writes_nothing(stage: Stage) -> None:
    job = stage.upload()

    def taken_over(work: Work) -> None:
        stage.table.requeue(stage.job(job), 1.0, failed=True)
        stage.table.claim(job.job_id, "i-2", 2.0)
        work.await_cancel()

    stage.run(taken_over)
    row = stage.job(job)
    assert (row.status, row.attempt, row.instance_id) == (JobStatus.RUNNING, 2, "i-2")
    assert stage.keys("results/") == []
    assert stage.messages() == 0, "the other one has a message of its own"


def test_job_taken_away_loses_no_message(stage: Stage) -> None:
    """λ capacity that dies between the row and the message leaves the one there is."""
    job = stage.upload()

    def taken_away(work: Work) -> None:
        stage.table.requeue(stage.job(job), 1.0, failed=True)
        work.await_cancel()

    engine = stage.run(taken_away, None)
    row = stage.job(job)
    assert (row.status, row.attempt, row.failures, len(engine.heard)) == (JobStatus.COMPLETED, 2, 1, 2)
    assert stage.messages() == 0


def test_progress_and_phases_reach_the_row_while_running(stage: Stage) -> None:
    job = stage.upload()
    seen: list[Job] = []

    def wait_for_beat(work: Work) -> None:
        while not seen or seen[-1].progress is None:
            seen.append(stage.job(job))

    stage.run(wait_for_beat)
    assert seen[-1].progress.done_s == 1.0
    assert "downloaded" in seen[-1].phases


@pytest.mark.parametrize("body", ["not json", "[]", '{"job_id": 7}', '{"job_id": ""}'])
def test_message_that_is_none_of_ours_is_deleted_with_one_error_that_names_it(
    stage: Stage, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = stage.deployment.sqs.send_message(QueueUrl=stage.deployment.jobs_queue_url, MessageBody=body)
    stage.run()
    assert stage.messages() == 0
    (told,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert told.levelno == logging.ERROR
    assert sent["MessageId"] in told.getMessage()
    assert body not in told.getMessage()


def test_message_of_a_job_that_nobody_knows_is_dropped(stage: Stage) -> None:
    send_job(stage.deployment.sqs, stage.deployment.jobs_queue_url, "nobody")
    stage.run()
    assert stage.messages() == 0


def test_second_message_of_a_finished_job_changes_nothing(stage: Stage) -> None:
    job = stage.upload()
    stage.run()
    before = stage.job(job)
    send_job(stage.deployment.sqs, stage.deployment.jobs_queue_url, job.job_id)
    assert stage.run().heard == [b"sound"]
    assert stage.job(job) == before
    assert stage.messages() == 0
