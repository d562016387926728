"""While a job is worked on, a thread says so: the row's beat, the message's visibility, the progress clients see."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from avskrift.jobs.model import Job, JobProgress
from avskrift.jobs.table import JobTable, StaleAttempt

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job this agent owns, and the message that brought it."""

    job: Job
    queue_url: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to beat, after how much silence the job is taken away, and how long it may stand still."""

    heartbeat_s: float
    lease_s: float
    stall_s: float

    @property
    def visibility_s(self) -> int:
        """The message stays hidden as long as the row counts as alive."""
        return max(1, round(self.lease_s))


class Beating(Protocol):
    """The attempt that a heartbeat speaks for."""

    def lost(self) -> None:
        """The job is no longer ours."""

    def stalled(self) -> None:
        """Neither progress nor phases changed for ``stall_s``."""


class Heartbeat:
    """Beats for one attempt until stopped.

    ``progress`` and ``phases`` are what the next beat tells; the attempt's thread fills them.
    """

    def __init__(self, claim: Claim, table: JobTable, sqs: SQSClient, pace: Pace, attempt: Beating) -> None:
        self.progress: JobProgress | None = None
        self.phases: dict[str, float] = {}
        self._claim = claim
        self._table = table
        self._sqs = sqs
        self._pace = pace
        self._attempt = attempt
        self._last: tuple[JobProgress | None, int] = (None, 0)
        self._changed_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No beat after this returns."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._beat()
            except StaleAttempt:
                log.warning("job %s is no longer ours", self._claim.job.job_id)
                self._attempt.lost()
                return
            except (BotoCoreError, ClientError) as error:
                # The lease outlives several beats: a passing fault costs one of them.
                log.warning("a beat of job %s failed: %s", self._claim.job.job_id, type(error).__name__)
            self._watch_progress()
            self._stopped.wait(self._pace.heartbeat_s)

    def _watch_progress(self) -> None:
        """A worker that hangs must not live on the beats of this thread."""
        now, current = time.monotonic(), (self.progress, len(self.phases))
        if current != self._last:
            self._last, self._changed_at = current, now
        elif now - self._changed_at > self._pace.stall_s:
            self._changed_at = now
            self._attempt.stalled()

    def _beat(self) -> None:
        self._table.beat(self._claim.job, self.progress, dict(self.phases))
        self._sqs.change_message_visibility(
            QueueUrl=self._claim.queue_url,
            ReceiptHandle=self._claim.receipt,
            VisibilityTimeout=self._pace.visibility_s,
        )
