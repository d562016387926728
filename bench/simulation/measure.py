"""What a run comes to: latencies, cost, what broke a promise, and which limit is nearest."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from avskrift.jobs.model import JobStatus
from bench.simulation import assumptions
from bench.simulation.policy_adapter import MAX_ACTIONS, MAX_QUEUED
from bench.simulation.table import Row

if TYPE_CHECKING:
    from bench.simulation.world import Simulation

QUANTILES = (0.5, 0.95, 0.99)


@dataclass
class Measured:
    """Of jobs whose webhook has been settled."""

    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    """Upload to webhook."""
    waits_s: array[float] = field(default_factory=lambda: array("d"))
    """Upload to the end of the job."""
    ended: dict[str, int] = field(default_factory=dict)
    webhook_ids: int = 0
    faulty_webhooks: list[str] = field(default_factory=list)
    """Jobs with no webhook id, or more than one."""
    attempts: int = 0
    interrupted: int = 0
    leaked_s: float = 0.0
    """Instance seconds after whose agent was gone, beyond the minute that is billed anyhow."""

    def add(self, row: Row) -> None:
        job = row.job
        is_fine = job.status is JobStatus.COMPLETED
        kind = job.status.value if is_fine else f"failed: {row.ends_badly or 'attempts_exhausted'}"
        self.ended[kind] = self.ended.get(kind, 0) + 1
        self.waits_s.append(job.status_at - row.uploaded_at)
        if row.delivered_at is not None:
            self.latencies_s.append(row.delivered_at - row.uploaded_at)
        self.attempts += job.attempt
        self.interrupted += job.interruptions > 0
        self.webhook_ids += len(set(row.webhook_ids))
        if len(row.webhook_ids) != 1:
            self.faulty_webhooks.append(job.job_id)


@dataclass(frozen=True)
class Limit:
    """How near a run came to what AWS or a setting allows."""

    name: str
    used: float
    allowed: float
    unit: str
    is_setting: bool = False
    """Chosen for the deployment, not given by AWS or the code."""

    @property
    def share(self) -> float:
        return self.used / self.allowed


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share does not exceed (nearest rank); NaN of nothing."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(run: Simulation) -> dict[str, Any]:
    """Plain values only: what ``--json`` prints of a run."""
    measured, scenario = run.measured, run.scenario
    files = run.uploads.count
    return {
        "uploads_per_day": scenario.uploads_per_day,
        "days": scenario.days,
        "arrivals": scenario.arrivals,
        "fleet": scenario.fleet,
        "seed": scenario.seed,
        "max_instances": scenario.limits.max_instances,
        "audio_h": round(run.uploads.audio_s / 3_600, 1),
        "latency_s": _quantiles(measured.latencies_s),
        "until_ended_s": _quantiles(measured.waits_s),
        "usd": round(run.ec2.bill.usd, 2),
        "usd_per_file": round(run.ec2.bill.usd / max(1, files), 6),
        "usd_per_audio_h": round(run.ec2.bill.usd * 3_600 / max(1.0, run.uploads.audio_s), 5),
        "jobs": _jobs(run),
        "instances": _instances(run),
        "capacity": _capacity(run),
        "webhooks": _webhooks(run),
        "weather": {
            "spot_outages": run.weather.spot_outages,
            "receiver_outages": run.weather.receiver_outages,
            "receiver_down_s": round(run.weather.receiver_down_s),
        },
        "limits": [{**vars(limit), "share": round(limit.share, 4)} for limit in limits(run)],
        "violations": violations(run),
    }


def violations(run: Simulation) -> list[str]:
    """Promises that the run broke, a sentence each."""
    table, measured, counts = run.table, run.measured, run.fleet.counts
    lost = run.uploads.count - sum(measured.ended.values())
    max_instances = run.scenario.limits.max_instances
    checks = (
        (lost, f"{lost} jobs did not end or left their webhook unsettled"),
        (table.unfinished, f"{table.unfinished} jobs are not in a terminal state"),
        (
            measured.webhook_ids != sum(measured.ended.values()) or measured.faulty_webhooks,
            f"webhook ids are not one for each job: {measured.faulty_webhooks[:5]}",
        ),
        (run.ec2.alive, f"{len(run.ec2.alive)} instances are left: {list(run.ec2.alive)[:5]}"),
        (run.ec2.peak_alive > max_instances, f"{run.ec2.peak_alive} instances at once, {max_instances} allowed"),
        (counts.early_requeues, f"taken from an agent that was not silent for the lease: {counts.early_requeues[:5]}"),
    )
    return [sentence for is_broken, sentence in checks if is_broken]


def limits(run: Simulation) -> list[Limit]:
    """Nearest first."""
    scenario, tally, table = run.scenario, run.capacity.tally, run.table
    beats_per_s = run.ec2.peak_alive / scenario.heartbeat_s
    writes = {
        status: count + (beats_per_s if status is JobStatus.RUNNING else 0)
        for status, count in table.writes.peak.items()
    }
    usd_per_day = run.ec2.bill.usd / scenario.days
    found = [
        Limit("max_instances", run.ec2.peak_alive, scenario.limits.max_instances, "instances", is_setting=True),
        Limit("max_usd_per_day", usd_per_day, scenario.limits.max_usd_per_day, "USD", is_setting=True),
        Limit("λ capacity's time", tally.peak_s, assumptions.CAPACITY_TIMEOUT_S, "s"),
        Limit("rows λ capacity reads", tally.peak_queued, MAX_QUEUED, "queued jobs"),
        Limit("λ capacity's actions", tally.peak_actions, MAX_ACTIONS, "in one pass"),
        Limit("λ capacity's memory item", tally.peak_memory_bytes, assumptions.ITEM_LIMIT_BYTES, "bytes"),
        Limit("EC2 launch tokens", assumptions.EC2_TOKENS - run.ec2.tokens.lowest, assumptions.EC2_TOKENS, "tokens"),
        Limit("index writes", max(writes.values(), default=0), assumptions.INDEX_WRITES_PER_S_LIMIT, "per s"),
        Limit("SQS in flight", run.queue.peak_in_flight, assumptions.SQS_IN_FLIGHT_LIMIT, "messages"),
        Limit("λ register", run.uploads.busiest_share(), 1.0, "of its time in the busiest minute"),
        Limit("λ deliver", run.outbox.busiest_share(), 1.0, "of its time in the busiest minute"),
    ]
    return sorted(found, key=lambda limit: -limit.share)


def _quantiles(values: array[float]) -> dict[str, float]:
    ordered = sorted(values)
    named = {f"p{round(share * 100)}": round(percentile(ordered, share), 1) for share in QUANTILES}
    return {**named, "max": round(ordered[-1], 1) if ordered else math.nan}


def _jobs(run: Simulation) -> dict[str, Any]:
    measured = run.measured
    return {
        "uploaded": run.uploads.count,
        "ended": dict(sorted(measured.ended.items())),
        "lost": run.uploads.count - sum(measured.ended.values()),
        "attempts": measured.attempts,
        "interrupted": measured.interrupted,
        "stale_finishes": run.tally.stale_finishes,
        "messages_left": run.queue.count,
        "redone_audio_h": round(run.tally.redone_audio_s / 3_600, 2),
    }


def _instances(run: Simulation) -> dict[str, Any]:
    ec2, seconds = run.ec2, run.ec2.bill.seconds
    billed_s = sum(seconds.values())
    return {
        "launched": ec2.launched,
        "fleet_requests": ec2.requests,
        "throttled_requests": ec2.throttled,
        "refusals": dict(sorted(ec2.refused.items())),
        "peak": ec2.peak_alive,
        "vcpus_at_peak": ec2.peak_alive * assumptions.VCPUS_PER_INSTANCE,
        "billed_h": round(billed_s / 3_600, 2),
        "spot_share": round(seconds["spot"] / billed_s, 4) if billed_s else 0.0,
        "busy_share": round(run.tally.busy_s / billed_s, 4) if billed_s else 0.0,
        "interrupted": run.tally.interruptions,
        "died": run.tally.deaths,
        "leaked_s": round(run.measured.leaked_s, 1),
    }


def _capacity(run: Simulation) -> dict[str, Any]:
    tally = run.capacity.tally
    return {
        **vars(tally),
        "peak_s": round(tally.peak_s, 2),
        "actions": dict(sorted(run.fleet.counts.actions.items())),
        "stale_actions": run.fleet.counts.stale,
        "vain_receives": run.tally.vain_receives,
    }


def _webhooks(run: Simulation) -> dict[str, Any]:
    outbox = run.outbox
    return {
        "delivered": outbox.delivered,
        "abandoned": outbox.abandoned,
        "attempts": outbox.attempts,
        "peak_waiting_for_deliver": outbox.peak_waiting,
    }
