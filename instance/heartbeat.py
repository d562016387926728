"""While a job is worked on, a thread says so: the row's beat, the message's visibility, the progress clients see."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

from avskrift.jobs.model import Job, JobProgress
from avskrift.jobs.table import JobTable, StaleAttempt
from instance.faults import SDK_FAULTS, brief
from instance.jobsqueue import JobsQueue
from instance.log_context import carried

log = logging.getLogger(__name__)
STOP_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A job this agent owns, and the message that brought it."""

    job: Job
    receipt: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to beat, and how long the work may stand still."""

    heartbeat_s: float
    stall_s: float


class Beating(Protocol):
    """The attempt that a heartbeat speaks for."""

    def cost_so_far(self) -> tuple[float, dict[str, Any]]:
        """When, and what the job has cost until then."""

    def cost_told(self, until: float) -> None:
        """The row holds it."""

    def lost(self) -> None:
        """The job is no longer ours."""

    def stalled(self) -> None:
        """Neither progress nor phases changed for ``stall_s``."""


class Heartbeat:
    """Beats for one attempt until stopped.

    ``progress`` and ``phases`` are what the next beat tells; the attempt's thread fills them.
    """

    def __init__(self, claim: Claim, table: JobTable, queue: JobsQueue, pace: Pace, attempt: Beating) -> None:
        self.progress: JobProgress | None = None
        self.phases: dict[str, float] = {}
        self._claim = claim
        self._table = table
        self._queue = queue
        self._pace = pace
        self._attempt = attempt
        self._last: tuple[JobProgress | None, int] = (None, 0)
        self._changed_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=carried(self._run), name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No beat after this returns, but for one that hangs: the fence refuses it once the job has gone on."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._beat()
            except StaleAttempt:
                log.warning("job %s is no longer ours", self._claim.job.job_id)
                self._attempt.lost()
                return
            self._keep_message()
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
        """The lease outlives several beats: a passing fault costs one of them. Raises ``StaleAttempt``."""
        try:
            at, cost = self._attempt.cost_so_far()
            self._table.beat(self._claim.job, self.progress, dict(self.phases), cost)
            self._attempt.cost_told(at)
        except StaleAttempt:
            raise
        except Exception as error:  # noqa: BLE001
            # A thread that ends here takes the job away from an attempt that is well.
            log.warning("a beat of job %s failed: %s", self._claim.job.job_id, brief(error))

    def _keep_message(self) -> None:
        try:
            self._queue.keep(self._claim.receipt)
        except SDK_FAULTS as error:
            # It comes again too early, and is dropped: the job is not there to be claimed.
            log.warning("the message of job %s was not kept: %s", self._claim.job.job_id, brief(error))
