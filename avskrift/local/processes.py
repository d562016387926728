"""Starting and stopping processes that can't outlive this one, and waiting on conditions instead of sleeping."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from avskrift.errors import LocalCloudError

LOOPBACK = "127.0.0.1"
_TETHER = Path(__file__).with_name("tether.py")
_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.05

T = TypeVar("T")


@dataclass(frozen=True)
class Launch:
    """What to run, where, and where its output goes."""

    command: Sequence[str]
    environment: Mapping[str, str]
    """The whole environment: nothing is inherited."""
    cwd: Path
    log: Path
    """Standard output and error are appended here."""


class TetheredProcess:
    """A command in a process group of its own that dies with all its descendants when this process ends (tether.py)."""

    def __init__(self, launch: Launch) -> None:
        self.log = launch.log
        lifeline_read, self._lifeline = os.pipe()
        try:
            with launch.log.open("ab") as log:
                self._process = self._start(launch, lifeline_read, log)
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(lifeline_read)
        self._held = True
        self._letting_go = threading.Lock()

    @staticmethod
    def _start(launch: Launch, lifeline_fd: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_TETHER), str(lifeline_fd), *launch.command],
            cwd=launch.cwd,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lifeline_fd,),
            start_new_session=True,
        )

    @property
    def group_id(self) -> int:
        """The process group: the tether and, unless they left it, everything below."""
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """The command's exit status (128 + n when signal n ended it); raises :class:`subprocess.TimeoutExpired`."""
        return self._process.wait(timeout_s)

    def stop(self, grace_s: float = 5.0) -> int:
        """SIGTERM to the group, ``grace_s`` to comply, then SIGKILL to every descendant. Returns the exit status."""
        if self._process.poll() is None and grace_s > 0:
            with suppress(ProcessLookupError):
                os.killpg(self.group_id, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        return self.kill()

    def kill(self) -> int:
        """Let go of the lifeline: the tether kills all descendants at once."""
        with self._letting_go:
            if self._held:
                self._held = False
                os.close(self._lifeline)
        try:
            return self._process.wait(_KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.group_id, signal.SIGKILL)
            return self._process.wait()


def free_port() -> int:
    """A loopback port that was free a moment ago, for programs that can't bind port 0 and say which they got."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def await_condition(condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """The first true value of ``condition``; raises :class:`LocalCloudError` naming ``what`` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LocalCloudError(f"{what} did not happen within {timeout_s:g} s.")
        time.sleep(_POLL_S)


def last_lines(log: Path, count: int = 20) -> list[str]:
    """The end of a log, for a failure report; empty when there is none."""
    if not log.is_file():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
