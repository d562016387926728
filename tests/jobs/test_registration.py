"""An upload becomes exactly one job, whatever the event looks like."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from avskrift.errors import BadOptions
from avskrift.jobs.events import MalformedEvent, Upload, parse_upload
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import JobStatus
from avskrift.jobs.options import OptionRules, options_from_metadata, parse_options

NOW = 1_700_000_000.0
RULES = OptionRules(formats=("txt", "json"), default_language="sv", allowed_callback_hosts=("ok.example",))
HOSTILE_KEYS = [
    "uploads/en intervju + två.mp3",
    "uploads/åäö/\"quotes\" 'and' more.wav",
    "uploads/line\nbreak.mp3",
    "uploads/../../etc/passwd",
    "uploads/%2B%20already-encoded.mp3",
]


def event_body(key: str, **changes: Any) -> str:
    item = {"key": key, "size": 5, "version-id": "v1", **changes}
    return json.dumps({"detail": {"bucket": {"name": "recordings"}, "object": item}})


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_event_keys_are_taken_as_they_come(key: str) -> None:
    assert parse_upload(event_body(key)) == Upload("recordings", key, "v1", 5)


def test_event_without_version_id_is_read() -> None:
    body = json.dumps({"detail": {"bucket": {"name": "b"}, "object": {"key": "uploads/x", "size": 1}}})
    assert parse_upload(body).version_id == ""


@pytest.mark.parametrize(
    "body", ["", "[]", "null", '{"detail": 3}', '{"detail": {"bucket": {}}}', event_body("k", size="x")]
)
def test_message_that_is_no_event_is_refused(body: str) -> None:
    with pytest.raises(MalformedEvent):
        parse_upload(body)


def test_job_id_is_stable_and_distinct_by_version() -> None:
    first = job_id_for("b", "uploads/a.mp3", "v1")
    assert first == job_id_for("b", "uploads/a.mp3", "v1")
    assert first != job_id_for("b", "uploads/a.mp3", "v2")
    assert len(first) == 26
    assert first == first.lower()


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_upload_is_registered_under_any_key(deployment: Any, key: str) -> None:
    job = deployment.registrar().register(deployment.put(key), NOW)
    stored = deployment.table.get(job.job_id)
    assert (stored.key, stored.status, stored.size_bytes) == (key, JobStatus.QUEUED, 5)
    assert deployment.messages(deployment.jobs_queue_url) == [{"job_id": job.job_id}]


def test_duplicate_event_makes_one_job(deployment: Any) -> None:
    upload = deployment.put("uploads/a.mp3")
    jobs = [deployment.registrar().register(upload, NOW + second) for second in range(3)]
    assert len({job.job_id for job in jobs}) == 1
    assert [job.job_id for job in deployment.table.with_status(JobStatus.QUEUED)] == [jobs[0].job_id]
    assert deployment.table.get(jobs[0].job_id).status_at == NOW


def test_duplicate_event_for_a_running_job_sends_no_message(deployment: Any) -> None:
    upload = deployment.put("uploads/a.mp3")
    job = deployment.registrar().register(upload, NOW)
    deployment.messages(deployment.jobs_queue_url)
    deployment.table.claim(job.job_id, "i-1", NOW)
    deployment.registrar().register(upload, NOW + 1)
    assert deployment.messages(deployment.jobs_queue_url) == []


def test_console_folder_makes_no_job(deployment: Any) -> None:
    assert deployment.registrar().register(deployment.put("uploads/folder/", b""), NOW) is None


def test_object_outside_uploads_makes_no_job(deployment: Any) -> None:
    assert deployment.registrar().register(deployment.put("results/x/transcript.txt"), NOW) is None


def test_empty_file_fails_at_once_without_an_instance(deployment: Any) -> None:
    job = deployment.registrar().register(deployment.put("uploads/empty.mp3", b""), NOW)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "unsupported_media")
    assert deployment.messages(deployment.jobs_queue_url) == []
    assert len(deployment.messages(deployment.outbox_queue_url)) == 1


def test_file_over_the_limit_fails_with_the_remedy(deployment: Any) -> None:
    job = deployment.registrar().register(deployment.put("uploads/big.wav", b"x" * 1_000_001), NOW)
    assert job.error.code == "too_large"
    assert "1,000,001" in job.error.message


def test_object_deleted_before_registration_ends_as_object_gone(deployment: Any) -> None:
    upload = deployment.put("uploads/a.mp3")
    deployment.s3.delete_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version_id)
    job = deployment.registrar().register(upload, NOW)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "object_gone")


def test_unknown_option_fails_the_job_with_one_webhook(deployment: Any) -> None:
    upload = deployment.put("uploads/a.mp3", **{"avskrift-colour": "blue"})
    for _ in range(2):
        job = deployment.registrar().register(upload, NOW)
    assert job.error.code == "bad_options"
    assert "colour" in job.error.message
    outbox_ids = {message["outbox_id"] for message in deployment.messages(deployment.outbox_queue_url)}
    assert len(outbox_ids) == 1
    assert deployment.table.outbox_entry(outbox_ids.pop()).type == "job.failed"


@pytest.mark.parametrize(
    ("kept_days", "ahead", "status"),
    [
        (30, timedelta(days=29), JobStatus.QUEUED),
        (30, timedelta(days=29, hours=13), JobStatus.FAILED),
        (1, timedelta(hours=11), JobStatus.QUEUED),
        (1, timedelta(hours=13), JobStatus.FAILED),
    ],
    ids=str,
)
def test_deadline_beyond_the_life_of_its_recording_is_refused(
    deployment: Any, kept_days: int, ahead: timedelta, status: JobStatus
) -> None:
    """The recording would expire while the job waits for spot: counted from its upload, whenever it is registered."""
    deadline = (datetime.now(UTC) + ahead).isoformat()
    upload = deployment.put("uploads/a.mp3", **{"avskrift-deadline": quote(deadline)})
    registrar = deployment.registrar()
    settings = replace(registrar.settings, uploads_expire_days=kept_days)
    job = replace(registrar, settings=settings).register(upload, time.time() + 43_200)
    assert job.status is status
    if job.error:
        assert (job.error.code, f"kept for {kept_days} days" in job.error.message) == ("bad_options", True)


def test_options_are_read_from_percent_encoded_metadata() -> None:
    metadata = {
        "avskrift-language": "en",
        "avskrift-prompt": quote("Riksdagens protokoll, åäö"),
        "avskrift-formats": "json,txt",
        "avskrift-words": "false",
        "avskrift-metadata": quote(json.dumps({"desk": "kultur"})),
        "somebody-elses": "%FF",
    }
    options = options_from_metadata(metadata, RULES)
    assert (options.language, options.prompt, options.formats) == ("en", "Riksdagens protokoll, åäö", ("json", "txt"))
    assert (options.words, options.metadata) == (False, {"desk": "kultur"})


def test_absent_options_take_the_deployments_defaults() -> None:
    assert options_from_metadata({}, RULES).language == "sv"
    assert options_from_metadata({"avskrift-language": "auto"}, RULES).language is None


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"avskrift-language": "%FF%FE"}, "percent-encoded"),
        ({"avskrift-language": "klingon"}, "klingon"),
        ({"avskrift-formats": "txt,docx2"}, "docx2"),
        ({"avskrift-words": "maybe"}, "words"),
        ({"avskrift-style": "poetic"}, "style"),
        ({"avskrift-channels": "left"}, "channels"),
        ({"avskrift-model": "../../etc"}, "model"),
        ({"avskrift-model": "somebody/their-model"}, "model"),
        ({"avskrift-deadline": "tomorrow"}, "deadline"),
        ({"avskrift-deadline": "2026-11-21T06:00:00"}, "offset"),
        ({"avskrift-metadata": "{"}, "JSON"),
        ({"avskrift-callback-url": "https://evil.example/x"}, "evil.example"),
        ({"avskrift-callback-url": "http://ok.example/x"}, "https"),
        ({"avskrift-callback-url": "https://[::1"}, "URL"),
        ({"avskrift-callback-url": "https://evil.example\\@ok.example/x"}, "backslash"),
        ({"avskrift-callback-url": "https://ok.example@evil.example/x"}, "password"),
        ({"avskrift-callback-url": "https://ok.example:22/x"}, "22"),
        ({"avskrift-callback-url": "https://ok.example%0d%0aHost:x/"}, "control"),
        ({"avskrift-callback-url": "//ok.example/x"}, "https"),
        ({"avskrift-metadata": "[" * 1_700}, "JSON"),
        ({"avskrift-metadata": '{"a": "\\ud800"}'}, "surrogate"),
        ({"avskrift-metadata": '{"": "x"}'}, "name"),
        ({"avskrift-prompt": "=?UTF-8?B?w6XDpMO2?="}, "ASCII"),
        ({"avskrift-prompt": "x" * 1_800}, "1800"),
    ],
)
def test_option_that_cannot_be_honoured_is_refused_with_a_sentence(metadata: dict[str, str], word: str) -> None:
    with pytest.raises(BadOptions, match=word):
        options_from_metadata(metadata, RULES)


def test_callback_of_an_allowed_host_is_taken() -> None:
    assert parse_options({"callback_url": "https://ok.example/x"}, RULES).callback_url == "https://ok.example/x"


def test_every_default_format_is_one_the_registry_knows() -> None:
    from avskrift.formats import FORMATS
    from avskrift.jobs.options import DEFAULT_FORMATS

    assert set(DEFAULT_FORMATS) <= set(FORMATS)
