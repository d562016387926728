"""A client for one deployment, straight against its bucket and table with the caller's own AWS role.

client = Client.connect("avskrift")
job_id = client.submit(Path("intervju.mp3"), {"language": "sv"})
job = client.wait(job_id)
client.download(job, Path("."))
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from avskrift.errors import AvskriftError, ConfigurationError
from avskrift.jobs.cancel import NoSuchJob, cancel_job
from avskrift.jobs.deletion import Deleter, Deletion
from avskrift.jobs.layout import UPLOADS_PREFIX, job_id_for
from avskrift.jobs.model import Job, JobStatus, MalformedRow
from avskrift.jobs.options import METADATA_PREFIX
from avskrift.jobs.table import JobTable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

DEFAULT_DEPLOYMENT = "avskrift"
POLL_S = 1.0
REGISTRATION_TIMEOUT_S = 300.0
"""An upload that has no row after this long never reached its deployment's rule. A passing fault of register alone can
cost 180 s: the visibility timeout of its queue, after which it is tried again."""


class NoSuchDeployment(AvskriftError):
    """No stack of that name in this account and region."""

    code = "no_such_deployment"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment keeps its things: the outputs of its stack."""

    bucket: str
    table: str
    outbox_queue_url: str

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, str]) -> Place:
        return cls(bucket=outputs["BucketName"], table=outputs["TableName"], outbox_queue_url=outputs["OutboxQueueUrl"])


class Client:
    """Submit recordings, follow their jobs, fetch results. ``poll_s``: seconds between looks at a job."""

    def __init__(self, place: Place, session: boto3.Session | None = None, poll_s: float = POLL_S) -> None:
        session = session or boto3.Session()
        self._place = place
        self._poll_s = poll_s
        self._s3: S3Client = session.client("s3", config=Config(signature_version="s3v4"))
        dynamodb = session.client("dynamodb")
        self._table = JobTable(dynamodb, place.table)
        self._deleter = Deleter(self._table, dynamodb, self._s3, place.bucket)
        self._sqs: SQSClient = session.client("sqs")

    @classmethod
    def connect(cls, deployment: str = DEFAULT_DEPLOYMENT, session: boto3.Session | None = None) -> Client:
        """Find a deployment by its name; ``NoSuchDeployment`` says where it was looked for."""
        session = session or boto3.Session()
        try:
            stacks = session.client("cloudformation").describe_stacks(StackName=deployment)["Stacks"]
        except ClientError as error:
            raise NoSuchDeployment(
                f"No deployment {deployment!r} in {session.region_name}: check --deployment and the region, "
                f"or deploy it with scripts/deploy ({error.response['Error']['Code']})."
            ) from error
        outputs = {item["OutputKey"]: item["OutputValue"] for item in stacks[0].get("Outputs", [])}
        return cls(Place.from_outputs(outputs), session)

    def submit(
        self,
        path: Path,
        options: Mapping[str, Any] | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> str:
        """Upload a recording with its options; returns the id its job will have."""
        key = f"{UPLOADS_PREFIX}{uuid.uuid4().hex[:12]}/{path.name}"
        self._s3.upload_file(
            str(path), self._place.bucket, key, ExtraArgs={"Metadata": metadata_of(options or {})}, Callback=on_bytes
        )
        version_id = self._s3.head_object(Bucket=self._place.bucket, Key=key).get("VersionId", "")
        return job_id_for(self._place.bucket, key, version_id)

    def find(self, job_id: str) -> Job | None:
        """The job, or None; ``MalformedRow`` if its row was edited into nonsense."""
        with _naming(job_id):
            return self._table.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job that waits or runs; again on a cancelled one changes nothing.

        Raises ``NoSuchJob``, ``AlreadyEnded``, ``MalformedRow``.
        """
        with _naming(job_id):
            return cancel_job(self._table, self._sqs, self._place.outbox_queue_url, job_id, time.time())

    def delete(self, job_id: str) -> Deletion:
        """Remove a job for good: recording, transcript, checkpoint, row; one at work is cancelled first.

        Nobody is told by webhook. Raises ``NoSuchJob``, ``NotDeleted``, ``StaleAttempt``; it may be repeated.
        """
        return self._deleter.delete(job_id, time.time())

    def job(self, job_id: str) -> Job:
        found = self.find(job_id)
        if found is None:
            raise NoSuchJob(
                f"There is no job {job_id!r} in this deployment: `avskrift jobs list` shows those there are."
            )
        return found

    def jobs(self, status: JobStatus | None = None, limit: int = 50) -> list[Job]:
        """The latest jobs, newest change first, of one status or of all."""
        found: list[Job] = []
        for one in [status] if status else list(JobStatus):
            found += islice(self._table.with_status(one, newest_first=True), limit)
        return sorted(found, key=lambda job: job.status_at, reverse=True)[:limit]

    def jobs_since(self, since: float) -> Iterator[Job]:
        """Every job whose status changed since then (UTC epoch seconds); one that changes meanwhile may come twice."""
        for status in JobStatus:
            yield from self._table.with_status(status, since=since)

    def follow(self, job_id: str) -> Iterator[Job]:
        """The job each time it is looked at, until it has ended."""
        give_up_at = time.monotonic() + REGISTRATION_TIMEOUT_S
        was_there = False
        while True:
            job = self.find(job_id)
            if job is not None:
                was_there = True
                yield job
                if job.is_terminal:
                    return
            elif was_there:
                raise NoSuchJob(f"Job {job_id} was deleted before it ended.")
            elif time.monotonic() > give_up_at:
                raise NoSuchJob(f"Job {job_id} was not registered within {REGISTRATION_TIMEOUT_S:.0f} s of its upload.")
            time.sleep(self._poll_s)

    def wait(self, job_id: str) -> Job:
        """The job once it has ended."""
        for job in self.follow(job_id):
            last = job
        return last

    def download(self, job: Job, folder: Path) -> dict[str, Path]:
        """Fetch a completed job's results into ``folder``; paths by format."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        for name, key in (job.result or {}).get("keys", {}).items():
            paths[name] = folder / Path(key).name
            self._s3.download_file(self._place.bucket, key, str(paths[name]))
        return paths


@contextmanager
def _naming(job_id: str) -> Iterator[None]:
    """Of many jobs, say which one it is whose row can't be read, and what comes of that."""
    try:
        yield
    except MalformedRow as error:
        raise MalformedRow(
            f"Job {job_id} can't be read. {error.message} Somebody changed it by hand; unless it had ended before, the "
            "deployment ends it as failed: upload the recording again."
        ) from error


def metadata_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as the object metadata that register reads: percent-encoded UTF-8."""
    return {
        METADATA_PREFIX + name.replace("_", "-"): quote(_text_of(value), safe=" ,:/=")
        for name, value in options.items()
        if value is not None
    }


def _text_of(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case list() | tuple():
            return ",".join(value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
    raise ConfigurationError(f"An option cannot be {type(value).__name__}.")
