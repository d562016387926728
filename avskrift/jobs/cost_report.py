"""What jobs cost, summed up: a line for each day or each job, and all of them by market. Pure.

A job counts on the UTC day on which it ended, or came to its present state: its row says no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from avskrift.jobs.cost import number_of, usd_by_market
from avskrift.jobs.model import Job, JobStatus

_USD_DIGITS = 6


@dataclass
class Sum:
    """Several jobs together: how many, the audio transcribed, billed seconds of instances, US dollars by market.

    ``jobs`` counts all, ``failed`` and ``cancelled`` those of them that brought no transcript, ``unfinished`` those
    that wait or run: what they have cost so far is in it.
    """

    jobs: int = 0
    failed: int = 0
    cancelled: int = 0
    unfinished: int = 0
    audio_s: float = 0.0
    billed_s: float = 0.0
    by_market: dict[str, float] = field(default_factory=dict)

    @property
    def usd(self) -> float:
        return sum(self.by_market.values())

    @property
    def usd_per_audio_hour(self) -> float | None:
        """None where nothing was transcribed."""
        return 3_600 * self.usd / self.audio_s if self.audio_s else None

    def add(self, job: Job) -> None:
        self.jobs += 1
        self.failed += job.status is JobStatus.FAILED
        self.cancelled += job.status is JobStatus.CANCELLED
        self.unfinished += not job.is_terminal
        self.audio_s += audio_s(job)
        self.billed_s += number_of((job.cost or {}).get("billed_s"))
        for market, usd in usd_by_market(job.cost).items():
            self.by_market[market] = self.by_market.get(market, 0.0) + usd

    def to_dict(self) -> dict[str, Any]:
        """Rounded, for JSON."""
        per_hour = self.usd_per_audio_hour
        return {
            **asdict(self),
            "audio_s": round(self.audio_s, 3),
            "billed_s": round(self.billed_s, 3),
            "by_market": {market: round(usd, _USD_DIGITS) for market, usd in sorted(self.by_market.items())},
            "usd": round(self.usd, _USD_DIGITS),
            "usd_per_audio_hour": None if per_hour is None else round(per_hour, _USD_DIGITS),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Jobs since a time (UTC epoch seconds), the newest first, by day and together."""

    since: float
    jobs: tuple[Job, ...]
    days: dict[str, Sum]
    total: Sum


def report(jobs: Iterable[Job], since: float) -> Report:
    """Of these jobs, those that changed since then; of one that comes twice, what it was last."""
    latest: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda job: job.status_at):
        latest[job.job_id] = job
    counted = sorted((job for job in latest.values() if job.status_at >= since), key=lambda job: -job.status_at)
    days: defaultdict[str, Sum] = defaultdict(Sum)
    for job in counted:
        days[day_of(job.status_at)].add(job)
    return Report(since, tuple(counted), dict(days), sum_of(counted))


def sum_of(jobs: Iterable[Job]) -> Sum:
    total = Sum()
    for job in jobs:
        total.add(job)
    return total


def day_of(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).date().isoformat()


def audio_s(job: Job) -> float:
    """Seconds of the recording, if it was transcribed."""
    return number_of((job.result or {}).get("duration_s")) if job.status is JobStatus.COMPLETED else 0.0
