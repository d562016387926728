"""How an attempt lets go of its job: it ends it, hands it back, or finds that the job went on without it.

Every write to the row is fenced, and insisted on for a while. One whose answer got lost is repeated, refused, and then
found in the row as our own: by the time it set, which no other write has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from avskrift.errors import AvskriftError
from avskrift.jobs.measures import of_attempt, of_end
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.outbox import OutboxEntry, outbox_entry_for
from avskrift.jobs.table import StaleAttempt
from instance.checkpoints import Checkpoint
from instance.faults import SDK_FAULTS, Patience, bounded, brief, insist
from instance.heartbeat import Claim
from instance.results import ResultStore, session_end
from instance.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandedBack:
    """How a job goes back to the queue at ``at``: as a failure, as EC2's doing, or neither."""

    at: float
    cost: dict[str, Any]
    failed: bool = False
    interrupted: bool = False
    after_s: float = 0.0
    """When its message comes again."""


class Ending:
    """The last writes of one attempt. What λ capacity makes up for is logged and never raised."""

    def __init__(self, claim: Claim, services: Services, store: ResultStore, checkpoint: Checkpoint) -> None:
        self._claim = claim
        self._services = services
        self._store = store
        self._checkpoint = checkpoint

    def finish(self, ended: Job, extra: dict[str, Any]) -> None:
        """The transaction, then the record, the webhook's first attempt, the message. Raises ``StaleAttempt``."""
        outbox = insist(f"job {ended.job_id}: finish", lambda: self._write_end(ended), self._patience())
        fields = {"status": ended.status.value, "error": ended.error.code if ended.error else None}
        log.info("job %s: %s", ended.job_id, ended.status.value, extra=fields)
        self._services.measure(of_end(ended), ended)
        self._write_record(ended, extra)
        if outbox:
            self._deliver(outbox.outbox_id, ended)
        self._checkpoint.delete()
        self._delete_message()

    def requeue(self, back: HandedBack) -> None:
        """The row, then the message. Raises ``StaleAttempt``, ``TimeoutError``."""

        def write() -> None:
            job, failed, interrupted = self._claim.job, back.failed, back.interrupted
            try:
                self._services.table.requeue(job, back.at, failed=failed, interrupted=interrupted, cost=back.cost)
            except StaleAttempt:
                self._require_own(JobStatus.QUEUED, back.at)

        what = f"job {self._claim.job.job_id}: requeue"
        bounded(self._services.hand_back_s, lambda: insist(what, write, self._patience()))
        self._return_message(back.after_s)

    def withdraw(self, *, has_results: bool) -> Job | None:
        """The job went on without us: our message goes and, if it was cancelled, what we left of it.

        Never what lies there of a job that another attempt owns or has ended. Returns the row if there is one that can
        be read.
        """
        try:
            row = self._services.table.get(self._claim.job.job_id)
        except (*SDK_FAULTS, AvskriftError) as error:
            log.warning("job %s: its row can't be read: %s", self._claim.job.job_id, brief(error))
            return None  # the message comes again, and finds what there is to be found then
        if row and row.status is JobStatus.QUEUED:
            self._return_message(after_s=0.0)  # it may be the only one; two do no harm
            return row
        self._delete_message()
        if row is None or row.status is JobStatus.CANCELLED:  # deleted, or on its way there
            self._clear(row or self._claim.job, has_results=has_results)
        return row

    def _clear(self, job: Job, *, has_results: bool) -> None:
        if has_results:
            self._try("results that nobody wants could not be deleted", lambda: self._store.delete(job))
        self._checkpoint.delete()

    def charge(self, cost: dict[str, Any]) -> bool:
        """Put the cost on a row that was ended under our hands; whether it is there now."""
        job, table = self._claim.job, self._services.table
        return self._try("its cost could not be written", lambda: table.set_cost(job.job_id, job.attempt, cost))

    def _patience(self) -> Patience:
        """No longer than the row counts as alive, for the heartbeat has ended."""
        return Patience(self._services.patience.pauses_s, limit_s=self._services.settings.lease_s / 2)

    def _write_end(self, ended: Job) -> OutboxEntry | None:
        """Status, result and outbox entry in one transaction."""
        keys = ended.result["keys"] if ended.result else {}
        links = self._store.links(keys, ended.status_at, session_end(self._services.s3)) if keys else None
        outbox = outbox_entry_for(ended, ended.status_at, links)
        try:
            self._services.table.finish(self._claim.job, ended, outbox)
        except StaleAttempt:
            self._require_own(ended.status, ended.status_at)
        return outbox

    def _require_own(self, status: JobStatus, at: float) -> None:
        """Raise ``StaleAttempt`` unless the row is as our write, whose answer got lost, made it."""
        row = self._services.table.get(self._claim.job.job_id)
        if row is None or (row.status, row.status_at, row.attempt) != (status, at, self._claim.job.attempt):
            raise StaleAttempt(f"Job {self._claim.job.job_id} went on without this attempt; it writes nothing more.")

    def _write_record(self, ended: Job, extra: dict[str, Any]) -> None:
        """Behind the fence, so that a stale attempt leaves no record; and never in the way of the webhook."""
        self._try("job.json could not be written", lambda: self._store.write_record(ended, extra))

    def _deliver(self, outbox_id: str, ended: Job) -> None:
        try:
            entry = self._services.outbox.deliver(outbox_id)
            self._tell(entry, ended)
        except Exception as error:  # noqa: BLE001
            # The job has ended; λ capacity finds the entry that nobody holds and has it delivered.
            log.error("webhook %s: the first attempt failed: %s", outbox_id, brief(error))

    def _tell(self, entry: OutboxEntry | None, ended: Job) -> None:
        """As λ deliver tells of its attempts."""
        if entry is None or not entry.attempts:
            return
        self._services.measure(of_attempt(entry), ended)
        fields = {"outbox_id": entry.outbox_id, "state": entry.status, "http_status": entry.attempts[-1].get("status")}
        log.info("job %s: attempt at its webhook", ended.job_id, extra=fields)

    def _return_message(self, after_s: float) -> None:
        """One that is lost is sent again by λ capacity, when it finds that there are fewer of them than queued rows."""

        def give_back() -> None:
            self._services.queue.give_back(self._claim.receipt, after_s)

        def insist_on_it() -> None:
            insist(f"job {self._claim.job.job_id}: return of its message", give_back, self._patience())

        self._try("its message could not be returned", lambda: bounded(self._services.hand_back_s, insist_on_it))

    def _delete_message(self) -> None:
        """One that stays comes again, and is dropped by whoever finds nothing to claim."""
        self._try("its message could not be deleted", lambda: self._services.queue.delete(self._claim.receipt))

    def _try(self, complaint: str, call: Callable[[], object]) -> bool:
        try:
            call()
        except (*SDK_FAULTS, AvskriftError, TimeoutError) as error:
            log.warning("job %s: %s: %s", self._claim.job.job_id, complaint, brief(error))
            return False
        return True
