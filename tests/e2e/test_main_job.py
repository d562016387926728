"""Upload a recording, receive a signed webhook with its transcript: the deployed stack, real Lambdas, real agents."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import requests

from avskrift.jobs.model import JobStatus
from avskrift.local.ec2.faults import Fault

pytestmark = [pytest.mark.cloud, pytest.mark.speech, pytest.mark.xdist_group("cloud")]

HOSTILE_KEYS = [
    "uploads/{}/en intervju + två.ogg",
    "uploads/{}/\"quotes\" & 'more' å ä ö.ogg",
    "uploads/{}/line\nbreak.ogg",
    "uploads/{}/../../etc/passwd",
    "uploads/{}/%2B%20already%20encoded.ogg",
]


def words_of(text: str) -> set[str]:
    return {word.strip(".,!?").lower() for word in text.split()}


def test_upload_brings_a_signed_webhook_and_the_instance_ends(
    chain: Any, speech: bytes, spoken: str, unique: str
) -> None:
    job_id = chain.put(f"uploads/{unique}/speech.ogg", speech, language="en", metadata=quote('{"desk": "kultur"}'))
    job, reception = chain.await_end(job_id)
    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETED, 1, 0)
    assert reception.type == "job.completed"
    data = reception.event["data"]
    assert data["metadata"] == {"desk": "kultur"}
    assert data["result"]["language"] == "en"
    common = words_of(chain.text_of(job)) & words_of(spoken)
    assert len(common) >= 0.8 * len(words_of(spoken))
    linked = requests.get(data["links"]["srt"], timeout=10)
    assert "-->" in linked.text
    record = json.loads(chain.s3.get_object(Bucket=chain.bucket, Key=f"results/{job_id}/job.json")["Body"].read())
    assert (record["job_id"], record["cost"]["market"]) == (job_id, "spot")
    phases = sorted(job.phases, key=lambda name: job.phases[name])
    assert phases.index("queued") < phases.index("claimed") < phases.index("transcribed") < phases.index("stored")
    chain.await_empty()
    check_bill(chain, job_id)
    check_log(chain, job_id)


def check_bill(chain: Any, job_id: str) -> None:
    """It was the only job of its instance: it pays its whole life, at the price that capacity was told at launch."""
    cost = chain.client.job(job_id).cost
    assert cost["price_from"] == "spot price at launch"
    assert 0.1 < cost["usd_per_hour"] < 0.4
    assert cost["boot_s"] > 0
    assert cost["linger_s"] > 0
    assert cost["billed_s"] >= 60
    assert cost["billed_s"] == pytest.approx(cost["work_s"] + cost["boot_s"] + cost["linger_s"], abs=0.01)


def check_log(chain: Any, job_id: str) -> None:
    """The agent told CloudWatch what it did with the job, in words and in numbers."""
    events = chain.cloud.client("logs").filter_log_events(logGroupName=chain.cloud.outputs["AgentLogGroup"])["events"]
    lines = [line for line in (json.loads(event["message"]) for event in events) if line.get("job_id") == job_id]
    assert {"completed"} <= {line.get("status") for line in lines}
    numbers = {name for line in lines if "_aws" in line for name in line}
    assert {"JobsCompleted", "JobCost", "Audio", "WebhookAttempts", "Boot"} <= numbers


@pytest.mark.parametrize("pattern", HOSTILE_KEYS)
def test_key_comes_through_unharmed(chain: Any, media: Any, unique: str, pattern: str) -> None:
    key = pattern.format(unique)
    job, reception = chain.await_end(chain.put(key, media.silence(1)))
    assert job.status is JobStatus.COMPLETED
    assert job.key == key
    assert reception.event["data"]["key"] == key


def test_silence_completes_with_an_empty_transcript(chain: Any, media: Any, unique: str) -> None:
    job, reception = chain.await_end(chain.put(f"uploads/{unique}/silence.wav", media.silence(20)))
    assert (job.status, job.result["speech_s"], job.result["words"]) == (JobStatus.COMPLETED, 0, 0)
    assert chain.text_of(job).strip() == ""
    assert reception.type == "job.completed"


def test_truncated_recording_is_transcribed_as_far_as_it_goes(
    chain: Any, media: Any, speech: bytes, unique: str
) -> None:
    whole = media.as_mp3(speech)
    job, _ = chain.await_end(chain.put(f"uploads/{unique}/cut.mp3", whole[: len(whole) // 2 + 7], language="en"))
    assert job.status is JobStatus.COMPLETED
    assert job.result["words"] > 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("text.mp3", "unsupported_media"),
        ("empty.mp3", "unsupported_media"),
        ("silent.mp4", "no_audio_stream"),
        ("unknown-option.ogg", "bad_options"),
        ("undecodable-option.ogg", "bad_options"),
        ("absent-model.ogg", "bad_options"),
    ],
)
def test_bad_input_ends_at_once_with_a_webhook_that_says_why(
    chain: Any, media: Any, speech: bytes, unique: str, name: str, code: str
) -> None:
    bodies = {"text.mp3": b"Dear sir, this is no sound.\n" * 40, "empty.mp3": b"", "silent.mp4": media.silent_video()}
    options = {
        "unknown-option.ogg": {"colour": "blue"},
        "undecodable-option.ogg": {"prompt": "%FF%FE"},
        "absent-model.ogg": {"model": "no-such-model"},
    }
    job_id = chain.put(f"uploads/{unique}/{name}", bodies.get(name, speech), **options.get(name, {}))
    job, reception = chain.await_end(job_id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, code)
    assert reception.type == "job.failed"
    assert reception.event["data"]["error"] == {"code": code, "message": job.error.message}
    assert len(job.error.message.split()) > 4, "a sentence, not a code"
    assert job.attempt <= 1, "never retried"


def test_recording_deleted_before_an_agent_gets_it_ends_as_object_gone(chain: Any, speech: bytes, unique: str) -> None:
    chain.await_empty()
    for market in ("spot", "on-demand"):  # hold the agent back until the recording is gone
        chain.cloud.inject_fault(Fault("InsufficientInstanceCapacity", market=market, times=1_000))
    key = f"uploads/{unique}/deleted.ogg"
    job_id = chain.put(key, speech)
    chain.await_job(job_id, lambda job: job.status is JobStatus.QUEUED, "the registration")
    chain.s3.delete_object(Bucket=chain.bucket, Key=key)
    chain.cloud.clear_faults()
    chain.run_capacity()
    job, reception = chain.await_end(job_id)
    assert (job.status, job.error.code, job.attempt) == (JobStatus.FAILED, "object_gone", 1)
    assert reception.type == "job.failed"


def test_duplicate_event_makes_one_job_one_instance_and_one_webhook(chain: Any, media: Any, unique: str) -> None:
    chain.await_empty()
    before = len(chain.cloud.instances())
    key, body = f"uploads/{unique}/twice.wav", media.silence(1)
    job_id = chain.put(key, body)
    version_id = chain.s3.head_object(Bucket=chain.bucket, Key=key)["VersionId"]
    for _ in range(3):
        chain.send_event(key, version_id, len(body))
    job, _ = chain.await_end(job_id)
    chain.await_empty()
    assert job.attempt == 1
    assert len(chain.cloud.instances()) == before + 1
    assert len([one for one in chain.receiver.receptions if one.job_id == job_id]) == 1


def test_console_folder_makes_no_job(chain: Any, media: Any, unique: str) -> None:
    folder_id = chain.put(f"uploads/{unique}/", b"")
    chain.await_end(chain.put(f"uploads/{unique}/after.wav", media.silence(1)))
    assert chain.client.find(folder_id) is None


def test_webhook_that_fails_is_sent_again_with_the_same_id(chain: Any, media: Any, unique: str) -> None:
    chain.await_empty()
    chain.receiver.answer_next([500])
    job, first = chain.await_end(chain.put(f"uploads/{unique}/again.wav", media.silence(1)))
    second = chain.receiver.wait_for(lambda one: one.job_id == job.job_id and one.attempts == 2, 60)
    assert second.verified
    assert (second.webhook_id, second.body) == (first.webhook_id, first.body)
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    delivered = chain.await_job(job.job_id, lambda one: "delivered" in one.phases, "the delivery")
    assert delivered.status is JobStatus.COMPLETED
