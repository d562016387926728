"""Checkpoints in the bucket: what an attempt that was cut short leaves to the next one.

A checkpoint is a head start and never a condition: no fault of it reaches the job. What lies in it is the engine's
affair (``avskrift.asr``), which also decides whether it fits; here it is a file of whole lines.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from avskrift.asr.confinement import read_from_worker
from avskrift.jobs.layout import checkpoint_key
from instance.faults import SDK_FAULTS, bounded, brief, code_of
from instance.log_context import carried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)
MAX_CHECKPOINT_BYTES = 64 << 20
"""Far above what ten hours of speech leave (some 1,200 chunks of a few kB): anything bigger is none of ours."""
_ABSENT = frozenset({"NoSuchKey", "404", "AccessDenied"})
"""S3 answers 403 for an absent key to a role without ``s3:ListBucket``."""


class Checkpoint:
    """One job's checkpoint: the file ``path`` that its worker writes, and its copy in the bucket. No method raises."""

    def __init__(self, s3: S3Client, bucket: str, job_id: str, path: Path) -> None:
        self.path = path
        self._s3 = s3
        self._job_id = job_id
        self._bucket = bucket
        self._key = checkpoint_key(job_id)
        self._saved = b""
        self._may_exist = False

    def fetch(self) -> None:
        """Put the copy at ``path``, whole or not at all."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=self._key)
            self._may_exist = True
            if found["ContentLength"] > MAX_CHECKPOINT_BYTES:
                log.warning("job %s: its checkpoint has %d bytes: left alone", self._job_id, found["ContentLength"])
                found["Body"].close()
                return
            lines = found["Body"].read()
            self.path.write_bytes(lines)
            self._saved = _digest(lines)
        except (*SDK_FAULTS, OSError) as error:
            self.path.unlink(missing_ok=True)
            if isinstance(error, ClientError) and code_of(error) in _ABSENT:
                return
            self._may_exist = True
            log.warning("job %s: starts without its checkpoint: %s", self._job_id, brief(error))

    def save(self) -> None:
        """Put what is new in the file into the bucket."""
        lines = self._whole_lines()
        if not 0 < len(lines) <= MAX_CHECKPOINT_BYTES or _digest(lines) == self._saved:
            return
        self._may_exist = True
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._key, Body=lines)
        except SDK_FAULTS as error:
            log.warning("job %s: its checkpoint could not be saved: %s", self._job_id, brief(error))
            return
        self._saved = _digest(lines)
        log.info("job %s: checkpoint of %d bytes saved", self._job_id, len(lines))

    def save_within(self, limit_s: float) -> None:
        """``save``, given up after ``limit_s``."""
        try:
            bounded(limit_s, self.save)
        except TimeoutError as error:
            log.warning("job %s: its checkpoint could not be saved: %s", self._job_id, brief(error))

    def delete(self) -> None:
        """The job has ended: nobody will resume it. What stays behind after all expires with its prefix."""
        if not self._may_exist:
            return
        try:
            self._s3.delete_object(Bucket=self._bucket, Key=self._key)
        except SDK_FAULTS as error:
            log.warning("job %s: its checkpoint could not be deleted: %s", self._job_id, brief(error))

    def _whole_lines(self) -> bytes:
        """What the worker has finished writing."""
        try:
            content = read_from_worker(self.path, MAX_CHECKPOINT_BYTES)
        except OSError:
            return b""
        return content[: content.rfind(b"\n") + 1]


class CheckpointKeeper:
    """While a job is worked on, saves its checkpoint every ``period_s``: an attempt that is killed leaves it too."""

    def __init__(self, checkpoint: Checkpoint, period_s: float) -> None:
        self._checkpoint = checkpoint
        self._period_s = period_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=carried(self._run), name="checkpoints", daemon=True)

    def __enter__(self) -> CheckpointKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Doesn't wait for an upload under way: a bucket that hangs must not hold up the end of a job."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            self._checkpoint.save()


def _digest(lines: bytes) -> bytes:
    return hashlib.sha256(lines).digest()
