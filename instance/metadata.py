"""The instance metadata service, version 2 only (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import requests

from avskrift.errors import ConfigurationError

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_TTL_S = 21_600
TIMEOUT_S = 2.0
_NOT_FOUND = 404
_UNAUTHORIZED = 401


class InstanceMetadata:
    """Reads this instance's metadata. Safe to use from one thread at a time; make one for each thread."""

    def __init__(self, endpoint: str | None = None) -> None:
        chosen = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT
        self._endpoint = chosen.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._token = ""

    def get(self, path: str) -> str | None:
        """The text at ``/latest/<path>``; None where there is none (a spot notice that has not come)."""
        response = self._request(path)
        if response.status_code == _UNAUTHORIZED:  # the token ran out
            self._token = ""
            response = self._request(path)
        if response.status_code == _NOT_FOUND:
            return None
        response.raise_for_status()
        return response.text

    def require(self, path: str) -> str:
        text = self.get(path)
        if text is None:
            raise ConfigurationError(f"The metadata service has no {path}: is this an instance of the deployment?")
        return text

    def _request(self, path: str) -> requests.Response:
        if not self._token:
            self._token = self._new_token()
        headers = {"X-aws-ec2-metadata-token": self._token}
        return self._session.get(f"{self._endpoint}/latest/{path}", headers=headers, timeout=TIMEOUT_S)

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_S)}
        response = self._session.put(f"{self._endpoint}/latest/api/token", headers=headers, timeout=TIMEOUT_S)
        response.raise_for_status()
        return response.text


def launched_at(identity: dict[str, Any]) -> float | None:
    """When EC2 launched the instance (``pendingTime``), UTC epoch seconds."""
    text = identity.get("pendingTime")
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp()
