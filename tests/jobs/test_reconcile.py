"""Uploads without a row get one, whatever was lost; nothing else does."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from avskrift.jobs import reconcile
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.reconcile import CURSOR_PK, MAX_AGE_S, MIN_AGE_S, Reconciler, ReconcileReport
from tests.jobs.reconcile_world import (
    HOUR_S,
    aws_error,
    fail,
    put_lost,
    registered_ids,
    run,
)

HOSTILE_KEYS = [
    "uploads/en intervju + två.mp3",
    "uploads/åäö/\"quotes\" 'and' more.wav",
    "uploads/line\nbreak.mp3",
    "uploads/../../etc/passwd",
    "uploads/%2B%20already-encoded.mp3",
]


def test_upload_whose_event_got_lost_becomes_the_job_its_event_would_have_made(
    deployment: Any, reconciler: Reconciler
) -> None:
    upload = deployment.put("uploads/a.mp3", **{"avskrift-language": "sv"})

    report = run(reconciler)

    (job,) = report.registered
    assert deployment.messages(deployment.jobs_queue_url) == [{"job_id": job.job_id}]
    assert report.queued_ids == [job.job_id]
    by_event = deployment.registrar().register(upload, job.status_at)
    assert by_event == job
    assert job.options.language == "sv"


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_any_key_is_found_again_as_it_is(deployment: Any, reconciler: Reconciler, key: str) -> None:
    (job_id,) = put_lost(deployment, key)

    assert registered_ids(run(reconciler)) == [job_id]
    assert deployment.table.get(job_id).key == key
    assert registered_ids(run(reconciler)) == []


def test_hostile_keys_are_no_obstacle_to_a_cursor(deployment: Any, reconciler: Reconciler) -> None:
    job_ids = put_lost(deployment, *HOSTILE_KEYS)
    paced = replace(reconciler, page_size=1, pages_per_run=1)

    found = [job_id for _ in HOSTILE_KEYS for job_id in registered_ids(run(paced))]

    assert sorted(found) == sorted(job_ids)


@pytest.mark.parametrize("age_s", [0.0, MIN_AGE_S - 30, MAX_AGE_S + 30])
def test_uploads_that_still_have_an_event_or_had_many_runs_are_left_alone(
    deployment: Any, reconciler: Reconciler, age_s: float
) -> None:
    put_lost(deployment, "uploads/a.mp3")

    assert run(reconciler, age_s) == ReconcileReport()


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("uploads/api/0123456789abcdef/interview.mp3", b"sound"),
        ("uploads/folder/", b""),
        ("results/x/transcript.txt", b"text"),
        ("work/x/checkpoint.jsonl", b"{}"),
    ],
)
def test_what_is_no_upload_of_its_own_gets_no_row(
    deployment: Any, reconciler: Reconciler, key: str, body: bytes
) -> None:
    deployment.put(key, body)

    assert run(reconciler) == ReconcileReport()


def test_only_the_current_version_of_a_key_becomes_a_job(deployment: Any, reconciler: Reconciler) -> None:
    _, second = put_lost(deployment, "uploads/a.mp3", "uploads/a.mp3")

    assert registered_ids(run(reconciler)) == [second]


def test_a_deleted_upload_gets_no_row(deployment: Any, reconciler: Reconciler) -> None:
    put_lost(deployment, "uploads/a.mp3")
    deployment.s3.delete_object(Bucket=deployment.bucket, Key="uploads/a.mp3")

    assert run(reconciler) == ReconcileReport()


def test_upload_that_has_a_row_is_looked_at_and_left_alone(deployment: Any, reconciler: Reconciler) -> None:
    job = deployment.registrar().register(deployment.put("uploads/a.mp3"), time.time())
    deployment.messages(deployment.jobs_queue_url)

    report = run(reconciler)

    assert report == ReconcileReport(looked=1)
    assert deployment.messages(deployment.jobs_queue_url) == []
    assert deployment.table.get(job.job_id) == job


def test_more_uploads_than_one_question_to_the_table_may_hold(
    deployment: Any, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_BATCH", 2)
    known = [deployment.registrar().register(deployment.put(f"uploads/{n}.mp3"), 0.0).job_id for n in range(5)]
    lost = put_lost(deployment, "uploads/x.mp3", "uploads/y.mp3")

    report = run(reconciler)

    assert registered_ids(report) == lost
    assert report.looked == len(known) + len(lost)


def test_bad_input_ends_the_job_with_its_webhook_as_ever(deployment: Any, reconciler: Reconciler) -> None:
    deployment.put("uploads/a.mp3", **{"avskrift-colour": "blue"})

    report = run(reconciler)

    (job,) = report.registered
    assert (job.status, job.error.code) == (JobStatus.FAILED, "bad_options")
    assert report.queued_ids == []
    assert len(deployment.messages(deployment.outbox_queue_url)) == 1


def test_each_run_goes_on_where_the_last_one_stopped_and_starts_over_at_the_end(
    deployment: Any, reconciler: Reconciler
) -> None:
    job_ids = put_lost(deployment, *(f"uploads/{letter}.mp3" for letter in "bcdef"))
    paced = replace(reconciler, page_size=1, pages_per_run=2)

    assert registered_ids(run(paced)) == job_ids[:2]
    assert registered_ids(run(paced)) == job_ids[2:4]
    assert registered_ids(run(paced)) == job_ids[4:]
    earlier = put_lost(deployment, "uploads/a.mp3")
    assert registered_ids(run(paced)) == earlier


def test_a_listing_that_fails_is_counted_and_goes_on_from_the_same_place(
    deployment: Any, reconciler: Reconciler
) -> None:
    first, second = put_lost(deployment, "uploads/a.mp3", "uploads/b.mp3")
    paced = replace(reconciler, page_size=1, pages_per_run=1)
    assert registered_ids(run(paced)) == [first]
    fail(deployment.s3, "ListObjectVersions", aws_error("InternalError"))

    failed = run(paced)

    assert [fault.reason for fault in failed.faults] == ["InternalError"]
    assert registered_ids(run(paced)) == [second]


@pytest.mark.parametrize(
    "error",
    [aws_error("ExpiredToken"), ReadTimeoutError(endpoint_url="https://aws")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("s3", "ListObjectVersions"),
        ("s3", "HeadObject"),
        ("dynamodb", "GetItem"),
        ("dynamodb", "BatchGetItem"),
        ("dynamodb", "PutItem"),
        ("sqs", "SendMessage"),
    ],
)
def test_whatever_call_fails_the_next_runs_find_every_upload(
    deployment: Any, reconciler: Reconciler, service: str, operation: str, error: Exception
) -> None:
    job_ids = put_lost(deployment, "uploads/a.mp3", "uploads/b.mp3", "uploads/c.mp3")
    paced = replace(reconciler, page_size=2, pages_per_run=1)
    fail(getattr(deployment, service), operation, error, times=3)

    reports = [run(paced) for _ in range(8)]

    assert sum(len(report.faults) for report in reports) == 3
    assert sorted(job.job_id for job in deployment.table.with_status(JobStatus.QUEUED)) == sorted(job_ids)


def test_a_marker_that_s3_refuses_does_not_end_every_run(deployment: Any, reconciler: Reconciler) -> None:
    put_lost(deployment, "uploads/a.mp3")
    deployment.table.put_values({"pk": CURSOR_PK, "key_marker": "uploads/zzz", "version_id_marker": "nonsense"})
    fail(deployment.s3, "ListObjectVersions", aws_error("InvalidArgument"))

    assert len(run(reconciler).faults) == 1
    assert len(run(reconciler).registered) == 1


def test_a_cursor_edited_into_nonsense_starts_over(deployment: Any, reconciler: Reconciler) -> None:
    put_lost(deployment, "uploads/a.mp3")
    deployment.table.put_values({"pk": CURSOR_PK, "key_marker": 7, "version_id_marker": {"a": 1}})

    assert len(run(reconciler).registered) == 1


def test_a_fault_on_one_upload_stops_no_other_and_names_no_key(deployment: Any, reconciler: Reconciler) -> None:
    first, second = put_lost(deployment, "uploads/a.mp3", "uploads/b.mp3")
    fail(deployment.s3, "HeadObject", aws_error("SlowDown"))

    report = run(reconciler)

    assert registered_ids(report) == [second]
    assert [(fault.job_id, fault.reason) for fault in report.faults] == [(first, "SlowDown")]
    assert registered_ids(run(reconciler)) == [first]


def test_a_fault_nobody_thought_of_stops_no_other(
    deployment: Any, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put_lost(deployment, "uploads/a.mp3", "uploads/b.mp3")
    create = deployment.table.create

    def create_but_one(job: Job, *rest: Any) -> bool:
        if job.job_id == first:
            raise ZeroDivisionError(job.key)
        return bool(create(job, *rest))

    monkeypatch.setattr(deployment.table, "create", create_but_one)

    report = run(reconciler)

    assert registered_ids(report) == [second]
    (fault,) = report.faults
    assert fault.reason.startswith("ZeroDivisionError at test_reconcile.py:")
    assert "uploads" not in fault.reason


def test_without_time_nothing_more_is_begun_and_the_page_comes_again(deployment: Any, reconciler: Reconciler) -> None:
    job_ids = put_lost(deployment, "uploads/a.mp3", "uploads/b.mp3")
    seconds_left = iter([60.0, 1.0])

    assert registered_ids(reconciler.run(time.time() + HOUR_S, lambda: next(seconds_left))) == job_ids[:1]
    assert registered_ids(run(reconciler)) == job_ids[1:]


def test_cursor_is_written_only_when_it_moves(deployment: Any, reconciler: Reconciler) -> None:
    put_lost(deployment, "uploads/a.mp3")
    run(reconciler)

    assert deployment.table.get_values(CURSOR_PK) is None
