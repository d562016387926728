"""Waiting for what another thread brings about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.instance.agent_stage import PATIENCE_S

T = TypeVar("T")


def await_condition(condition: Callable[[], T]) -> T:
    """The first true value of ``condition``."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)
    return value
