"""The steps of bringing a cloud up, as lines in a file: the supervisor writes, whoever waits reads along."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avskrift.errors import LocalCloudError
from avskrift.local.processes import last_lines

StepState = Literal["started", "done", "failed"]
READY = "ready"


@dataclass(frozen=True)
class Step:
    name: str
    """As a person would say it: ``deploy the stack``; :data:`READY` is the last of all."""
    state: StepState
    elapsed_s: float = 0.0
    """Since the step began."""
    message: str = ""
    """Why it failed."""
    log: str = ""
    """Where more about a failure is found."""

    def __str__(self) -> str:
        """One line for a person."""
        if self.state == "started":
            return f"{self.name} …"
        return f"{self.name}: {self.message or self.state} ({self.elapsed_s:.1f} s)"


class StepFailed(LocalCloudError):
    """A step failed, and :attr:`log` tells why."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log

    @property
    def tail(self) -> list[str]:
        """The last lines of the log."""
        return last_lines(self.log)


class Journal:
    """Written by one process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell when ``name`` begins, and how it ends."""
        began = time.monotonic()
        self.write(Step(name, "started"))
        try:
            yield
        except StepFailed as error:
            self.write(Step(name, "failed", _since(began), error.message, str(error.log)))
            raise
        except Exception as error:
            ours = isinstance(error, LocalCloudError)
            message = str(error) if ours else f"Could not {name}: {type(error).__name__}: {error}"
            self.write(Step(name, "failed", _since(began), message))
            raise
        self.write(Step(name, "done", _since(began)))

    def write(self, step: Step) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(step)) + "\n")


class JournalReader:
    """Reads what was written since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_steps(self) -> list[Step]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            complete, newline, _ = stream.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        return [Step(**json.loads(line)) for line in complete.splitlines()]

    def follow(self, on_step: Callable[[Step], None]) -> list[Step]:
        """Report new steps one by one, and return them."""
        steps = self.new_steps()
        for step in steps:
            on_step(step)
        return steps


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)
