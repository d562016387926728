"""What becomes of a job on the instance: results, errors, interruptions, and who may still write.

The engine is scripted here (the real one has tests of its own, and the emulator runs both together); table, bucket,
queues and the webhook's socket are moto's and real.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from avskrift.asr.engine import Progress, TranscribeOptions
from avskrift.errors import Cancelled, NoAudioStream, WorkerCrashed
from avskrift.jobs.delivery import Outbox, WebhookSecrets
from avskrift.jobs.messages import send_job
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.outbox import PENDING_KEY
from avskrift.transcript import Segment, Transcript
from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender
from instance.agent import Agent
from instance.settings import AgentSettings, Identity
from instance.work import Services

CALLBACK_URL = "http://127.0.0.1:9/nobody"


class ScriptedEngine:
    """Does what the test says: returns a transcript, raises, or runs a function meanwhile."""

    def __init__(self, outcome: Exception | Callable[[threading.Event], None] | None = None) -> None:
        self.outcome = outcome
        self.heard: list[bytes] = []

    def transcribe(
        self, path: Path, options: TranscribeOptions, on_progress: Any = None, cancel: threading.Event | None = None
    ) -> Transcript:
        self.heard.append(path.read_bytes())
        on_progress(Progress(1.0, 2.0))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome:
            self.outcome(cancel)
        return Transcript("sv", 2.0, 1.5, "scripted", (Segment(0.0, 1.5, "Hej världen."),))


@pytest.fixture
def services(deployment: Any) -> Services:
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="webhooks", SecretString=json.dumps({"current": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}))
    settings = AgentSettings(
        deployment="test",
        region="eu-north-1",
        bucket=deployment.bucket,
        table="jobs",
        jobs_queue_url=deployment.jobs_queue_url,
        outbox_queue_url=deployment.outbox_queue_url,
        secret_id="webhooks",
        model="scripted",
        device="cpu",
        linger_s=0.0,
        lease_s=30.0,
        heartbeat_s=0.05,
        max_life_s=600.0,
        max_failures=2,
        max_duration_s=3_600.0,
        insecure_callbacks=True,
    )
    outbox = Outbox(
        deployment.table,
        WebhookSecrets(secrets, "webhooks"),
        WebhookSender(AddressRules(allow_loopback=True)),
        deployment.sqs,
        deployment.outbox_queue_url,
    )
    engine = ScriptedEngine()
    return Services(
        settings=settings,
        identity=Identity("i-1", "g4dn.xlarge", "spot", 1_700_000_000.0),
        table=deployment.table,
        s3=deployment.s3,
        sqs=deployment.sqs,
        outbox=outbox,
        engine_for=lambda _: engine,
        booted_at=1_700_000_030.0,
        retry_delay_s=0.0,
    )


def upload(deployment: Any, key: str = "uploads/a.mp3", body: bytes = b"sound") -> Job:
    registrar = deployment.registrar(default_callback_url=CALLBACK_URL, insecure_callbacks=True)
    return registrar.register(deployment.put(key, body), 1_700_000_000.0)


def run(services: Services, outcome: Any = None) -> ScriptedEngine:
    engine = ScriptedEngine(outcome)
    Agent(replace(services, engine_for=lambda _: engine)).run()
    return engine


def test_job_ends_with_results_record_and_webhook(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    engine = run(services)
    ended = deployment.table.get(job.job_id)
    assert engine.heard == [b"sound"]
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.COMPLETED, 1, 0)
    assert ended.result["words"] == 2
    assert set(ended.result["keys"]) == {"txt", "json", "srt", "vtt"}
    text = deployment.s3.get_object(Bucket=deployment.bucket, Key=ended.result["keys"]["txt"])["Body"].read().decode()
    assert "Hej världen." in text
    record = json.loads(
        deployment.s3.get_object(Bucket=deployment.bucket, Key=f"results/{job.job_id}/job.json")["Body"].read()
    )
    assert record["status"] == "completed"
    order = ["queued", "launched", "booted", "claimed", "downloaded", "model_ready", "transcribed", "stored"]
    assert set(order) <= set(ended.phases)
    assert deployment.messages(deployment.jobs_queue_url) == []
    (entry,) = deployment.table.indexed(PENDING_KEY)  # nobody listens there: λ deliver goes on
    assert (entry["type"], len(entry["attempts"])) == ("job.completed", 1)
    assert set(json.loads(entry["body"])["data"]["links"]) == {"txt", "json", "srt", "vtt"}


def test_one_agent_drains_the_queue(deployment: Any, services: Services) -> None:
    jobs = [upload(deployment, f"uploads/{number}.mp3") for number in range(3)]
    run(services)
    assert {deployment.table.get(job.job_id).status for job in jobs} == {JobStatus.COMPLETED}


def test_error_of_the_recording_ends_the_job_without_a_retry(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    run(services, NoAudioStream("There is no sound in this file: send its audio track."))
    ended = deployment.table.get(job.job_id)
    assert (ended.status, ended.error.code, ended.attempt) == (JobStatus.FAILED, "no_audio_stream", 1)
    assert deployment.messages(deployment.jobs_queue_url) == []


def test_recording_deleted_meanwhile_is_never_transcribed(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    deployment.s3.delete_object(Bucket=job.bucket, Key=job.key)  # leaves a delete marker
    engine = run(services)
    assert deployment.table.get(job.job_id).error.code == "object_gone"
    assert engine.heard == []


def test_overwritten_recording_is_transcribed_as_it_was(deployment: Any, services: Services) -> None:
    upload(deployment, body=b"first")
    deployment.put("uploads/a.mp3", b"second")
    assert run(services).heard == [b"first"]


def test_crash_costs_an_attempt_and_the_last_one_ends_the_job(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    run(services, WorkerCrashed("The worker died (signal 11)."))
    ended = deployment.table.get(job.job_id)
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.FAILED, 2, 2)
    assert ended.error.code == "attempts_exhausted"
    assert "signal 11" in ended.error.message
    assert deployment.messages(deployment.jobs_queue_url) == []


def test_interrupted_job_goes_back_without_counting_a_failure(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    agent = Agent(services)

    def notice(cancel: threading.Event) -> None:
        agent.stop()
        assert cancel.wait(5)
        raise Cancelled("stopped")

    agent._services = replace(services, engine_for=lambda _: ScriptedEngine(notice))
    agent.run()
    back = deployment.table.get(job.job_id)
    assert (back.status, back.attempt, back.failures) == (JobStatus.QUEUED, 1, 0)
    assert deployment.messages(deployment.jobs_queue_url) == [{"job_id": job.job_id}]


def test_any_fault_costs_the_attempt_and_never_the_agent(deployment: Any, services: Services) -> None:
    job = upload(deployment, "uploads/secret name.mp3")
    run(services, RecursionError("secret name"))
    ended = deployment.table.get(job.job_id)
    assert (ended.status, ended.failures) == (JobStatus.FAILED, 2)
    assert "RecursionError" in ended.error.message
    assert "secret name" not in ended.error.message


def test_attempt_that_stands_still_is_given_up(deployment: Any, services: Services) -> None:
    job = upload(deployment)

    def hang(cancel: threading.Event) -> None:
        assert cancel.wait(10), "nobody noticed"
        raise Cancelled("stopped")

    run(replace(services, stall_s=0.2), hang)
    ended = deployment.table.get(job.job_id)
    assert (ended.status, ended.failures, ended.error.code) == (JobStatus.FAILED, 2, "attempts_exhausted")


def test_end_of_the_machines_life_counts_against_the_job(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    agent = Agent(services)

    def life_ends(cancel: threading.Event) -> None:
        agent.stop(counts=True)
        assert cancel.wait(5)
        raise Cancelled("stopped")

    agent._services = replace(services, engine_for=lambda _: ScriptedEngine(life_ends))
    agent.run()
    back = deployment.table.get(job.job_id)
    assert (back.status, back.failures) == (JobStatus.QUEUED, 1)


def test_notice_during_the_download_hands_the_job_back(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    agent = Agent(services)

    class NoticedS3:
        def __getattr__(self, name: str) -> Any:
            return getattr(deployment.s3, name)

        def download_file(self, *arguments: Any, **options: Any) -> None:
            agent.stop()
            deployment.s3.download_file(*arguments, **options)

    engine = ScriptedEngine()
    agent._services = replace(services, s3=NoticedS3(), engine_for=lambda _: engine)
    agent.run()
    back = deployment.table.get(job.job_id)
    assert (back.status, back.failures, engine.heard) == (JobStatus.QUEUED, 0, [])


def test_record_that_cannot_be_written_holds_up_no_webhook(deployment: Any, services: Services) -> None:
    job = upload(deployment)

    class RefusingS3:
        def __getattr__(self, name: str) -> Any:
            return getattr(deployment.s3, name)

        def put_object(self, **request: Any) -> Any:
            if request["Key"].endswith("job.json"):
                raise ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "PutObject")
            return deployment.s3.put_object(**request)

    run(replace(services, s3=RefusingS3()))
    assert deployment.table.get(job.job_id).status is JobStatus.COMPLETED
    (entry,) = deployment.table.indexed(PENDING_KEY)
    assert len(entry["attempts"]) == 1
    assert deployment.messages(deployment.jobs_queue_url) == []


def test_record_holds_no_query_string_of_the_callback(deployment: Any, services: Services) -> None:
    registrar = deployment.registrar(default_callback_url=CALLBACK_URL + "?token=secret", insecure_callbacks=True)
    job = registrar.register(deployment.put("uploads/a.mp3"), 1_700_000_000.0)
    run(services)
    record = deployment.s3.get_object(Bucket=deployment.bucket, Key=f"results/{job.job_id}/job.json")["Body"].read()
    assert b"secret" not in record


def test_attempt_that_lost_its_job_stops_and_writes_nothing(deployment: Any, services: Services) -> None:
    job = upload(deployment)

    def taken_away(cancel: threading.Event) -> None:
        claimed = deployment.table.get(job.job_id)
        deployment.table.requeue(claimed, 1.0, failed=True)
        assert cancel.wait(5), "the heartbeat did not notice"
        raise Cancelled("stopped")

    run(services, taken_away)
    assert deployment.table.get(job.job_id).status is JobStatus.QUEUED
    assert "Contents" not in deployment.s3.list_objects_v2(Bucket=deployment.bucket, Prefix="results/")


def test_progress_and_phases_reach_the_row_while_running(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    seen: list[Job] = []

    def wait_for_beat(_: threading.Event) -> None:
        while not seen or seen[-1].progress is None:
            seen.append(deployment.table.get(job.job_id))

    run(services, wait_for_beat)
    assert seen[-1].progress.done_s == 1.0
    assert "downloaded" in seen[-1].phases


@pytest.mark.parametrize("body", ["not json", "[]", '{"job_id": 7}', '{"job_id": "nobody"}'])
def test_message_without_a_job_is_dropped(deployment: Any, services: Services, body: str) -> None:
    deployment.sqs.send_message(QueueUrl=deployment.jobs_queue_url, MessageBody=body)
    run(services)
    assert deployment.messages(deployment.jobs_queue_url) == []


def test_second_message_of_a_finished_job_changes_nothing(deployment: Any, services: Services) -> None:
    job = upload(deployment)
    run(services)
    before = deployment.table.get(job.job_id)
    send_job(deployment.sqs, deployment.jobs_queue_url, job.job_id)
    assert run(services).heard == []
    assert deployment.table.get(job.job_id) == before
