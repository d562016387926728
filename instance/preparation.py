"""What a job needs on the disk before it can be worked on: its recording, and what an earlier attempt left.

An attempt fetches it for itself, unless it was fetched ahead while the job before was at work.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from botocore.exceptions import ClientError

from avskrift.errors import Cancelled, ObjectGone
from avskrift.jobs.model import Job, JobStatus
from instance.checkpoints import Checkpoint
from instance.faults import brief, insist, status_of
from instance.log_context import carried
from instance.services import Services

log = logging.getLogger(__name__)
GONE = "The recording was deleted before it was transcribed. Upload it again."
SPARE_BYTES = 1 << 30
"""Disk that a recording fetched ahead leaves to the job at work."""
_NOT_FOUND = 404
_POLL_S = 0.1
_END_S = 5.0


def has_room_for(job: Job) -> bool:
    """Whether the disk takes this recording beside the one at work."""
    return shutil.disk_usage(tempfile.gettempdir()).free > job.size_bytes + SPARE_BYTES


class Preparation:
    """A folder of one job's own, gone after ``close``. No name in it is one that a client chose.

    It is made before the job is claimed, so that an instance without disk owns none. Making it raises ``OSError``.
    """

    def __init__(self, job_id: str, services: Services) -> None:
        self._services = services
        self._folder = Path(tempfile.mkdtemp(prefix="avskrift-"))
        self.recording = self._folder / "recording"
        self.checkpoint = Checkpoint(services.s3, services.settings.bucket, job_id, self._folder / "checkpoint.jsonl")
        self._stopped = threading.Event()
        self._ahead: threading.Thread | None = None
        self._has_arrived = False

    def __enter__(self) -> Preparation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End a download under way and remove the files; again changes nothing."""
        self._stopped.set()
        if self._ahead:
            self._ahead.join(_END_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def begin(self, job: Job, on_failure: Callable[[], None]) -> None:
        """Fetch ahead, in a thread. A fetch that fails is forgotten: whoever claims the job meets the fault itself."""
        fetch_ahead, arguments = carried(self._fetch_ahead), (job, on_failure)
        self._ahead = threading.Thread(target=fetch_ahead, args=arguments, name="fetch-ahead", daemon=True)
        self._ahead.start()

    def fetch(self, job: Job, cancel: threading.Event) -> None:
        """Return when everything is there. Raises ``ObjectGone``, ``Cancelled``, and what S3 answers."""
        while self._ahead and self._ahead.is_alive():
            if cancel.is_set():
                raise _cancelled()
            self._ahead.join(_POLL_S)
        if not self._has_arrived:
            self._fetch(job, cancel)

    def _fetch_ahead(self, job: Job, on_failure: Callable[[], None]) -> None:
        try:
            self._fetch(job, self._stopped)
        except Exception as error:  # noqa: BLE001  (nothing that is done ahead may cost anything)
            log.info("job %s: not fetched ahead: %s", job.job_id, brief(error))
            on_failure()

    def _fetch(self, job: Job, cancel: threading.Event) -> None:
        insist(f"job {job.job_id}: download", lambda: self._download(job, cancel), self._services.patience, cancel.wait)
        has_earlier_attempts = job.attempt - (job.status is JobStatus.RUNNING) > 0
        if has_earlier_attempts:
            self.checkpoint.fetch()
        self._has_arrived = True

    def _download(self, job: Job, cancel: threading.Event) -> None:
        """The version that was registered, unless the recording was deleted meanwhile (a delete marker counts)."""

        def stop_if_cancelled(_: int = 0) -> None:
            if cancel.is_set():
                raise _cancelled()

        stop_if_cancelled()
        s3 = self._services.s3
        version: dict[str, Any] = {"VersionId": job.version_id} if job.version_id else {}
        try:
            s3.head_object(Bucket=job.bucket, Key=job.key)
            s3.download_file(job.bucket, job.key, str(self.recording), ExtraArgs=version, Callback=stop_if_cancelled)
        except ClientError as error:
            if status_of(error) != _NOT_FOUND:
                raise
            raise ObjectGone(GONE) from error


def _cancelled() -> Cancelled:
    return Cancelled("The attempt was cancelled while its recording was fetched.")
