"""What the end of a job and an attempt at a webhook say in numbers, for whoever brings them about. Pure.

A job's end is told once, by the one whose write ended it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from avskrift.jobs import metrics
from avskrift.jobs.cost import number_of
from avskrift.jobs.metrics import Metric
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.outbox import OutboxEntry

Measures = Mapping[Metric, float]

_ENDS = {
    JobStatus.COMPLETED: metrics.JOBS_COMPLETED,
    JobStatus.FAILED: metrics.JOBS_FAILED,
    JobStatus.CANCELLED: metrics.JOBS_CANCELLED,
}
_ORDER = ("queued", "claimed", "downloaded", "model_ready", "transcribed", "stored")
_SUCCESS = range(200, 300)


def of_end(ended: Job) -> Measures:
    """How a job ended, what it cost, and how long its phases took."""
    told = {_ENDS[ended.status]: 1.0, **of_cost(ended.cost)}
    if ended.status is JobStatus.COMPLETED:
        told |= _of_work(ended)
    return told


def of_cost(cost: Mapping[str, Any] | None) -> Measures:
    """US dollars; nothing for what cost nothing."""
    usd = number_of((cost or {}).get("usd"))
    return {metrics.JOB_COST: usd} if usd else {}


def of_attempt(entry: OutboxEntry) -> Measures:
    """The last attempt at a webhook."""
    if not entry.attempts:
        return {}
    told = {metrics.WEBHOOK_ATTEMPTS: 1.0}
    last = entry.attempts[-1]
    if last.get("status") not in _SUCCESS:
        told[metrics.WEBHOOK_FAILURES] = 1.0
    if entry.status == "abandoned":
        told[metrics.WEBHOOKS_ABANDONED] = 1.0
    if entry.status == "delivered":
        told[metrics.PHASES["delivered"]] = _seconds_between(entry.created_at, last.get("at"))
    return told


def _seconds_between(begin: float, end: Any) -> float:
    """``number_of`` takes amounts only, no points in time."""
    return number_of(end - begin) if isinstance(end, int | float) else 0.0


def _of_work(ended: Job) -> Measures:
    """The phases of the attempt that succeeded, and its speed."""
    phases = [name for name in _ORDER if name in ended.phases]
    told = {
        metrics.PHASES[later]: max(0.0, ended.phases[later] - ended.phases[earlier])
        for earlier, later in pairwise(phases)
    }
    audio_s = number_of((ended.result or {}).get("duration_s"))
    if audio_s:
        told[metrics.AUDIO] = audio_s
        worked_s = told.get(metrics.PHASES["transcribed"])
        if worked_s is not None:
            told[metrics.REAL_TIME_FACTOR] = worked_s / audio_s
    return told
