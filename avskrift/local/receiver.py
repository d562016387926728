"""A webhook receiver as a customer would write one: verifies with the ``standardwebhooks`` package, keeps what came.

>>> with Receiver([secret]) as receiver:
...     reception = receiver.wait_for(lambda one: one.verified and one.type == "job.completed", timeout_s=60)
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from avskrift.errors import LocalCloudError
from avskrift.local.loopback import Handler, LoopbackServer

_NO_CONTENT = 204


@dataclass(frozen=True)
class Reception:
    """One request that arrived."""

    received_at: float
    """UTC epoch, seconds."""
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    verified: bool
    error: str
    """Why it isn't verified; empty when it is."""
    status: int
    """What it was answered."""
    attempts: int
    """How many requests with this webhook id had come, this one included."""

    @property
    def webhook_id(self) -> str:
        return self.headers.get("webhook-id", "")

    @property
    def event(self) -> dict[str, Any]:
        """The body as JSON; empty when it is none."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def type(self) -> str:
        return str(self.event.get("type", ""))

    @property
    def job_id(self) -> str:
        data = self.event.get("data")
        return str(data.get("job_id", "")) if isinstance(data, dict) else ""


class Receiver:
    """Listens on loopback from construction to :meth:`stop`, on ``port`` or any free one.

    ``answers`` are the statuses of the first requests in turn (``[500, 200]``: fail once); afterwards ``then``.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        answers: Iterable[int] = (),
        then: int = _NO_CONTENT,
        headers: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self._arrived = threading.Condition()
        self._receptions: list[Reception] = []
        self._answers = deque(answers)
        self._then = then
        self._headers = dict(headers or {})
        self._webhooks: list[Webhook] = []
        self.trust(secrets)
        self._server = LoopbackServer(_handler_for(self), port)
        self.url = f"{self._server.url}/webhook"
        self._server.start()

    def trust(self, secrets: Iterable[str]) -> None:
        """From now on accept signatures made with these secrets, and no others."""
        self._webhooks = [Webhook(secret) for secret in secrets]

    def answer_next(self, statuses: Iterable[int]) -> None:
        """Answer the coming requests with these statuses in turn."""
        with self._arrived:
            self._answers.extend(statuses)

    @property
    def receptions(self) -> list[Reception]:
        """All that came, in order."""
        with self._arrived:
            return list(self._receptions)

    def find(self, job_id: str) -> Reception | None:
        """The latest request about this job."""
        return next((one for one in reversed(self.receptions) if one.job_id == job_id), None)

    def wait_for(self, wanted: Callable[[Reception], bool], timeout_s: float) -> Reception:
        """The first request that is ``wanted``, come or still to come; :class:`LocalCloudError` after ``timeout_s``."""
        with self._arrived:
            found = self._arrived.wait_for(lambda: next(filter(wanted, self._receptions), None), timeout_s)
        if found is None:
            came = ", ".join(f"{one.type or one.path} ({one.error or 'verified'})" for one in self.receptions)
            raise LocalCloudError(f"No such webhook within {timeout_s:g} s; what came: {came or 'nothing'}.")
        return found

    def receive(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]:
        """Keep one request; the status and headers to answer."""
        error = self._fault_of(headers, body)
        with self._arrived:
            status = self._answers.popleft() if self._answers else self._then
            webhook_id = headers.get("webhook-id", "")
            earlier = sum(one.webhook_id == webhook_id for one in self._receptions)
            self._receptions.append(
                Reception(time.time(), path, dict(headers), body, not error, error, status, earlier + 1)
            )
            self._arrived.notify_all()
        return status, self._headers

    def _fault_of(self, headers: Mapping[str, str], body: bytes) -> str:
        fault = "No secret to verify with."
        for webhook in self._webhooks:
            try:
                webhook.verify(body, dict(headers), json_parse=False)
            except (WebhookVerificationError, ValueError) as error:  # ValueError: not UTF-8, or a torn signature header
                fault = str(error)
            else:
                return ""
        return fault

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _handler_for(receiver: Receiver) -> type[Handler]:
    class WebhookHandler(Handler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer_headers = receiver.receive(self.path, headers, self.read_body())
            self.respond(status, b"", headers=answer_headers)

    return WebhookHandler
