"""Deleting a job: its recording, what became of it, what is to be told of it, and its row, in this order.

The row goes last, because it says where the rest lies: whatever stops a deletion, it may be repeated. Nobody is told of
it by webhook, and what was not delivered yet is not delivered any more. What stays: docs/privacy.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.errors import AvskriftError
from avskrift.jobs.cancel import NoSuchJob
from avskrift.jobs.items import to_item
from avskrift.jobs.layout import RESULTS_PREFIX, UPLOADS_PREFIX, WORK_PREFIX, job_id_for
from avskrift.jobs.model import Job, JobStatus, MalformedRow
from avskrift.jobs.options import JobOptions
from avskrift.jobs.outbox import possible_ids
from avskrift.jobs.salvage import salvaged_job
from avskrift.jobs.table import JobTable, StaleAttempt, ended_job, job_pk, status_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

LETTING_GO_S = 900.0
"""Longer than an attempt takes to notice that its job is gone: until then it needs a row that says what to clear."""
EMPTIED_TTL_S = 86_400
_TRIES = 10
_BATCH = 1_000
"""Versions that DeleteObjects takes at once."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class NotDeleted(AvskriftError):
    """Something of a job could not be deleted; deleting it again goes on."""

    code = "not_deleted"


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was removed. ``versions``: of objects, with delete markers.

    ``kept_versions``: of the recording's key, because they are recordings of other jobs, or newer than this one's.
    ``instance_id``: where an attempt still has to notice; until then its emptied row stays.
    """

    job_id: str
    versions: int
    kept_versions: int = 0
    instance_id: str = ""


@dataclass(frozen=True, slots=True)
class _Version:
    key: str
    version_id: str
    modified_at: datetime
    is_marker: bool

    @property
    def identifier(self) -> ObjectIdentifierTypeDef:
        return {"Key": self.key, "VersionId": self.version_id}


@dataclass(frozen=True)
class Deleter:
    """Deletes jobs of one deployment, whose bucket is ``bucket``.

    Needs on the bucket ``s3:ListBucketVersions`` and ``s3:DeleteObjectVersion``, on the table ``dynamodb:GetItem``,
    ``UpdateItem``, ``PutItem`` and ``DeleteItem``.
    """

    table: JobTable
    dynamodb: DynamoDBClient
    s3: S3Client
    bucket: str

    def delete(self, job_id: str, now: float) -> Deletion:
        """Delete a job, ending it first if need be. Repeated, it removes what is left.

        Raises ``NoSuchJob`` if there is nothing of it, ``NotDeleted`` for what S3 refused to delete, ``StaleAttempt``
        for a job that changes meanwhile.
        """
        if not _ID.fullmatch(job_id):
            raise _no_such(job_id)
        job = self._ended(job_id, now)
        versions = self._clear(self._under(RESULTS_PREFIX, job_id)) + self._clear(self._under(WORK_PREFIX, job_id))
        if job is None:
            if not versions:
                raise _no_such(job_id)
            return Deletion(job_id, versions)
        own, kept = self._recording(job)
        versions += self._clear(iter(own))
        for outbox_id in possible_ids(job):
            self.dynamodb.delete_item(TableName=self.table.name, Key=to_item({"pk": f"outbox#{outbox_id}"}))
        if _may_be_at_work(job, now):
            self._empty_row(job, now)
            return Deletion(job_id, versions, kept, job.instance_id)
        self._delete_row(job)
        return Deletion(job_id, versions, kept)

    def _ended(self, job_id: str, now: float) -> Job | None:
        """The job as it stands once nothing will start on it any more; None if it has no row."""
        for _ in range(_TRIES):
            values = self.table.job_values(job_id)
            if values is None:
                return None
            try:
                return self._end(values, now)
            except StaleAttempt:
                continue
        raise StaleAttempt(f"Job {job_id} changes hands too fast to be deleted. Try again.")

    def _end(self, values: Mapping[str, Any], now: float) -> Job:
        """A row edited into nonsense must not keep what it tells of from being deleted."""
        try:
            job = Job.from_dict(values)
        except MalformedRow:
            salvaged = salvaged_job(values, now)
            self.table.replace_malformed(values, salvaged, "", None)
            return salvaged
        if job.is_terminal:
            return job
        ended = ended_job(job, JobStatus.CANCELLED, now)
        self.table.finish(job, ended, None)
        return ended

    def _recording(self, job: Job) -> tuple[list[ObjectIdentifierTypeDef], int]:
        """The versions under its key, and how many of them stay.

        A version that another job of this deployment was made for is that one's recording, and a newer one is about to
        be: the event of its upload may still be under way. While one stays, delete markers stay, too: without them a
        recording that its owner deleted would be there again.
        """
        if not job.key.startswith(UPLOADS_PREFIX):
            return [], 0
        versions: list[_Version] = []
        for version in self._versions(job.key):
            if version.key != job.key:  # the key itself comes first of all that begin with it
                break
            versions.append(version)
        newer = set(_newer(versions, job))
        kept = {each for each in versions if not each.is_marker and (each in newer or self._is_anothers(each, job))}
        gone = [each for each in versions if each not in kept and not (kept and each.is_marker)]
        return [each.identifier for each in gone], len(kept)

    def _is_anothers(self, version: _Version, job: Job) -> bool:
        other_id = job_id_for(self.bucket, version.key, version.version_id)
        return other_id != job.job_id and self.table.job_values(other_id) is not None

    def _under(self, prefix: str, job_id: str) -> Iterator[ObjectIdentifierTypeDef]:
        return (version.identifier for version in self._versions(f"{prefix}{job_id}/"))

    def _versions(self, prefix: str) -> Iterator[_Version]:
        """Every version and delete marker, by key."""
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix):
            listed = [(each, False) for each in page.get("Versions", [])]
            listed += [(each, True) for each in page.get("DeleteMarkers", [])]  # type: ignore[misc]
            found = [_Version(each["Key"], each["VersionId"], each["LastModified"], is_it) for each, is_it in listed]
            yield from sorted(found, key=lambda one: one.key)

    def _clear(self, versions: Iterator[ObjectIdentifierTypeDef]) -> int:
        """Delete versions for good; how many."""
        pending = list(versions)
        for start in range(0, len(pending), _BATCH):
            answer = self.s3.delete_objects(
                Bucket=self.bucket, Delete={"Objects": pending[start : start + _BATCH], "Quiet": True}
            )
            if refused := answer.get("Errors"):
                raise NotDeleted(
                    f"S3 refused to delete {len(refused)} object versions ({refused[0].get('Code')}): check the role's "
                    "s3:DeleteObjectVersion and the bucket's locks, then delete the job again."
                )
        return len(pending)

    def _empty_row(self, job: Job, now: float) -> None:
        """Leave what an attempt at work reads when it finds that the job is no longer its own, and nothing else."""
        emptied = Job(
            job_id=job.job_id,
            status=job.status,
            bucket="",
            key="",
            version_id="",
            size_bytes=0,
            options=JobOptions(formats=job.options.formats),
            status_at=job.status_at,
            expires_at=int(now) + EMPTIED_TTL_S,
            attempt=job.attempt,
            sequence=job.sequence,
            instance_id=job.instance_id,
        )
        item = {"pk": job_pk(job.job_id), "status_key": status_key(job.status), **emptied.to_dict()}
        self._write("put_item", job, Item=to_item(item))

    def _delete_row(self, job: Job) -> None:
        self._write("delete_item", job, Key=to_item({"pk": job_pk(job.job_id)}))

    def _write(self, operation: str, job: Job, **request: Any) -> None:
        """The last step, if the row is still the one whose things were deleted."""
        try:
            getattr(self.dynamodb, operation)(
                TableName=self.table.name,
                ConditionExpression="attribute_not_exists(pk) OR #status <> :running AND #status <> :queued",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":running": JobStatus.RUNNING.value, ":queued": JobStatus.QUEUED.value}
                ),
                **request,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise StaleAttempt(f"Job {job.job_id} was started again while it was being deleted. Try again.") from error


def _newer(versions: list[_Version], job: Job) -> list[_Version]:
    """Of a key's versions, as S3 lists them, those that were put there after the job's own.

    S3 lists first what was stored last; an upload of many parts has the time of its beginning. Where the job's own is
    gone, because a deletion is repeated, what was put there before the job was made is as old as it is.
    """
    for place, own in enumerate(versions):
        if own.version_id == job.version_id:
            return versions[:place] + [each for each in versions[place:] if each.modified_at > own.modified_at]
    made_at = job.phases.get("queued", job.status_at)
    return [each for each in versions if each.modified_at.timestamp() > made_at]


def _may_be_at_work(job: Job, now: float) -> bool:
    """A job that was cancelled while it ran: its attempt learns it at its next heartbeat."""
    return job.status is JobStatus.CANCELLED and bool(job.instance_id) and now - job.status_at < LETTING_GO_S


def _no_such(job_id: str) -> NoSuchJob:
    return NoSuchJob(f"There is no job {job_id!r} in this deployment. `avskrift jobs list` shows them.")
