"""The state of a deployment as numbers for CloudWatch, said only while there is something to say. Pure.

A custom metric is billed by the hours in which it gets a value (https://aws.amazon.com/cloudwatch/pricing, read
2026-11), so an idle deployment says nothing; but a graph ends at its last value, so what becomes 0 is said once more.
"""

from __future__ import annotations

from collections.abc import Mapping

from avskrift.jobs import metrics
from avskrift.jobs.fleet_model import ON_DEMAND, SPOT, FleetSettings, Memory, Observed
from avskrift.jobs.growth import deadline_of, may_wait, serving
from avskrift.jobs.metrics import Metric
from avskrift.jobs.policy import REAPER_GRACE_S

Gauges = Mapping[Metric, float]


def gauges(observed: Observed, memory: Memory, limits: FleetSettings) -> Gauges:
    """What a pass saw, by metric; ``memory`` is what it remembers at its end."""
    longest_s = limits.max_life_s + REAPER_GRACE_S
    markets = [one.market for one in observed.instances]
    return {
        metrics.QUEUED_JOBS: len(observed.queued),
        metrics.RUNNING_JOBS: len(observed.running),
        metrics.OLDEST_WAIT: _oldest_wait_s(observed),
        metrics.SPOT_INSTANCES: markets.count(SPOT),
        metrics.ON_DEMAND_INSTANCES: markets.count(ON_DEMAND),
        metrics.OVERDUE_INSTANCES: sum(observed.now - one.launched_at > longest_s for one in observed.instances),
        metrics.SPENT_TODAY: memory.spent_usd,
    }


def worth_telling(values: Gauges, told: Mapping[str, float]) -> Gauges:
    """Of these, what changed since it was told; and while jobs or instances are there, all that is not 0.

    What was spent today stays what it is when the work is done: it is not repeated all day, but told when a new day
    begins at 0.
    """
    is_busy = any(value for metric, value in values.items() if metric is not metrics.SPENT_TODAY)
    return {
        metric: value
        for metric, value in values.items()
        if value != told.get(metric.name, 0.0) or (is_busy and value != 0)
    }


def remembered(values: Gauges) -> dict[str, float]:
    """For :attr:`Memory.told`."""
    return {metric.name: value for metric, value in values.items() if value}


def is_barren(observed: Observed, memory: Memory, limits: FleetSettings) -> bool:
    """Whether jobs in a hurry wait at the end of a pass, no instance serves them, and money is not the reason.

    A market without machines that the other one made up for is none of that, nor are jobs that wait for spot until
    their deadline.
    """
    is_affordable = memory.spent_usd < limits.max_usd_per_day
    hurried = any(not may_wait(job, observed.now) for job in observed.queued)
    return hurried and is_affordable and not serving(observed, memory)


def _oldest_wait_s(observed: Observed) -> float:
    """Of jobs that are due: until its deadline, a job waits by its own wish."""
    now = observed.now
    due = (max(job.status_at, deadline_of(job)) for job in observed.queued if not may_wait(job, now))
    return round(max((now - since for since in due), default=0.0), 3)
