"""Small worlds for the tests of the fleet policy: jobs, machines and what capacity sees of them."""

from __future__ import annotations

from typing import Any

from avskrift.jobs.fleet_model import FleetSettings, Instance, Launch, LaunchAnswer, Memory, Observed
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.policy import decide

NOW = 1_700_000_000.0
IMAGE = "ami-0123456789abcdef0"
LIMITS = FleetSettings(
    max_instances=5,
    target_drain_s=600,
    lease_s=90,
    no_capacity_after_s=7_200,
    max_failures=3,
    max_usd_per_day=50,
    max_life_s=21_600,
    idle_limit_s=1_200,
)
SPOT_ONE = Launch(1, "spot", IMAGE, fallback=1)


def seen(now: float, **changes: Any) -> Observed:
    return Observed(now, **{"image_id": IMAGE, **changes})


def job(number: int = 0, status: JobStatus = JobStatus.QUEUED, **changes: Any) -> Job:
    values = {
        "job_id": f"job{number}",
        "status": status,
        "bucket": "b",
        "key": "uploads/a",
        "version_id": "v",
        "size_bytes": 1_000_000,
        "options": JobOptions(),
        "status_at": NOW - 10,
        "expires_at": 0,
        **changes,
    }
    return Job(**values)


def machine(number: int = 0, launched_at: float = NOW - 60, market: str = "spot") -> Instance:
    return Instance(f"i-{number}", "g4dn.xlarge", market, launched_at)


def answered(*instance_ids: str, market: str = "spot", wanted: int = 1, codes: tuple[str, ...] = ()) -> LaunchAnswer:
    """A fleet request's answer, under a launch id of its own."""
    instances = tuple({"instance_id": one, "instance_type": "g4dn.xlarge", "zone": "a"} for one in instance_ids)
    errors = tuple({"code": code, "message": "", "instance_type": "g4dn.xlarge", "zone": "a"} for code in codes)
    return LaunchAnswer("launch-" + "-".join((*instance_ids, *codes)), market, wanted, instances, errors)


def actions(observed: Observed, memory: Memory | None = None, limits: FleetSettings = LIMITS) -> list[Any]:
    return list(decide(observed, memory or Memory(), limits).actions)
