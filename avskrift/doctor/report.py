"""The doctor's lines on a terminal, and the session with which it looks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from avskrift.doctor.check import Check
from avskrift.errors import ConfigurationError
from avskrift.output import writing

if TYPE_CHECKING:
    from boto3.session import Session
    from rich.console import Console

MARKS = {"green": "✓", "yellow": "!", "red": "✗"}
_NAME_WIDTH = 24
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
"""Of one service with ``_`` and its name behind."""


def print_checks(checks: Iterable[Check], console: Console) -> list[Check]:
    """A line each, as soon as it is known, and below it what mends it; gives them back."""
    done = []
    for check in checks:
        done.append(check)
        with writing():
            console.print(f"{MARKS[check.level]} {check.name:{_NAME_WIDTH}} {check.detail}", style=str(check.level))
            if check.mend:
                console.print(f"  {'':{_NAME_WIDTH}} → {check.mend}")
    return done


def session_for(region: str) -> Session:
    """The caller's credentials, with limits to how long an answer is waited for.

    Raises :class:`~avskrift.errors.ConfigurationError` where the environment leads to an endpoint that is no address.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    _check_endpoints()
    core = botocore.session.Session()
    retries = {"mode": "standard", "total_max_attempts": 3}
    core.set_default_client_config(Config(connect_timeout=5, read_timeout=20, retries=retries))  # type: ignore[arg-type]
    return boto3.Session(region_name=region, botocore_session=core)


def _check_endpoints() -> None:
    """The SDK raises ``ValueError`` at the first call to such a service, whichever that is."""
    for name, value in os.environ.items():
        if name.startswith(ENDPOINT_VARIABLE) and value and not _is_address(value):
            raise ConfigurationError(f"{name} holds no address: unset it, or set it to one that starts with https://.")


def _is_address(value: str) -> bool:
    from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

    try:
        return is_valid_endpoint_url(value) or is_valid_ipv6_endpoint_url(value)
    except ValueError:
        return False
