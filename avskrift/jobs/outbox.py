"""The outbox: what must be told to a receiver, written in the same transaction as what it tells.

An entry's body is built once and sent byte for byte at every attempt; its id is derived from the job, the type and the
sequence, so that repeating a step can never make a second id.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from avskrift.jobs.model import Job, JobStatus, MalformedRow

OUTBOX_PK = "outbox#"
"""Before the id, the primary key of an entry's row."""
PENDING_KEY = "outbox#pending"
"""Index partition of the entries that are still to be delivered."""
MAX_BODY_BYTES = 20_000
MIN_TTL_S = 5 * 86_400
"""Longer than the schedule of attempts."""
_ENDED_TYPES = {
    JobStatus.COMPLETED: "job.completed",
    JobStatus.FAILED: "job.failed",
    JobStatus.CANCELLED: "job.cancelled",
}


@dataclass(frozen=True)
class OutboxEntry:
    """One webhook to deliver. ``attempts`` logs each try: time, HTTP status or fault, duration."""

    outbox_id: str
    job_id: str
    type: str
    url: str
    body: str
    created_at: float
    next_attempt_at: float
    expires_at: int
    status: str = "pending"
    """``pending``, ``delivered`` or ``abandoned``."""
    attempts: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["pk"] = f"{OUTBOX_PK}{self.outbox_id}"
        if self.status == "pending":  # leaves the index once it has ended
            values |= {"status_key": PENDING_KEY, "status_at": self.next_attempt_at}
        return values

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OutboxEntry:
        """Read a stored entry back; ``MalformedRow`` for one edited by hand."""
        try:
            entry = cls(**{item.name: data[item.name] for item in fields(cls)})
        except KeyError as error:
            raise MalformedRow(f"The outbox entry lacks {error}.") from error
        texts = (entry.outbox_id, entry.job_id, entry.type, entry.url, entry.body, entry.status)
        times = (entry.created_at, entry.next_attempt_at, entry.expires_at)
        if (
            not all(isinstance(text, str) for text in texts)
            or not all(isinstance(at, int | float) for at in times)
            or not isinstance(entry.attempts, list)
        ):
            raise MalformedRow("The outbox entry holds nonsense.")
        return entry


@dataclass(frozen=True, slots=True)
class ResultLinks:
    """Presigned links to the results, by format, and when they die with their signer's session."""

    links: Mapping[str, str]
    expires_at: float


def outbox_entry_for(ended: Job, now: float, links: ResultLinks | None = None) -> OutboxEntry | None:
    """The webhook that tells of a job's end; None if nobody asked for one."""
    url = ended.options.callback_url
    if not url:
        return None
    kind = _ENDED_TYPES[ended.status]
    return OutboxEntry(
        outbox_id=_message_id(ended.job_id, kind, ended.sequence),
        job_id=ended.job_id,
        type=kind,
        url=url,
        body=_body(kind, ended, now, links),
        created_at=now,
        next_attempt_at=now,
        expires_at=max(ended.expires_at, int(now) + MIN_TTL_S),
    )


def possible_ids(job: Job) -> set[str]:
    """The ids of what an ended job may have in the outbox, its row having been rewritten once at most."""
    sequences = (job.sequence - 1, job.sequence)
    return {_message_id(job.job_id, kind, sequence) for kind in _ENDED_TYPES.values() for sequence in sequences}


def _message_id(job_id: str, kind: str, sequence: int) -> str:
    digest = hashlib.sha256(f"{job_id}\0{kind}\0{sequence}".encode()).digest()
    return "msg_" + base64.b32encode(digest).decode().lower()[:26]


def _body(kind: str, job: Job, now: float, links: ResultLinks | None) -> str:
    """Under 20 kB: what does not fit is left out.

    The last links first, since a link of an instance role takes up to 2 kB and there may be one for each format
    (``result.keys`` names them all); then the options, with a client's own long texts.
    """
    data = summary(job)
    kept = dict(links.links) if links else {}
    while True:
        if links and kept:
            data |= {"links": kept, "links_expires_at": iso_time(links.expires_at)}
        body = _compact({"type": kind, "timestamp": iso_time(now), "data": data})
        if len(body.encode()) < MAX_BODY_BYTES or data["options"] is None:
            return body
        if kept:
            kept.popitem()
        else:
            data["options"] = None
        data = {name: value for name, value in data.items() if not name.startswith("links")}


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def summary(job: Job) -> dict[str, Any]:
    """What clients see of a job, in webhooks and on the command line."""
    values = job.to_dict()
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "sequence": job.sequence,
        "bucket": job.bucket,
        "key": job.key,
        "version_id": job.version_id,
        "size_bytes": job.size_bytes,
        "options": values["options"],
        "attempt": job.attempt,
        "phases": {name: iso_time(at) for name, at in sorted(job.phases.items(), key=lambda phase: phase[1])},
        "result": job.result,
        "cost": job.cost,
        "error": values["error"],
        "metadata": job.options.metadata,
    }


def iso_time(epoch_s: float) -> str:
    """UTC with milliseconds, as RFC 3339 writes it."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
