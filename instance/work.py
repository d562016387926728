"""One attempt at one job: download → transcribe → results → transaction → webhook → delete message.

Each step may be repeated by the next attempt. An error of the recording ends the job; an error of ours costs the
attempt; an interruption costs nothing.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from avskrift.asr.engine import Progress, TranscribeOptions
from avskrift.errors import JOB_ERROR_CODES, AvskriftError, BadOptions, Cancelled, ModelUnavailable, ObjectGone
from avskrift.jobs.delivery import Outbox
from avskrift.jobs.model import Job, JobError, JobProgress, JobStatus
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.prices import usd_per_hour
from avskrift.jobs.table import JobTable, StaleAttempt, ended_job, failed_job
from avskrift.transcript import Transcript
from instance.heartbeat import Claim, Heartbeat, Pace
from instance.results import ResultStore, session_end
from instance.settings import AgentSettings, Identity

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)
_NOT_FOUND = 404
GONE = "The recording was deleted before it was transcribed. Upload it again."
EXHAUSTED = "The job failed {failures} times, last with: {last} Its job.json holds the evidence."


class Transcriber(Protocol):
    """What the agent needs of the engine."""

    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Transcript: ...


@dataclass(frozen=True)
class Services:
    """What an attempt works with; made once, at the edge."""

    settings: AgentSettings
    identity: Identity
    table: JobTable
    s3: S3Client
    sqs: SQSClient
    outbox: Outbox
    engine_for: Callable[[str | None], Transcriber]
    booted_at: float
    retry_delay_s: float = 30.0
    """After the first failure of a job, and as much more after each further one."""
    stall_s: float = 1_800.0
    """An attempt without any progress for so long is given up."""
    clock: Callable[[], float] = time.time


def brief(error: Exception) -> str:
    """A fault for log and job: its kind and code, never its text, which may name keys and addresses."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} answered {error.response['Error']['Code']}"
    if isinstance(error, AvskriftError):
        return f"{error.code}: {error.message}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in {frames[-1].name}" if frames else type(error).__name__


class Attempt:
    """One claimed job. ``hand_back`` may be called from any thread."""

    def __init__(self, claim: Claim, services: Services) -> None:
        self._claim = claim
        self._services = services
        self._phases: dict[str, float] = self._first_phases()
        self._cancel = threading.Event()
        self._lost = False
        self._counts = False
        self._store = ResultStore(services.s3, services.settings.bucket)

    def hand_back(self, *, counts: bool) -> None:
        """Stop and return the job to the queue; ``counts`` as a failure, unless the instance was taken from us."""
        self._counts = counts
        self._cancel.set()

    def run(self) -> None:
        """Work until the job has ended, was handed back, or is no longer ours. Raises nothing of the job's."""
        job = self._claim.job
        log.info("job %s: attempt %d", job.job_id, job.attempt)
        heartbeat = Heartbeat(self._claim, self._services.table, self._services.sqs, self._pace(), self)
        heartbeat.phases = self._phases
        with heartbeat:
            try:
                self._end(heartbeat)
            except StaleAttempt:
                log.warning("job %s went on without us", job.job_id)
                self._delete_message()

    def _pace(self) -> Pace:
        settings = self._services.settings
        return Pace(settings.heartbeat_s, settings.lease_s, self._services.stall_s)

    def lost(self) -> None:
        """The job is no longer ours: stop, write nothing more."""
        self._lost = True
        self._cancel.set()

    def stalled(self) -> None:
        """Nothing moved for too long: give up this attempt."""
        log.error("job %s: no progress for %.0f s", self._claim.job.job_id, self._services.stall_s)
        self.hand_back(counts=True)

    def _end(self, heartbeat: Heartbeat) -> None:
        try:
            transcript = self._transcribe(heartbeat)
            result = self._store_results(transcript)
        except Cancelled:
            self._give_up(heartbeat)
        except AvskriftError as error:
            heartbeat.stop()
            if error.code in JOB_ERROR_CODES and error.code != "internal":
                self._finish(failed_job(self._current(), JobError(error.code, error.message), self._now()))
            else:
                self._fail_attempt(error.message)
        except Exception as error:  # noqa: BLE001
            # Whatever it was, it costs this attempt and nothing else. Its text may name keys and addresses: not logged.
            log.error("job %s: the attempt failed: %s", self._claim.job.job_id, brief(error))
            heartbeat.stop()
            self._fail_attempt(f"{brief(error)}.")
        else:
            heartbeat.stop()
            self._complete(transcript, result)

    def _transcribe(self, heartbeat: Heartbeat) -> Transcript:
        job = self._claim.job
        with tempfile.TemporaryDirectory(prefix="avskrift-") as folder:
            path = Path(folder) / "recording"  # never a name that a client chose
            self._download(path)
            self._mark("downloaded")
            engine = self._engine(job.options.model)
            self._mark("model_ready")

            def on_progress(progress: Progress) -> None:
                heartbeat.progress = JobProgress(round(progress.done_s, 3), round(progress.total_s, 3))

            transcript = engine.transcribe(path, self._options(), on_progress, self._cancel)
        self._mark("transcribed")
        return transcript

    def _download(self, path: Path) -> None:
        """The version that was registered, unless the recording was deleted meanwhile (a delete marker counts)."""
        job = self._claim.job
        version: dict[str, Any] = {"VersionId": job.version_id} if job.version_id else {}
        try:
            self._services.s3.head_object(Bucket=job.bucket, Key=job.key)
            self._services.s3.download_file(
                job.bucket, job.key, str(path), ExtraArgs=version, Callback=self._stop_if_cancelled
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != _NOT_FOUND:
                raise
            raise ObjectGone(GONE) from error

    def _stop_if_cancelled(self, _: int) -> None:
        if self._cancel.is_set():
            raise Cancelled("The attempt was cancelled while it was downloading.")

    def _engine(self, model: str | None) -> Transcriber:
        try:
            return self._services.engine_for(model)
        except ModelUnavailable as error:
            if model is None:
                raise
            raise BadOptions(f"The model {model!r} can't be used: {error.message}") from error

    def _options(self) -> TranscribeOptions:
        asked = self._claim.job.options
        return TranscribeOptions(
            language=asked.language,
            task=asked.task,
            words=asked.words,
            prompt=asked.prompt,
            hotwords=asked.hotwords,
            max_duration_s=self._services.settings.max_duration_s,
        )

    def _store_results(self, transcript: Transcript) -> dict[str, Any]:
        result = self._store.write(self._claim.job, transcript)
        self._mark("stored")
        return result

    def _complete(self, transcript: Transcript, result: dict[str, Any]) -> None:
        now = self._now()
        done = JobProgress(round(transcript.duration_s, 3), round(transcript.duration_s, 3))
        ended = ended_job(self._current(), JobStatus.COMPLETED, now, result=result, progress=done, cost=self._cost(now))
        self._finish(ended, {"engine": transcript.engine, "warnings": list(transcript.warnings)})

    def _finish(self, ended: Job, extra: dict[str, Any] | None = None) -> None:
        """The transaction, then the webhook's first attempt, then the message."""
        now = self._now()
        keys = ended.result["keys"] if ended.result else {}
        links = self._store.links(keys, now, session_end(self._services.s3)) if keys else None
        outbox = outbox_entry_for(ended, now, links)
        self._services.table.finish(self._claim.job, ended, outbox)
        self._write_record(ended, extra or {})
        log.info("job %s: %s", ended.job_id, ended.status.value)
        if outbox:
            self._deliver(outbox.outbox_id)
        self._delete_message()

    def _write_record(self, ended: Job, extra: dict[str, Any]) -> None:
        """Behind the fence, so that a stale attempt leaves no record; and never in the way of the webhook."""
        try:
            self._store.write_record(ended, extra)
        except (BotoCoreError, ClientError) as error:
            log.error("job %s: job.json could not be written: %s", ended.job_id, brief(error))

    def _deliver(self, outbox_id: str) -> None:
        try:
            self._services.outbox.deliver(outbox_id)
        except Exception as error:  # noqa: BLE001
            # The job has ended; λ capacity finds the entry that nobody holds and has it delivered.
            log.error("webhook %s: the first attempt failed: %s", outbox_id, brief(error))

    def _fail_attempt(self, last: str) -> None:
        """A fault of ours: back to the queue, or the end when this was the last allowed failure."""
        job = self._current()
        failures = job.failures + 1
        if failures < self._services.settings.max_failures:
            self._services.table.requeue(self._claim.job, self._now(), failed=True)
            self._return_message(after_s=self._services.retry_delay_s * failures)
            return
        message = EXHAUSTED.format(failures=failures, last=last)
        ended = failed_job(job, JobError("attempts_exhausted", message), self._now())
        self._finish(replace(ended, failures=failures))

    def _give_up(self, heartbeat: Heartbeat) -> None:
        """Cancelled: the job is no longer ours, or it goes back."""
        heartbeat.stop()
        if self._lost:
            raise StaleAttempt(f"Job {self._claim.job.job_id} is no longer ours.")
        if self._counts:
            self._fail_attempt("it was stopped, because it took too long.")
            return
        self._services.table.requeue(self._claim.job, self._now(), failed=False)
        self._return_message(after_s=0)
        log.info("job %s: handed back", self._claim.job.job_id)

    def _return_message(self, after_s: float) -> None:
        try:
            self._services.sqs.change_message_visibility(
                QueueUrl=self._claim.queue_url, ReceiptHandle=self._claim.receipt, VisibilityTimeout=round(after_s)
            )
        except (BotoCoreError, ClientError) as error:
            # The row is queued: λ capacity sends it a message again when it finds that one is missing.
            log.warning("job %s: its message could not be returned: %s", self._claim.job.job_id, brief(error))

    def _delete_message(self) -> None:
        self._services.sqs.delete_message(QueueUrl=self._claim.queue_url, ReceiptHandle=self._claim.receipt)

    def _current(self) -> Job:
        """The claimed job with the phases of this attempt."""
        return replace(self._claim.job, phases={**self._claim.job.phases, **self._phases})

    def _first_phases(self) -> dict[str, float]:
        identity = self._services.identity
        phases = {"booted": self._services.booted_at}
        if identity.launched_at is not None:
            phases["launched"] = identity.launched_at
        return phases

    def _mark(self, phase: str) -> None:
        self._phases[phase] = self._now()

    def _cost(self, now: float) -> dict[str, Any]:
        """This job's own seconds of the instance; boot and linger are the instance's, not the job's."""
        identity = self._services.identity
        billed_s = now - self._claim.job.phases["claimed"]
        hourly_usd = usd_per_hour(identity.instance_type, identity.market)
        return {
            "usd": round(hourly_usd * billed_s / 3_600, 6),
            "instance_type": identity.instance_type,
            "market": identity.market,
            "billed_s": round(billed_s, 3),
        }

    def _now(self) -> float:
        return round(self._services.clock(), 3)
