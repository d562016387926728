"""The job record: one row, one truth.

States: ``awaiting_upload → queued → running → completed | failed | cancelled``; ``running → queued`` on interruption or
lost beat. ``attempt`` is the fencing token: every write of an agent names it and is refused once it is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from avskrift.errors import AvskriftError, BadOptions
from avskrift.jobs.options import JobOptions

_FENCES = ("attempt", "phases")
"""Fields with a default that every write of a row leans on."""
JOB_PK = "job#"
"""How the keys of jobs' rows begin."""
_LAST_MOMENT = 253_402_300_799
"""The end of the year 9999: no calendar goes further."""


class JobStatus(StrEnum):
    """Where a job stands; the values are stored and sent, never renamed."""

    AWAITING_UPLOAD = "awaiting_upload"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class MalformedRow(AvskriftError):
    """A job's row that holds what no code of ours writes: edited by hand, or by a version from the future."""

    code = "malformed_row"


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: a stable code (``avskrift.errors``) and a sentence that says what to do."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Seconds of audio done, of how many."""

    done_s: float
    total_s: float


@dataclass(frozen=True)
class Job:
    """One recording on its way to a transcript.

    ``phases`` maps a phase (queued, launched, booted, claimed, …) to UTC epoch seconds. ``sequence`` counts the changes
    of status, so that a receiver can order webhooks. ``status_at`` is when ``status`` last changed. ``failures`` counts
    the attempts that failed, ``interruptions`` those that EC2 cut short. ``launches`` is the audit of what was tried to
    get an instance, newest last: market, instances wanted and had, and what each type and zone answered.
    """

    job_id: str
    status: JobStatus
    bucket: str
    key: str
    version_id: str
    size_bytes: int
    options: JobOptions
    status_at: float
    expires_at: int
    owner: str = ""
    attempt: int = 0
    failures: int = 0
    interruptions: int = 0
    beat: int = 0
    sequence: int = 0
    instance_id: str = ""
    progress: JobProgress | None = None
    phases: dict[str, float] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    error: JobError | None = None
    launches: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def to_dict(self) -> dict[str, Any]:
        """Plain values only: what the table stores and ``job.json`` shows."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        data["status"] = self.status.value
        data["options"] = self.options.to_dict()
        data["progress"] = _plain(self.progress)
        data["error"] = _plain(self.error)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read a stored row back; ``MalformedRow`` names the first field that can't be what it says."""
        known = {item.name for item in fields(cls)}
        values = {name: read_field(name, value) for name, value in data.items() if name in known}
        lost = [name for name in _FENCES if name not in data]
        if "pk" in data and lost:
            raise MalformedRow(f"The job's row has lost its {lost[0]!r}: nothing can be written to it.")
        if data.get("pk", f"{JOB_PK}{values.get('job_id')}") != f"{JOB_PK}{values.get('job_id')}":
            raise MalformedRow("The job's row holds the job_id of another one.")
        try:
            return cls(**values)
        except TypeError as error:
            raise MalformedRow(f"The job's row lacks a field: {error}.") from error


def read_field(name: str, value: Any) -> Any:
    """One stored attribute as the job holds it; ``MalformedRow`` if it is no such value."""
    try:
        return _READERS[name](value)
    except (ValueError, TypeError, KeyError, AttributeError, BadOptions) as error:
        raise MalformedRow(f"The job's row holds nonsense in {name!r}.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError(value)
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LAST_MOMENT:
        raise TypeError(value)
    return value


def _table(value: Any) -> dict[str, Any] | None:
    return None if value is None else {_text(name): inner for name, inner in value.items()}


def _phases(value: Any) -> dict[str, float]:
    return {_text(name): _seconds(at) for name, at in value.items()}


def _progress(value: Any) -> JobProgress | None:
    return JobProgress(_seconds(value["done_s"]), _seconds(value["total_s"])) if value else None


def _error(value: Any) -> JobError | None:
    return JobError(_text(value["code"]), _text(value["message"])) if value else None


def _launches(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise TypeError(value)
    return [dict(launch) for launch in value]


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("job_id", "bucket", "key", "version_id", "owner", "instance_id"), _text),
    **dict.fromkeys(("size_bytes", "expires_at", "attempt", "failures", "interruptions", "beat", "sequence"), _count),
    "status": JobStatus,
    "status_at": _seconds,
    "options": JobOptions.from_dict,
    "phases": _phases,
    "progress": _progress,
    "result": _table,
    "cost": _table,
    "error": _error,
    "launches": _launches,
}


def _plain(value: JobError | JobProgress | None) -> dict[str, Any] | None:
    return None if value is None else {item.name: getattr(value, item.name) for item in fields(value)}
