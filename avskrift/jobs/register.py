"""An upload becomes a job: one conditional write, one message, whatever is repeated or reordered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.errors import AvskriftError, BadOptions, ObjectGone, TooLarge, UnsupportedMedia
from avskrift.jobs.events import Upload
from avskrift.jobs.layout import UPLOADS_PREFIX, is_folder, job_id_for
from avskrift.jobs.messages import send_job, send_outbox
from avskrift.jobs.model import Job, JobError, JobStatus, MalformedRow
from avskrift.jobs.options import JobOptions, OptionRules, options_from_metadata
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import JobTable, failed_job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef
    from mypy_boto3_sqs import SQSClient

DAY_S = 86_400
FETCHED_AFTER_S = 43_200
"""From a job's deadline until its recording expires: an instance must still be had, and fetch it."""


@dataclass(frozen=True)
class RegisterSettings:
    """What register needs to know of its deployment."""

    jobs_queue_url: str
    outbox_queue_url: str
    rules: OptionRules
    max_size_bytes: int
    job_ttl_days: int
    uploads_expire_days: int
    """After so many days S3 removes a recording; the stack holds that its row lives longer."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The job of an upload, or None where there is none to work on; ``is_new``: this call made its row."""

    job: Job | None
    is_new: bool = False


@dataclass(frozen=True)
class Registrar:
    """Registers uploads. ``register`` may be repeated at any point: the row decides."""

    table: JobTable
    s3: S3Client
    sqs: SQSClient
    settings: RegisterSettings

    def register(self, upload: Upload, now: float) -> Job | None:
        """The job of this upload, new or found again; None where :meth:`take` has none."""
        return self.take(upload, now).job

    def take(self, upload: Upload, now: float) -> Registration:
        """The same, and whether it is new, for whoever counts.

        No job for what is no recording (a console "folder"), and for a row edited into nonsense: λ capacity ends it.
        """
        if is_folder(upload.key, upload.size_bytes) or not upload.key.startswith(UPLOADS_PREFIX):
            return Registration(None)
        job = self._job_of(upload, now)
        if job.is_terminal:
            return Registration(job, is_new=self._create_ended(job, now))
        is_new = self.table.create(job)
        if not is_new:
            try:
                job = self.table.get(job.job_id) or job
            except MalformedRow:
                return Registration(None)
        if job.status is JobStatus.QUEUED and job.attempt == 0:
            # Also when found again: an earlier try may have died between the row and its message.
            send_job(self.sqs, self.settings.jobs_queue_url, job.job_id)
        return Registration(job, is_new)

    def _job_of(self, upload: Upload, now: float) -> Job:
        """The row to be: queued, or failed at once where no machine could help."""
        try:
            head = self._head(upload)
            job = self._new_job(upload, head, self._options(head), now)
            self._check(job)
            self._check_deadline(job, head["LastModified"])
        except ObjectGone as error:
            return failed_job(self._new_job(upload, None, self._default_options(), now), _job_error(error), now)
        except BadOptions as error:
            return failed_job(self._new_job(upload, head, self._default_options(), now), _job_error(error), now)
        except (TooLarge, UnsupportedMedia) as error:
            return failed_job(job, _job_error(error), now)
        return job

    def _head(self, upload: Upload) -> HeadObjectOutputTypeDef:
        """The object as it is; a 403 is a fault of permissions and propagates, never ``object_gone``."""
        version: dict[str, Any] = {"VersionId": upload.version_id} if upload.version_id else {}
        try:
            return self.s3.head_object(Bucket=upload.bucket, Key=upload.key, **version)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            raise ObjectGone("The recording was deleted before it was registered. Upload it again.") from error

    def _options(self, head: HeadObjectOutputTypeDef) -> JobOptions:
        if head.get("MissingMeta"):
            raise BadOptions("Some of the object's metadata can't be read: its names or values are not ASCII.")
        return options_from_metadata(head["Metadata"], self.settings.rules)

    def _default_options(self) -> JobOptions:
        rules = self.settings.rules
        return JobOptions(language=rules.default_language, callback_url=rules.default_callback_url)

    def _new_job(self, upload: Upload, head: HeadObjectOutputTypeDef | None, options: JobOptions, now: float) -> Job:
        version_id = upload.version_id or (head.get("VersionId", "") if head else "")
        return Job(
            job_id=job_id_for(upload.bucket, upload.key, version_id),
            status=JobStatus.QUEUED,
            bucket=upload.bucket,
            key=upload.key,
            version_id=version_id,
            size_bytes=head["ContentLength"] if head else upload.size_bytes,
            options=options,
            status_at=now,
            expires_at=int(now) + self.settings.job_ttl_days * DAY_S,
            phases={"queued": now},
        )

    def _check(self, job: Job) -> None:
        """Refuse what no instance can transcribe before one is paid for."""
        if job.size_bytes == 0:
            raise UnsupportedMedia("The file is empty (0 bytes): the upload went wrong, or the recorder did.")
        if job.size_bytes > self.settings.max_size_bytes:
            raise TooLarge(
                f"The file has {job.size_bytes:,} bytes; the deployment takes {self.settings.max_size_bytes:,}. "
                "Send only its audio track, or raise max_size_bytes."
            )

    def _check_deadline(self, job: Job, uploaded_at: datetime) -> None:
        """A job that waits longer than its recording is kept could only end as ``object_gone``."""
        days = self.settings.uploads_expire_days
        latest = uploaded_at + timedelta(days=days, seconds=-FETCHED_AFTER_S)
        if job.options.deadline and datetime.fromisoformat(job.options.deadline) > latest:
            raise BadOptions(
                f"deadline is too far ahead: this recording is kept for {days} days, so {latest:%Y-%m-%dT%H:%MZ} "
                "is the latest. Upload it later, or raise uploads_expire_days."
            )

    def _create_ended(self, job: Job, now: float) -> bool:
        """Whether the row is new."""
        outbox = outbox_entry_for(job, now)
        is_new = self.table.create(job, outbox)
        if outbox:  # also for a duplicate: λ deliver leaves a settled entry alone
            send_outbox(self.sqs, self.settings.outbox_queue_url, outbox)
        return is_new


def _job_error(error: AvskriftError) -> JobError:
    return JobError(error.code, error.message)
