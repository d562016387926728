"""Small worlds for tests: few jobs, whatever can break, and scenarios that end soon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from avskrift.jobs.fleet_model import FleetSettings
from bench.simulation.assumptions import Assumptions, Faults, Machines, Plumbing
from bench.simulation.scenario import STEADY, Scenario
from bench.simulation.world import Simulation

LIMITS = FleetSettings(
    max_instances=3,
    target_drain_s=60,
    lease_s=90,
    no_capacity_after_s=7_200,
    max_failures=3,
    max_usd_per_day=500,
    max_life_s=21_600,
)
CALM = Machines(
    broken_boots=0, interruptions_per_h=0, spot_outages_per_day=0, on_demand_outages_per_day=0, deaths_per_h=0
)
QUIET = Plumbing(duplicates=0, outages_per_day=0)
CALM_WORLD = Assumptions(machines=CALM, plumbing=QUIET)


def scenario_of(uploads: int, assumptions: Assumptions = CALM_WORLD, **changes: Any) -> Scenario:
    """A day with so many uploads in which nothing breaks, unless told otherwise."""
    limits = changes.pop("limits", LIMITS)
    return Scenario(uploads, limits, assumptions=assumptions, **{"arrivals": STEADY, **changes})


def with_faults(**faults: float) -> Assumptions:
    """A calm world with these shares of ``Faults``."""
    return replace(CALM_WORLD, faults=Faults(**faults))


def with_machines(**changes: Any) -> Assumptions:
    return replace(CALM_WORLD, machines=replace(CALM, **changes))


def run(uploads: int, assumptions: Assumptions = CALM_WORLD, **changes: Any) -> Simulation:
    return Simulation(scenario_of(uploads, assumptions, **changes)).run()
