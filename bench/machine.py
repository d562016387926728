"""Where and with what something was measured. Linux."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def describe(load_before: float) -> dict[str, Any]:
    """This machine now; a load of more than the bench's own is noise in every number."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(load_before, 2),
    }


def versions(distributions: Iterable[str]) -> dict[str, str]:
    return {name: version(name) for name in distributions}


def load_average() -> float:
    """Processes that wanted a core during the last minute, on average."""
    return os.getloadavg()[0]


@contextmanager
def limited_to_cores(count: int) -> Iterator[int]:
    """Let this thread and the processes it starts use ``count`` cores at most; yields how many there are."""
    before = os.sched_getaffinity(0)
    chosen = set(sorted(before)[:count])
    os.sched_setaffinity(0, chosen)
    try:
        yield len(chosen)
    finally:
        os.sched_setaffinity(0, before)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
