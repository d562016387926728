"""An EC2 that gives the answers that AWS gives and moto does not, and others that refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from tests.jobs import policy_world

IMAGE_PARAMETER = "/avskrift/test/ami"
LIMITS = replace(policy_world.LIMITS, max_life_s=10**9, idle_limit_s=10**9)
"""moto's instances are born today: none is to be reaped."""


class FaultyEC2:
    """moto's client, with CreateFleet answers that AWS gives and moto does not: HTTP 200 with ``Errors``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_fleet(self, **request: Any) -> Any:
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault:
            override = request["LaunchTemplateConfigs"][0]["Overrides"][0]
            error = {"ErrorCode": fault, "LaunchTemplateAndOverrides": {"Overrides": override}}
            return {"FleetId": "fleet-1", "Errors": [error], "Instances": []}
        token = request["ClientToken"]
        if token not in self.answers:  # moto knows no tokens: the same one must bring the same fleet
            self.answers[token] = self._client.create_fleet(**request)
        return self.answers[token]


def refused(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "CreateFleet")


class RefusingSQS:
    """moto's client, which may send nothing."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_message(self, **_: Any) -> None:
        raise refused("AccessDenied", 403)
