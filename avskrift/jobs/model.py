"""The job record: one row, one truth.

States: ``awaiting_upload → queued → running → completed | failed | cancelled``; ``running → queued`` on interruption or
lost beat. ``attempt`` is the fencing token: every write of an agent names it and is refused once it is stale.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from avskrift.jobs.options import JobOptions

SUMMARY_VERSION = 1


class JobStatus(StrEnum):
    """Where a job stands; the values are stored and sent, never renamed."""

    AWAITING_UPLOAD = "awaiting_upload"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


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
    of status, so that a receiver can order webhooks. ``status_at`` is when ``status`` last changed.
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
    beat: int = 0
    sequence: int = 0
    instance_id: str = ""
    progress: JobProgress | None = None
    phases: dict[str, float] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    error: JobError | None = None

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
    def from_dict(cls, data: dict[str, Any]) -> Job:
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        values["status"] = JobStatus(values["status"])
        values["options"] = JobOptions.from_dict(values["options"])
        values["progress"] = JobProgress(**values["progress"]) if values.get("progress") else None
        values["error"] = JobError(**values["error"]) if values.get("error") else None
        return cls(**values)


def _plain(value: JobError | JobProgress | None) -> dict[str, Any] | None:
    return None if value is None else {item.name: getattr(value, item.name) for item in fields(value)}
