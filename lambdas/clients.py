"""AWS clients of the functions, which give up before their function ends: a call that hangs must not be its last."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

_QUICK = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 2})
_LAUNCHING = Config(connect_timeout=3, read_timeout=18, retries={"mode": "standard", "total_max_attempts": 1})
"""A fleet takes EC2 seconds; a request without an answer is repeated by the next pass."""


def client(service: str) -> Any:
    return boto3.client(service, config=_LAUNCHING if service == "ec2" else _QUICK)  # type: ignore[call-overload]
