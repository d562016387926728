"""What a call to AWS can meet: how that is named, whether it passes, how long to insist, how long to wait."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from avskrift.errors import AvskriftError
from instance.log_context import carried

log = logging.getLogger(__name__)
T = TypeVar("T")

SDK_FAULTS = (BotoCoreError, ClientError, Boto3Error)
"""What a client raises: no answer, an answer that refuses, and the transfer manager's own words for either."""
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_PASSING_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Refusals with a 4xx status that another try may not meet. An expired token is renewed by the client itself."""


def brief(error: BaseException) -> str:
    """A fault for log and job: its kind and code, never its text, which may name keys and addresses."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} answered {code_of(error)}"
    if isinstance(error, AvskriftError):
        return f"{error.code}: {error.message}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in {frames[-1].name}" if frames else type(error).__name__


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status of a refusal; 0 where there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed a little later."""
    if not isinstance(error, ClientError):
        return isinstance(error, (BotoCoreError, Boto3Error))
    if code_of(error) == "TransactionCanceledException":
        reasons = error.response.get("CancellationReasons", [])
        return any(reason.get("Code") in ("TransactionConflict", "ThrottlingError") for reason in reasons)
    status = status_of(error)
    return code_of(error) in _PASSING_CODES or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is repeated that meets passing faults (on top of the client's own quick retries)."""

    pauses_s: Sequence[float] = (1.0, 3.0, 9.0)
    """Between one try and the next."""
    limit_s: float = 45.0
    """No new try is begun after this."""


def insist(what: str, call: Callable[[], T], patience: Patience, wait: Callable[[float], object] = time.sleep) -> T:
    """``call``'s result; it must be one that can be repeated. Raises what its last try raised.

    ``wait`` pauses between tries; an event's own ``wait`` ends the pause when the event is set.
    """
    began = time.monotonic()
    for pause_s in patience.pauses_s:
        try:
            return call()
        except SDK_FAULTS as error:
            if not is_passing(error) or time.monotonic() - began > patience.limit_s:
                raise
            log.warning("%s: %s; trying again", what, brief(error))
        wait(pause_s)
    return call()


def bounded(limit_s: float, call: Callable[[], T]) -> T:
    """``call``'s result, or ``TimeoutError`` after ``limit_s``: what hangs is left behind in a thread of its own."""
    answer: list[T] = []
    fault: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
            fault.append(error)

    thread = threading.Thread(target=carried(run), name="bounded", daemon=True)
    thread.start()
    thread.join(limit_s)
    if fault:
        raise fault[0]
    if not answer:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return answer[0]
