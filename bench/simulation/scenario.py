"""One run: how many uploads, how they come, what the deployment allows."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from avskrift.jobs.fleet_model import FleetSettings
from bench.simulation.assumptions import Assumptions

DAY_S = 86_400
START = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
"""A Monday, midnight UTC."""
DRAINING = "draining"
ONE_SHOT = "one-shot"
FLEETS = (DRAINING, ONE_SHOT)
STEADY, DIURNAL, BURST = "steady", "diurnal", "burst"
BURST_SHARE = 0.3
BURST_AT_S = 9 * 3_600
BURST_S = 600.0
DIURNAL_SWING = 0.9
"""The rate at the peak (13:00) is 1 + this times the mean, at night 1 - this."""
DIURNAL_PEAK_S = 13 * 3_600


@dataclass(frozen=True)
class Scenario:
    """What is simulated. ``limits`` go to the policy as they are, but for a one-shot fleet's ``target_drain_s``."""

    uploads_per_day: int
    limits: FleetSettings
    days: int = 1
    arrivals: str = DIURNAL
    fleet: str = DRAINING
    seed: int = 1
    linger_s: float = 120.0
    heartbeat_s: float = 15.0
    vcpu_quota: int = 0
    """Of spot, and as many on demand; 0: no limit, so that the policy alone keeps to ``max_instances``."""
    deadline_share: float = 0.0
    """Share of the uploads that may wait until six hours later."""
    assumptions: Assumptions = field(default_factory=Assumptions)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def arrival_times(scenario: Scenario, rng: random.Random) -> list[float]:
    """UTC epoch seconds of every upload, in order."""
    count = scenario.uploads_per_day
    draw = {STEADY: _steady, DIURNAL: _diurnal, BURST: _burst}[scenario.arrivals]
    return sorted(START + day * DAY_S + draw(rng) for day in range(scenario.days) for _ in range(count))


def _steady(rng: random.Random) -> float:
    return rng.random() * DAY_S


def _diurnal(rng: random.Random) -> float:
    """By rejection: a cosine over the day."""
    while True:
        at = rng.random() * DAY_S
        rate = 1 + DIURNAL_SWING * math.cos(2 * math.pi * (at - DIURNAL_PEAK_S) / DAY_S)
        if rng.random() * (1 + DIURNAL_SWING) < rate:
            return at


def _burst(rng: random.Random) -> float:
    """A share of the day within minutes, the rest evenly."""
    return BURST_AT_S + rng.random() * BURST_S if rng.random() < BURST_SHARE else _steady(rng)


def fitting_instances(uploads_per_day: int, fleet: str, assumptions: Assumptions) -> int:
    """Instances that a diurnal peak keeps busy, a third more, and never fewer than a deployment's default of 5."""
    work = assumptions.work
    mean_audio_s = work.audio_median_s * math.exp(work.audio_sigma**2 / 2)
    each_s = work.overhead_s + mean_audio_s / work.real_time_factors["g4dn.xlarge"]
    if fleet == ONE_SHOT:
        each_s += assumptions.machines.boot_median_s * math.exp(assumptions.machines.boot_sigma**2 / 2)
    peak_per_s = uploads_per_day / DAY_S * (1 + DIURNAL_SWING)
    return max(5, math.ceil(peak_per_s * each_s * 4 / 3))
