"""Deleting a job: nothing of it is left but what the docs say, whatever state it is in and however often tried."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from avskrift.jobs import deletion
from avskrift.jobs.cancel import NoSuchJob
from avskrift.jobs.deletion import EMPTIED_TTL_S, LETTING_GO_S, Deleter, NotDeleted
from avskrift.jobs.layout import checkpoint_key, record_key, result_key
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import StaleAttempt, ended_job, job_pk

NOW = 1_700_000_100.0
KEY = "uploads/möte.mp3"


@pytest.fixture
def deleter(deployment: Any) -> Deleter:
    return Deleter(deployment.table, deployment.dynamodb, deployment.s3, deployment.bucket)


def registered(deployment: Any, key: str = KEY) -> Job:
    job: Job = deployment.registrar().register(deployment.put(key), NOW - 60)
    return job


def completed(deployment: Any, key: str = KEY) -> Job:
    """A job that has everything a job can have: results, an old checkpoint, a webhook to be sent again."""
    job = registered(deployment, key)
    claimed = deployment.table.claim(job.job_id, "i-0abc", NOW - 50)
    for name in (result_key(job.job_id, "txt"), result_key(job.job_id, "txt"), record_key(job.job_id)):
        deployment.s3.put_object(Bucket=deployment.bucket, Key=name, Body=b"said")
    deployment.s3.put_object(Bucket=deployment.bucket, Key=checkpoint_key(job.job_id), Body=b"said")
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=checkpoint_key(job.job_id))
    ended = ended_job(claimed, JobStatus.COMPLETED, NOW - 10, result={"keys": {"txt": result_key(job.job_id, "txt")}})
    deployment.table.finish(claimed, ended, outbox_entry_for(ended, NOW - 10))
    return ended


def objects(deployment: Any, prefix: str = "") -> list[str]:
    """Keys of every version and delete marker there is."""
    listed = deployment.s3.list_object_versions(Bucket=deployment.bucket, Prefix=prefix)
    return [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in listed.get(kind, [])]


def rows(deployment: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment.dynamodb.scan(TableName=deployment.table.name)["Items"]
    return found


def test_nothing_is_left_of_a_completed_job(deployment: Any, deleter: Deleter) -> None:
    job = completed(deployment)
    assert len(rows(deployment)) == 2, "its own and its webhook's"

    done = deleter.delete(job.job_id, NOW)

    assert objects(deployment) == []
    assert rows(deployment) == []
    assert (done.versions, done.kept_versions, done.instance_id) == (6, 0, "")


def test_its_neighbours_stay_whole(deployment: Any, deleter: Deleter) -> None:
    """Also those whose key or id begins as the deleted one's does."""
    job, other = completed(deployment), completed(deployment, KEY + ".mp3")
    longer = f"results/{job.job_id}x/transcript.txt"
    deployment.s3.put_object(Bucket=deployment.bucket, Key=longer, Body=b"")
    before = objects(deployment, KEY + ".mp3"), objects(deployment, f"results/{other.job_id}")

    deleter.delete(job.job_id, NOW)

    assert (objects(deployment, KEY + ".mp3"), objects(deployment, f"results/{other.job_id}")) == before
    assert objects(deployment, longer) == [longer]
    assert deployment.table.get(other.job_id) == other
    assert len(rows(deployment)) == 2


def test_all_versions_of_the_recording_go_with_their_delete_markers(deployment: Any, deleter: Deleter) -> None:
    deployment.put(KEY, b"never registered")
    job = registered(deployment)
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=KEY)

    deleter.delete(job.job_id, NOW)

    assert objects(deployment) == []


def test_a_newer_recording_of_which_no_event_came_yet_stays_and_becomes_a_job(
    deployment: Any, deleter: Deleter
) -> None:
    deployment.put(KEY, b"never registered")
    job = completed(deployment)
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=KEY)
    put_again = deployment.put(KEY, b"another one")

    done = deleter.delete(job.job_id, NOW)

    listed = deployment.s3.list_object_versions(Bucket=deployment.bucket)
    assert [version["VersionId"] for version in listed["Versions"]] == [put_again.version_id]
    assert done.kept_versions == 1
    assert deployment.registrar().register(put_again, NOW).version_id == put_again.version_id


def test_a_deletion_that_goes_on_spares_what_was_put_there_since(deployment: Any, deleter: Deleter) -> None:
    """It was stopped behind the job's own version, by which the others are told apart."""
    deployment.put(KEY, b"never registered")
    put = deployment.put(KEY)
    job = deployment.registrar().register(put, time.time() + 1)
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=KEY, VersionId=put.version_id)

    assert deleter.delete(job.job_id, time.time()).kept_versions == 0
    assert objects(deployment) == []

    put = deployment.put(KEY)
    job = deployment.registrar().register(put, NOW)
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=KEY, VersionId=put.version_id)
    deployment.put(KEY)

    assert deleter.delete(job.job_id, NOW).kept_versions == 1
    assert objects(deployment) == [KEY]


def test_a_version_that_is_another_jobs_recording_stays_as_hidden_as_it_was(deployment: Any, deleter: Deleter) -> None:
    first, second = registered(deployment), registered(deployment)
    deployment.s3.delete_object(Bucket=deployment.bucket, Key=KEY)

    done = deleter.delete(first.job_id, NOW)

    listed = deployment.s3.list_object_versions(Bucket=deployment.bucket)
    assert [version["VersionId"] for version in listed["Versions"]] == [second.version_id]
    assert len(listed["DeleteMarkers"]) == 1
    assert done.kept_versions == 1
    deleter.delete(second.job_id, NOW)
    assert objects(deployment) == []


def test_a_waiting_job_is_never_begun(deployment: Any, deleter: Deleter) -> None:
    job = registered(deployment)

    deleter.delete(job.job_id, NOW)

    assert rows(deployment) == []
    assert deployment.table.claim(job.job_id, "i-0abc", NOW) is None
    assert deployment.messages(deployment.outbox_queue_url) == [], "whoever deletes a job needs no webhook of it"


def test_an_attempt_at_work_finds_an_emptied_row_that_says_what_to_clear(deployment: Any, deleter: Deleter) -> None:
    job = registered(deployment)
    claimed = deployment.table.claim(job.job_id, "i-0abc", NOW - 5)

    done = deleter.delete(job.job_id, NOW)

    assert done.instance_id == "i-0abc"
    left = deployment.table.get(job.job_id)
    assert (left.status, left.options.formats) == (JobStatus.CANCELLED, job.options.formats)
    assert (left.key, left.bucket, left.options.callback_url, left.phases) == ("", "", None, {})
    assert left.expires_at == int(NOW) + EMPTIED_TTL_S
    with pytest.raises(StaleAttempt):
        deployment.table.beat(claimed, None, {})


def test_once_the_attempt_has_let_go_deleting_again_takes_the_rest(deployment: Any, deleter: Deleter) -> None:
    job = registered(deployment)
    deployment.table.claim(job.job_id, "i-0abc", NOW - 5)
    deleter.delete(job.job_id, NOW)
    late = result_key(job.job_id, "txt")
    deployment.s3.put_object(Bucket=deployment.bucket, Key=late, Body=b"written before the heartbeat")

    assert deleter.delete(job.job_id, NOW + 1).instance_id == "i-0abc"
    assert objects(deployment) == []
    assert deleter.delete(job.job_id, NOW + LETTING_GO_S + 1).instance_id == ""
    assert rows(deployment) == []


def test_a_row_that_nobody_can_read_goes_with_what_it_still_tells_of(deployment: Any, deleter: Deleter) -> None:
    job = completed(deployment)
    deployment.table.put_values({**job.to_dict(), "pk": job_pk(job.job_id), "size_bytes": "many", "status": "running"})

    deleter.delete(job.job_id, NOW)

    assert objects(deployment) == []
    assert [row["pk"]["S"] for row in rows(deployment)] == []


@pytest.mark.parametrize("key", ["", "results/elsewhere.txt", "uploads"])
def test_a_key_that_is_none_of_an_upload_deletes_nothing_else(deployment: Any, deleter: Deleter, key: str) -> None:
    job = registered(deployment)
    deployment.s3.put_object(Bucket=deployment.bucket, Key="results/elsewhere.txt", Body=b"")
    deployment.table.put_values(
        {**replace(job, key=key).to_dict(), "pk": job_pk(job.job_id), "status": "failed", "status_key": "job#failed"}
    )

    deleter.delete(job.job_id, NOW)

    assert sorted(objects(deployment)) == ["results/elsewhere.txt", KEY]


@pytest.mark.parametrize("job_id", ["nothing", "", "..", "a/b", "j" * 200])
def test_what_there_is_nothing_of_is_said(deployment: Any, deleter: Deleter, job_id: str) -> None:
    completed(deployment)
    before = objects(deployment), rows(deployment)

    with pytest.raises(NoSuchJob, match="jobs list"):
        deleter.delete(job_id, NOW)

    assert (objects(deployment), rows(deployment)) == before


def test_results_that_outlived_their_row_are_deleted_by_the_id(deployment: Any, deleter: Deleter) -> None:
    deployment.s3.put_object(Bucket=deployment.bucket, Key=result_key("j" * 26, "txt"), Body=b"said")

    assert deleter.delete("j" * 26, NOW).versions == 1
    with pytest.raises(NoSuchJob):
        deleter.delete("j" * 26, NOW)


class Breaking:
    """A client whose n-th call fails, as if the caller had died there: three are of S3, seven of the table."""

    def __init__(self, client: Any, after: int) -> None:
        self._client = client
        self.left = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method) or name in ("get_paginator", "get_item"):
            return method

        def call(**request: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise ConnectionError("gone")
            return method(**request)

        return call


@pytest.mark.parametrize("after", [0, 1, 2, 3, 9])
def test_a_deletion_that_died_anywhere_goes_on_where_it_is_repeated(
    deployment: Any, deleter: Deleter, after: int
) -> None:
    job = completed(deployment)
    s3, dynamodb = Breaking(deployment.s3, after), Breaking(deployment.dynamodb, max(0, after - 3))
    with pytest.raises(ConnectionError):
        Deleter(deployment.table, dynamodb, s3, deployment.bucket).delete(job.job_id, NOW)  # type: ignore[arg-type]

    deleter.delete(job.job_id, NOW)

    assert (objects(deployment), rows(deployment)) == ([], [])


def test_a_bucket_that_refuses_is_told_with_what_to_do_and_keeps_the_row(
    deployment: Any, deleter: Deleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(deployment)
    refusal = {"Errors": [{"Key": KEY, "Code": "AccessDenied"}]}
    monkeypatch.setattr(deployment.s3, "delete_objects", lambda **request: refusal)

    with pytest.raises(NotDeleted, match=r"AccessDenied.*s3:DeleteObjectVersion") as told:
        deleter.delete(job.job_id, NOW)

    assert "möte" not in told.value.message
    assert deployment.table.get(job.job_id) == job


def test_a_job_with_thousands_of_versions_is_deleted_in_batches(
    deployment: Any, deleter: Deleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "_BATCH", 2)
    for _ in range(6):
        deployment.put(KEY, b"")
    job = registered(deployment)

    assert deleter.delete(job.job_id, NOW).versions == 7
    assert objects(deployment) == []


def test_a_job_that_is_started_again_meanwhile_keeps_its_row(
    deployment: Any, deleter: Deleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(deployment)
    clear = Deleter._clear

    def retried_meanwhile(self: Deleter, versions: Any) -> int:
        row = {**job.to_dict(), "pk": job_pk(job.job_id), "status": "queued", "status_key": "job#queued"}
        deployment.table.put_values(row)
        return clear(self, versions)

    monkeypatch.setattr(Deleter, "_clear", retried_meanwhile)
    with pytest.raises(StaleAttempt, match="Try again"):
        deleter.delete(job.job_id, NOW)
    assert deployment.table.get(job.job_id).status is JobStatus.QUEUED


def test_throttling_is_not_taken_for_a_change(
    deployment: Any, deleter: Deleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(deployment)

    def throttle(**request: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DeleteItem")

    monkeypatch.setattr(deployment.dynamodb, "delete_item", throttle)
    with pytest.raises(ClientError):
        deleter.delete(job.job_id, NOW)
