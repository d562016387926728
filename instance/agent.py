"""The queue loop: claim, work, repeat, until the queue has been empty for ``linger`` or the instance must go."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext

from botocore.exceptions import ClientError

from avskrift.jobs.model import Job, MalformedRow
from instance.billing import Bill
from instance.faults import brief, code_of, insist
from instance.heartbeat import Claim
from instance.jobsqueue import Message
from instance.log_context import about
from instance.prefetch import Prefetcher
from instance.preparation import Preparation
from instance.services import Services
from instance.work import Attempt, HandBack

log = logging.getLogger(__name__)
FAULT_PAUSE_S = 2.0
FAULT_PATIENCE_S = 30.0
"""An agent that met nothing but faults for so long, and for ``linger_s``, ends: another one may have more luck."""

MAX_FAULTS_IN_A_ROW = 2
"""Attempts that failed by no fault of the recording, after which an agent holds its instance for the cause.

Of one job or of two: an instance whose GPU is gone must use up neither a backlog nor the attempts of a lone job, whose
next one is worth more elsewhere. A recording that kills workers costs at most one launch by this, for among other jobs
a transcript in between shows that the instance is well.
"""


class Agent:
    """Drains the jobs queue. ``stop``, ``retire`` and ``abandon`` may be called from any thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._queue = services.queue
        self._prefetcher = Prefetcher(services)
        self._bill = Bill(services)
        self._leaving = threading.Event()
        self._reason: HandBack | None = None
        self._attempt: Attempt | None = None
        self._faults_in_a_row = 0
        self._idle_since = time.monotonic()

    def stop(self, reason: HandBack = HandBack.STOPPED) -> None:
        """Claim nothing more and hand the present job back."""
        self._reason = self._reason or reason
        self.retire()
        attempt = self._attempt
        if attempt:
            attempt.hand_back(reason)

    def retire(self) -> None:
        """Claim nothing more, but finish the present job."""
        self._leaving.set()
        self._prefetcher.close()

    def abandon(self) -> None:
        """After ``stop``: return the present job past whatever hangs. Raises what AWS answers."""
        attempt = self._attempt
        if attempt:
            attempt.abandon()

    def run(self) -> None:
        """Return when there has been no job for ``linger_s``, or after ``stop`` or ``retire``."""
        self._idle_since = time.monotonic()
        try:
            self._drain()
        finally:
            self._prefetcher.close()
            self._prefetcher.join(self._services.hand_back_s)
            self._bill.close(round(self._services.clock(), 3))

    def _drain(self) -> None:
        linger_s = self._services.settings.linger_s
        while not self._leaving.is_set():
            try:
                if not self._next(self._idle_since + linger_s - time.monotonic()) and self._idle_s() >= linger_s:
                    log.info("the queue has been empty for %.0f s: done", linger_s)
                    return
            except Exception as error:  # noqa: BLE001
                # A loop that dies leaves a paid machine idle: the row and its lease say what becomes of the job.
                log.error("the queue loop met a fault: %s", brief(error))
                if self._idle_s() >= max(linger_s, FAULT_PATIENCE_S):
                    log.error("nothing but faults for %.0f s: done", self._idle_s())
                    return
                self._leaving.wait(FAULT_PAUSE_S)

    def _next(self, wait_s: float) -> bool:
        """Handle the next message, the one fetched ahead first; False if the queue had none for ``wait_s``."""
        peeked = self._prefetcher.take()
        message = peeked.message if peeked else self._queue.receive(wait_s)
        if message is None:
            return False
        with peeked.place if peeked else nullcontext() as place:
            self._handle(message, place)
        return True

    def _handle(self, message: Message, place: Preparation | None) -> None:
        """Work on the message's job, or take away a message that has none."""
        if self._leaving.is_set():
            self._queue.give_back(message.receipt)  # it came while we were told to go
            return
        if message.job_id is None:
            # Its text is a stranger's: not logged.
            log.error("message %s of the jobs queue names no job: deleted", message.message_id)
            self._queue.delete(message.receipt)
            return
        with about(message.job_id), place or self._prepare(message, message.job_id) as prepared:
            job = self._offered(message, message.job_id)
            if job:
                with about(job.job_id, job.attempt):
                    self._work(Claim(job, message.receipt), prepared)

    def _prepare(self, message: Message, job_id: str) -> Preparation:
        """Raises ``OSError``, and then nothing was claimed: another instance may have the disk that this one lacks."""
        try:
            return Preparation(job_id, self._services)
        except OSError as error:
            log.error("no place to work in: %s; claiming no more", brief(error))
            self.retire()
            self._queue.give_back(message.receipt)
            raise

    def _offered(self, message: Message, job_id: str) -> Job | None:
        """The message's job, now ours, or None, and then the message is gone."""
        try:
            job = self._claim(job_id)
        except Exception:
            # Not at once: each time it is received brings it nearer to the dead-letter queue.
            self._queue.give_back(message.receipt, self._queue.lease_s / 3)
            raise
        if job is None:
            # Ended, running elsewhere, or never ours: whoever requeues a job sends it a message of its own.
            log.warning("dropped a message without a job to claim (%s)", job_id)
            self._queue.delete(message.receipt)
        return job

    def _claim(self, job_id: str) -> Job | None:
        """The job, now ours; None if there is nothing to claim. λ capacity ends a job whose row is nonsense."""
        table, instance_id = self._services.table, self._services.identity.instance_id
        try:
            return insist(
                f"job {job_id}: claim",
                lambda: table.claim(job_id, instance_id, round(self._services.clock(), 3)),
                self._services.patience,
                self._leaving.wait,
            )
        except MalformedRow as error:
            log.error("job %s: %s", job_id, error.message)
        except ClientError as error:
            if code_of(error) != "ValidationException":
                raise
            log.error("job %s: the row holds what can't be counted on: %s", job_id, brief(error))
        return None

    def _work(self, claim: Claim, place: Preparation) -> None:
        self._prefetcher.begin()
        self._bill.begin(claim.job)
        attempt = self._attempt = Attempt(claim, self._services, place, self._bill, self._prefetcher.follow)
        if self._reason:
            attempt.hand_back(self._reason)
        has_worked: bool | None = False
        try:
            attempt.run()
            has_worked = attempt.has_worked
        finally:
            self._attempt = None
            self._idle_since = time.monotonic()
            self._judge(has_worked)

    def _judge(self, has_worked: bool | None) -> None:
        """Retire from an instance that only fails; see ``Attempt.has_worked``."""
        if has_worked is None:
            return
        self._faults_in_a_row = 0 if has_worked else self._faults_in_a_row + 1
        if self._faults_in_a_row >= MAX_FAULTS_IN_A_ROW:
            log.error("%d attempts in a row failed here: claiming no more", self._faults_in_a_row)
            self.retire()

    def _idle_s(self) -> float:
        return time.monotonic() - self._idle_since
