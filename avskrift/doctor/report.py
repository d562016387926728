"""The doctor's lines on a terminal, and the session with which it looks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from avskrift.doctor.check import Check

if TYPE_CHECKING:
    from boto3.session import Session
    from rich.console import Console

MARKS = {"green": "✓", "yellow": "!", "red": "✗"}
_NAME_WIDTH = 24


def print_checks(checks: Iterable[Check], console: Console) -> list[Check]:
    """A line each, as soon as it is known, and below it what mends it; gives them back."""
    done = []
    for check in checks:
        done.append(check)
        console.print(f"{MARKS[check.level]} {check.name:{_NAME_WIDTH}} {check.detail}", style=str(check.level))
        if check.mend:
            console.print(f"  {'':{_NAME_WIDTH}} → {check.mend}")
    return done


def session_for(region: str) -> Session:
    """The caller's credentials, with limits to how long an answer is waited for."""
    import boto3
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session()
    retries = {"mode": "standard", "total_max_attempts": 3}
    core.set_default_client_config(Config(connect_timeout=5, read_timeout=20, retries=retries))  # type: ignore[arg-type]
    return boto3.Session(region_name=region, botocore_session=core)
