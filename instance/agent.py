"""The queue loop: claim, work, repeat, until the queue has been empty for ``linger`` or the instance must go."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from instance.heartbeat import Claim
from instance.work import Attempt, Services, brief

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = logging.getLogger(__name__)
MAX_WAIT_S = 20
"""The longest long poll SQS allows."""
FAULT_PAUSE_S = 2.0


class Agent:
    """Drains the jobs queue. ``stop`` may be called from any thread or signal handler."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = threading.Event()
        self._counts = False
        self._attempt: Attempt | None = None

    def stop(self, *, counts: bool = False) -> None:
        """Claim nothing more and hand the present job back; ``counts`` against it, if it is what takes so long."""
        self._counts = counts
        self._stopping.set()
        attempt = self._attempt
        if attempt:
            attempt.hand_back(counts=counts)

    def run(self) -> None:
        """Return when there has been no job for ``linger_s``, or after ``stop``."""
        linger_s = self._services.settings.linger_s
        idle_since = time.monotonic()
        while not self._stopping.is_set():
            remaining_s = idle_since + linger_s - time.monotonic()
            message = None
            try:
                message = self._receive(min(MAX_WAIT_S, max(0.0, remaining_s)))
                if message and self._handle(message):
                    idle_since = time.monotonic()
                    continue
            except Exception as error:  # noqa: BLE001
                # A loop that dies leaves a paid machine idle: the row and its lease say what becomes of the job.
                log.error("the queue loop met a fault: %s", brief(error))
                self._stopping.wait(FAULT_PAUSE_S)
            if message is None and time.monotonic() - idle_since >= linger_s:
                log.info("the queue has been empty for %.0f s: done", linger_s)
                return

    def _receive(self, wait_s: float) -> MessageTypeDef | None:
        settings = self._services.settings
        response = self._services.sqs.receive_message(
            QueueUrl=settings.jobs_queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=math.ceil(wait_s),
            VisibilityTimeout=max(1, round(settings.lease_s)),
        )
        messages = response.get("Messages", [])
        return messages[0] if messages else None

    def _handle(self, message: MessageTypeDef) -> bool:
        """Work on the message's job; False (and no message any more) if there was nothing to claim."""
        queue_url = self._services.settings.jobs_queue_url
        job_id = _job_id(message.get("Body", ""))
        now = round(self._services.clock(), 3)
        job = self._services.table.claim(job_id, self._services.identity.instance_id, now) if job_id else None
        if job is None:
            # Ended, running elsewhere, or never ours: whoever requeues a job sends it a message of its own.
            log.warning("dropped a message without a queued job (%s)", job_id or "malformed")
            self._services.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            return False
        self._attempt = Attempt(Claim(job, queue_url, message["ReceiptHandle"]), self._services)
        if self._stopping.is_set():
            self._attempt.hand_back(counts=self._counts)
        try:
            self._attempt.run()
        finally:
            self._attempt = None
        return True


def _job_id(body: str) -> str | None:
    try:
        job_id = json.loads(body)["job_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return job_id if isinstance(job_id, str) else None
