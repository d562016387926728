"""A fault in front of any SDK call: every client of these tests is connected through one ``Wire``."""

from __future__ import annotations

import json
import threading
import types
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

Call = tuple[str, str, str]
"""Who called (a function, or ``agent``), the service, the operation."""

THROTTLING = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "lambda": ("TooManyRequestsException", 429),
}
EXPIRED = {"s3": ("ExpiredToken", 400), "ec2": ("RequestExpired", 400)}
SERVER_FAULT = {"dynamodb": ("InternalServerError", 500), "ec2": ("InternalError", 500)}
KINDS = ("throttling", "status 500", "timeout", "connection reset", "expired credentials")


@dataclass(frozen=True)
class Fault:
    """``kind`` meets the calls of ``call`` numbered ``first`` (from 1) to ``last``, as the SDK would raise it."""

    kind: str
    call: Call
    first: int = 1
    last: int = 1

    def refusal(self, service: str) -> tuple[str, int]:
        named = {"throttling": THROTTLING, "status 500": SERVER_FAULT, "expired credentials": EXPIRED}[self.kind]
        usual = {
            "throttling": ("ThrottlingException", 400),
            "status 500": ("InternalFailure", 500),
            "expired credentials": ("ExpiredTokenException", 400),
        }[self.kind]
        return named.get(service, usual)


@dataclass
class Wire:
    """What every client here is connected through: it counts calls, and lets some of them fail. The SDK's own retries
    are not in the way: what is tried is what our code does when they have been used up."""

    actor: str = ""
    fault: Fault | None = None
    calls: Counter[Call] = field(default_factory=Counter)
    nudges: list[dict[str, Any]] = field(default_factory=list)
    hits: int = 0
    _fleets: dict[str, Any] = field(default_factory=dict)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def before_parameters(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["test_params"] = params

    def before_call(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        call = (self.actor, model.service_model.service_name, model.name)
        context["test_is_late"] = False
        if self.actor and self._is_due(call):
            return self._fail(model, call[1], context)
        return self._answer_without_moto(call, context)

    def _is_due(self, call: Call) -> bool:
        with self._counting:
            self.calls[call] += 1
            number = self.calls[call]
            due = self.fault is not None and call == self.fault.call and self.fault.first <= number <= self.fault.last
            self.hits += due
        return due

    def _fail(self, model: Any, service: str, context: dict[str, Any]) -> Any:
        assert self.fault
        if self.fault.kind == "timeout":  # done, but nobody hears of it
            context["test_is_late"] = True
            return self._answer_without_moto((self.actor, service, model.name), context)
        if self.fault.kind == "connection reset":
            raise ConnectionClosedError(endpoint_url=f"https://{service}")
        code, status = self.fault.refusal(service)
        parsed = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return types.SimpleNamespace(status_code=status, headers={}), parsed

    def _answer_without_moto(self, call: Call, context: dict[str, Any]) -> Any:
        """What moto can't do: run functions, and know a client token again."""
        params = context.get("test_params", {})
        if call[1:] == ("lambda", "Invoke"):
            self.nudges.append(json.loads(params["Payload"]))
            return _fine({"StatusCode": 202})
        if call[1:] == ("ec2", "CreateFleet") and params["ClientToken"] in self._fleets:
            return _fine(self._fleets[params["ClientToken"]])
        return None

    def after_call(self, model: Any, parsed: Any, context: dict[str, Any], **_: Any) -> None:
        if model.name == "CreateFleet" and "FleetId" in parsed:
            self._fleets[context["test_params"]["ClientToken"]] = parsed
        if context.get("test_is_late"):
            raise ReadTimeoutError(endpoint_url="https://aws")


def _fine(parsed: dict[str, Any]) -> Any:
    return types.SimpleNamespace(status_code=200, headers={}), parsed


_present: list[Wire] = [Wire()]
"""The one that the shared clients are connected through."""


def connect() -> Wire:
    """A new wire for all clients."""
    _present[:] = [Wire()]
    return _present[0]


@cache
def shared_client(service: str) -> Any:
    """Clients are slow to make and hold nothing of a deployment: one of each for all tests."""
    client = boto3.session.Session().client(service, config=Config(retries={"total_max_attempts": 1}))
    events = client.meta.events
    # The wire of the moment of the call, not of now.
    events.register_first("before-parameter-build", lambda **named: _present[0].before_parameters(**named))  # noqa: PLW0108
    events.register_first("before-call", lambda **named: _present[0].before_call(**named))  # noqa: PLW0108
    events.register_last("after-call", lambda **named: _present[0].after_call(**named))  # noqa: PLW0108
    return client


class SharedSession(boto3.session.Session):
    def client(self, service: str, *_: Any, **__: Any) -> Any:
        return shared_client(service)
