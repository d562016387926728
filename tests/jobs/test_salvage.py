"""Rows edited by hand into nonsense: each ends visibly, and stops nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.items import to_item
from avskrift.jobs.model import Job, JobError, JobStatus, MalformedRow
from avskrift.jobs.outbox import PENDING_KEY, outbox_entry_for
from avskrift.jobs.salvage import end_malformed, has_ended
from avskrift.jobs.table import failed_job, job_pk, status_key

NOW = 1_700_000_100.0
NONSENSE = {
    "status": "banana",
    "attempt": "one",
    "failures": -1,
    "beat": [1],
    "size_bytes": "big",
    "status_at": "yesterday",
    "options": {"language": 7, "callback_url": "https://receiver.example/hook"},
    "phases": {"queued": 1e30},
    "progress": {"done_s": "half"},
    "launches": "none",
    "key": 7,
    "error": "bad",
}


def edit(deployment: Any, job: Job, **changes: Any) -> dict[str, Any]:
    """A row as somebody's hand left it, in the index as before (unless its index key was what they edited)."""
    deployment.table.create(job)
    values = {**deployment.table.job_values(job.job_id), **changes}
    deployment.dynamodb.put_item(TableName="jobs", Item=to_item(values))
    return values


@pytest.mark.parametrize("name", sorted(set(NONSENSE) - {"status_at"}))
def test_nonsense_in_a_row_ends_its_job_with_a_webhook_and_evidence(
    deployment: Any, queued_job: Job, name: str
) -> None:
    values = edit(deployment, queued_job, **{name: NONSENSE[name]})
    with pytest.raises(MalformedRow):
        deployment.table.get(queued_job.job_id)

    end_malformed(deployment.table, deployment.sqs, deployment.outbox_queue_url, values, NOW)

    ended = deployment.table.get(queued_job.job_id)
    assert (ended.status, ended.error.code, ended.job_id) == (JobStatus.FAILED, "internal", queued_job.job_id)
    assert name in ended.error.message
    assert name in deployment.table.job_values(queued_job.job_id)["malformed"]
    sent = deployment.messages(deployment.outbox_queue_url)
    assert len(sent) == 1
    assert list(deployment.table.with_status(JobStatus.FAILED)) == [ended]


def test_nonsensical_row_hides_no_other_row_of_its_status(deployment: Any, queued_job: Job) -> None:
    edit(deployment, queued_job, options="none")
    sound = Job(**{**vars(queued_job), "job_id": "s" * 26})
    deployment.table.create(sound)
    odd: list[dict[str, Any]] = []
    assert list(deployment.table.with_status(JobStatus.QUEUED, odd=odd)) == [sound]
    assert [values["pk"] for values in odd] == [job_pk(queued_job.job_id)]


def test_ended_row_put_among_the_queued_is_put_back_and_never_ended_again(deployment: Any, queued_job: Job) -> None:
    completed = replace(queued_job, status=JobStatus.COMPLETED)
    values = edit(deployment, completed, status_key=status_key(JobStatus.QUEUED))
    odd: list[dict[str, Any]] = []
    assert list(deployment.table.with_status(JobStatus.QUEUED, odd=odd)) == []
    assert odd == [values]
    assert deployment.table.put_in_place(completed, values["status_key"])
    assert list(deployment.table.with_status(JobStatus.COMPLETED)) == [completed]


@pytest.mark.parametrize("name", ["attempt", "phases"])
def test_row_that_has_lost_what_writes_lean_on_is_nonsense(deployment: Any, queued_job: Job, name: str) -> None:
    deployment.table.create(queued_job)
    values = {key: value for key, value in deployment.table.job_values(queued_job.job_id).items() if key != name}
    deployment.dynamodb.put_item(TableName="jobs", Item=to_item(values))
    with pytest.raises(MalformedRow):
        deployment.table.get(queued_job.job_id)
    end_malformed(deployment.table, deployment.sqs, deployment.outbox_queue_url, values, NOW)
    assert deployment.table.get(queued_job.job_id).status is JobStatus.FAILED


def test_row_of_an_older_version_is_counted_on_all_the_same(deployment: Any, queued_job: Job) -> None:
    """A deployment was updated while a job waited: its row lacks what later versions count."""
    deployment.table.create(queued_job)
    later = ("interruptions", "launches", "failures", "sequence", "beat")
    values = {
        name: value for name, value in deployment.table.job_values(queued_job.job_id).items() if name not in later
    }
    deployment.dynamodb.put_item(TableName="jobs", Item=to_item(values))
    assert deployment.table.note_launch(queued_job.job_id, {"launch_id": "l"})
    running = deployment.table.claim(queued_job.job_id, "i-1", NOW)
    deployment.table.beat(running, None, {})
    deployment.table.requeue(running, NOW, interrupted=True)
    back = deployment.table.get(queued_job.job_id)
    assert (back.interruptions, len(back.launches), back.status) == (1, 1, JobStatus.QUEUED)


@pytest.mark.parametrize("status", [["done"], {"is": "done"}, "done"])
def test_ended_job_edited_into_nonsense_gets_no_second_end(deployment: Any, queued_job: Job, status: Any) -> None:
    values = edit(deployment, replace(queued_job, status=JobStatus.COMPLETED, result={"words": 1}), status=status)
    assert has_ended(values)
    assert not has_ended({**values, "status_key": "job#queued", "result": None})


def test_option_of_a_newer_version_ends_no_job_after_a_rollback(deployment: Any, queued_job: Job) -> None:
    deployment.table.create(queued_job)
    values = deployment.table.job_values(queued_job.job_id)
    options = {**values["options"], "speakers": 2}
    deployment.dynamodb.put_item(TableName="jobs", Item=to_item({**values, "options": options}))
    assert deployment.table.get(queued_job.job_id) == queued_job


def test_row_that_holds_the_id_of_another_is_nobodys_job(deployment: Any, queued_job: Job) -> None:
    values = edit(deployment, queued_job, job_id="s" * 26)
    with pytest.raises(MalformedRow):
        deployment.table.get(queued_job.job_id)
    end_malformed(deployment.table, deployment.sqs, deployment.outbox_queue_url, values, NOW)
    assert deployment.table.get(queued_job.job_id).status is JobStatus.FAILED


def test_row_that_somebody_mended_meanwhile_is_left_alone(deployment: Any, queued_job: Job) -> None:
    values = edit(deployment, queued_job, attempt="one")
    deployment.dynamodb.put_item(TableName="jobs", Item=to_item({**values, "attempt": 0}))
    assert end_malformed(deployment.table, deployment.sqs, deployment.outbox_queue_url, values, NOW) is None
    assert deployment.table.get(queued_job.job_id).status is JobStatus.QUEUED


@pytest.mark.parametrize("name", ["body", "attempts", "url", "next_attempt_at"])
def test_nonsensical_outbox_entry_is_one_named_error(deployment: Any, queued_job: Job, name: str) -> None:
    entry = outbox_entry_for(failed_job(queued_job, JobError("internal", "x"), NOW), NOW)
    deployment.table.put_values({**entry.to_dict(), name: {"a": 1}})
    with pytest.raises(MalformedRow):
        deployment.table.outbox_entry(entry.outbox_id)
    deployment.table.put_aside(f"outbox#{entry.outbox_id}")
    assert list(deployment.table.indexed(PENDING_KEY)) == []
