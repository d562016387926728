"""Deliver one outbox entry: the agent makes the first attempt with this, λ deliver every further one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from avskrift.errors import ConfigurationError
from avskrift.jobs.messages import send_outbox
from avskrift.jobs.model import MalformedRow
from avskrift.jobs.outbox import OutboxEntry
from avskrift.jobs.table import JobTable
from avskrift.webhooks.schedule import next_delay_s
from avskrift.webhooks.send import Answer, WebhookSender
from avskrift.webhooks.signature import SECRET_PREFIX, signed_headers

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

EARLY_S = 1.0
"""An entry this close to its time is sent now instead of being delayed once more."""


class WebhookSecrets:
    """The active secrets of a deployment, read once and kept for ``keep_s``."""

    def __init__(self, client: SecretsManagerClient, secret_id: str, keep_s: float = 300.0) -> None:
        self._client = client
        self._secret_id = secret_id
        self._keep_s = keep_s
        self._secrets: list[str] = []
        self._read_at = float("-inf")

    def active(self) -> list[str]:
        """``whsec_…`` secrets, newest first: one signature for each."""
        if time.monotonic() - self._read_at > self._keep_s:
            self._secrets = self._read()
            self._read_at = time.monotonic()
        return self._secrets

    def _read(self) -> list[str]:
        found = self._client.get_secret_value(SecretId=self._secret_id)
        try:
            stored = json.loads(found["SecretString"])
            previous = stored.get("previous")
            return [SECRET_PREFIX + stored["current"], *([SECRET_PREFIX + previous] if previous else [])]
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise ConfigurationError(
                f"The secret {self._secret_id} must be the text of a JSON object with 'current'."
            ) from error


class Outbox:
    """Sends entries, records what came of it, and asks the queue for the next attempt."""

    def __init__(
        self,
        table: JobTable,
        secrets: WebhookSecrets,
        sender: WebhookSender,
        sqs: SQSClient,
        queue_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._secrets = secrets
        self._sender = sender
        self._sqs = sqs
        self._queue_url = queue_url
        self._clock = clock

    def deliver(self, outbox_id: str, attempt: int | None = None) -> OutboxEntry | None:
        """Attempt an entry if it is due; None if there is no such entry, or it was settled before.

        ``attempt`` is what a message was sent for, counted from 0: one that comes again later is dropped, so that
        messages for an entry never multiply. An entry edited into nonsense is put aside, and raises ``MalformedRow``.
        """
        try:
            entry = self._table.outbox_entry(outbox_id)
        except MalformedRow:
            self._table.put_aside(f"outbox#{outbox_id}")
            raise
        if entry is None or entry.status != "pending" or attempt not in (None, len(entry.attempts)):
            return None
        wait_s = entry.next_attempt_at - self._clock()
        if wait_s > EARLY_S:
            send_outbox(self._sqs, self._queue_url, entry, wait_s)
            return entry
        return self._record(entry, self._attempt(entry))

    def _attempt(self, entry: OutboxEntry) -> Answer:
        body = entry.body.encode()
        headers = signed_headers(self._secrets.active(), entry.outbox_id, int(self._clock()), body)
        return self._sender.post(entry.url, body, headers)

    def _record(self, entry: OutboxEntry, answer: Answer) -> OutboxEntry:
        now = self._clock()
        tried = _after(replace(entry, attempts=[*entry.attempts, _log_line(now, answer)]), answer, now)
        if not self._table.record_attempt(tried):
            return tried  # another sender was faster: the receiver sees the same id twice, never two ids
        if tried.status == "delivered":
            self._table.mark_delivered(tried.job_id, now)
        elif tried.status == "pending":
            send_outbox(self._sqs, self._queue_url, tried, tried.next_attempt_at - now)
        return tried


def _after(tried: OutboxEntry, answer: Answer, now: float) -> OutboxEntry:
    """The entry as its last attempt leaves it: delivered, abandoned, or waiting for the next."""
    if answer.is_success:
        return replace(tried, status="delivered")
    delay_s = None if answer.is_final else next_delay_s(len(tried.attempts), answer.retry_after_s)
    if delay_s is None:
        return replace(tried, status="abandoned")
    return replace(tried, next_attempt_at=now + delay_s)


def _log_line(now: float, answer: Answer) -> dict[str, Any]:
    return {
        "at": round(now, 3),
        "status": answer.status,
        "duration_s": round(answer.duration_s, 3),
        "answer": answer.excerpt or answer.fault,
    }
