"""One POST to an address somebody else chose: no redirects, no proxies, a short answer, and never inside a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from socket import SHUT_RDWR, fromfd, socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from avskrift import __version__
from avskrift.webhooks.address import AddressRules, ForbiddenAddress, checked_url, connect

MAX_ANSWER_BYTES = 64_000
EXCERPT_BYTES = 200
MAX_RETRY_AFTER_S = 86_400
"""A receiver may ask for a day's patience, no more."""
USER_AGENT = f"avskrift/{__version__}"
GONE = 410
"""A receiver's way to say: never again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended: an HTTP ``status``, or 0 and the ``fault`` that kept it from one."""

    status: int
    duration_s: float
    excerpt: str = ""
    fault: str = ""
    retry_after_s: float | None = None
    is_forbidden: bool = False

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether trying again is pointless."""
        return self.status == GONE or self.is_forbidden


class WebhookSender:
    """Sends signed bodies; addresses are checked at every connect, and ``timeout_s`` bounds a whole attempt."""

    def __init__(self, rules: AddressRules, timeout_s: float = 5.0) -> None:
        self._rules = rules
        self._timeout_s = timeout_s

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST ``body`` as it is. Never raises for what the other side does: the answer says it.

        A thread of its own does it, because no timeout of a socket bounds a slow resolver or an answer that drips in
        byte by byte. One that is late is cut off.
        """
        attempt = _Attempt(self._rules, self._timeout_s)
        thread = threading.Thread(target=attempt.run, args=(url, body, headers), name="webhook", daemon=True)
        started = time.monotonic()
        thread.start()
        thread.join(self._timeout_s)
        answer = attempt.answer  # taken before the cut, which looks like the end of an answer
        attempt.cut_off()
        return answer or Answer(0, time.monotonic() - started, fault="no answer in time")


class _Attempt:
    """One POST on one connection. ``answer`` is set as soon as there is a status."""

    def __init__(self, rules: AddressRules, timeout_s: float) -> None:
        self._rules = rules
        self._timeout_s = timeout_s
        self._connection: socket | None = None
        self.answer: Answer | None = None

    def run(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        started = time.monotonic()
        try:
            checked_url(url, self._rules)
            with requests.Session() as session, self._post(session, url, body, headers) as response:
                answered = Answer(
                    response.status_code, time.monotonic() - started, retry_after_s=_retry_after_s(response)
                )
                self.answer = answered  # the status counts even if the rest never comes
                excerpt = _read_excerpt(response).decode("utf-8", "replace")
                self.answer = replace(answered, duration_s=time.monotonic() - started, excerpt=excerpt)
        except ForbiddenAddress as error:
            self.answer = Answer(0, time.monotonic() - started, fault=error.message, is_forbidden=True)
        except Exception as error:  # noqa: BLE001 - a thread that ends by a fault has its text written to stderr
            self.answer = self.answer or Answer(0, time.monotonic() - started, fault=_fault(error))
        finally:
            self.cut_off()
            if self._connection is not None:
                self._connection.close()

    def cut_off(self) -> None:
        """End the connection, whatever is still going on over it."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(SHUT_RDWR)

    def _post(self, session: requests.Session, url: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        session.trust_env = False  # no proxies, no .netrc
        adapter = _GuardedAdapter(self._connect)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session.post(
            url,
            data=body,
            headers={"content-type": "application/json", "user-agent": USER_AGENT, "connection": "close", **headers},
            timeout=self._timeout_s,
            allow_redirects=False,
            stream=True,
        )

    def _connect(self, scheme: str, host: str, port: int) -> socket:
        self._rules.check_url(scheme, port)
        connected = connect(host, port, self._timeout_s, self._rules)
        # A second handle on the connection: TLS takes the first one over.
        self._connection = fromfd(connected.fileno(), connected.family, connected.type)
        return connected


def _read_excerpt(response: requests.Response) -> bytes:
    """The first bytes of the answer; an endless one is not read to its end."""
    received = b""
    for chunk in response.iter_content(4_096):
        received += chunk
        if len(received) >= MAX_ANSWER_BYTES:
            break
    return received[:EXCERPT_BYTES]


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds or an HTTP date, never in the past and never beyond a day."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal() and value.isascii():
        wait_s = float(value[:9])
    else:
        try:
            wait_s = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return min(MAX_RETRY_AFTER_S, max(0.0, wait_s))


def _fault(error: Exception) -> str:
    """The innermost cause, without the URL: its query string may hold a receiver's secret."""
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return type(cause).__name__


Connect = Callable[[str, str, int], socket]
"""Scheme, host and port to a connected socket."""


class _GuardedAdapter(HTTPAdapter):
    """Requests' adapter with connections that are made by ``connect``."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _guarded_pools(self._connect)


def _guarded_pools(connect: Connect) -> dict[str, type[HTTPConnectionPool]]:
    def guarded_socket(connection: HTTPConnection, scheme: str) -> socket:
        try:
            return connect(scheme, connection.host, connection.port or (443 if scheme == "https" else 80))
        except OSError as error:
            raise NewConnectionError(connection, type(error).__name__) from error

    class GuardedHTTP(HTTPConnection):
        def _new_conn(self) -> socket:
            return guarded_socket(self, "http")

    class GuardedHTTPS(HTTPSConnection):
        def _new_conn(self) -> socket:
            return guarded_socket(self, "https")

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = GuardedHTTP

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = GuardedHTTPS

    return {"http": PlainPool, "https": SecurePool}
