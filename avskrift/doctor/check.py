"""What one look at an account or a deployment found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    GREEN = "green"
    YELLOW = "yellow"
    """Works, but not as meant; or could not be looked at."""
    RED = "red"
    """Does not work until it is mended."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report."""

    name: str
    level: Level
    detail: str
    """What was seen, one sentence."""
    mend: str = ""
    """The command that mends it; empty when there is nothing to mend."""

    @property
    def ok(self) -> bool:
        """Whether a deployment can work with it."""
        return self.level is not Level.RED


def green(name: str, detail: str) -> Check:
    return Check(name, Level.GREEN, detail)


def yellow(name: str, detail: str, mend: str = "") -> Check:
    return Check(name, Level.YELLOW, detail, mend)


def red(name: str, detail: str, mend: str) -> Check:
    return Check(name, Level.RED, detail, mend)
