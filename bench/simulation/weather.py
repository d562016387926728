"""Outages: of spot by zone, of machines on demand by type and zone, of whoever receives webhooks."""

from __future__ import annotations

import random
from collections.abc import Callable

from avskrift.jobs.prices import ON_DEMAND_USD_PER_H, SPOT_USD_PER_H
from bench.simulation.assumptions import Assumptions
from bench.simulation.ec2 import ON_DEMAND, SPOT, Ec2
from bench.simulation.loop import Loop
from bench.simulation.scenario import DAY_S
from bench.simulation.webhooks import Receiver


class Weather:
    """Draws when what breaks, until ``ends_at``: afterwards everything heals."""

    def __init__(self, loop: Loop, rng: random.Random, assumptions: Assumptions, ec2: Ec2, receiver: Receiver) -> None:
        self.spot_outages = self.receiver_outages = 0
        self.receiver_down_s = 0.0
        """Outages that overlap are counted each."""
        self._loop = loop
        self._rng = rng
        self._luck = random.Random(rng.random())  # noqa: S311 - of single instances: how many there are moves no outage
        self._machines = assumptions.machines
        self._plumbing = assumptions.plumbing
        self._ec2 = ec2
        self._receiver = receiver
        self._ends_at = loop.now

    def begin(self, ends_at: float) -> None:
        self._ends_at = ends_at
        machines = self._machines
        for zone in range(machines.zones):
            self._repeat(machines.spot_outages_per_day, self._lose_spot, zone)
            for kind in ON_DEMAND_USD_PER_H:
                self._repeat(machines.on_demand_outages_per_day, self._lose_on_demand, zone, kind)
        self._repeat(self._plumbing.outages_per_day, self._lose_receiver)

    def _repeat(self, per_day: float, happen: Callable[..., None], *arguments: object) -> None:
        """Let it happen after an exponential time, and again."""
        if per_day <= 0:
            return
        at = self._loop.now + self._rng.expovariate(per_day / DAY_S)
        if at < self._ends_at:
            self._loop.at(at, self._happen, per_day, happen, *arguments)

    def _happen(self, per_day: float, happen: Callable[..., None], *arguments: object) -> None:
        happen(*arguments)
        self._repeat(per_day, happen, *arguments)

    def _until(self, mean_s: float) -> float:
        return min(self._ends_at, self._loop.now + self._rng.expovariate(1 / mean_s))

    def _lose_spot(self, zone: int) -> None:
        machines = self._machines
        self.spot_outages += 1
        zones = range(machines.zones) if self._rng.random() < machines.spreading else [zone]
        self._ec2.run_out(SPOT, zones, SPOT_USD_PER_H, self._until(machines.spot_outage_mean_s))
        for one in [one for one in self._ec2.alive.values() if one.market == SPOT and one.zone in zones]:
            if self._luck.random() < machines.taken_in_outage:
                self._ec2.give_notice(one)

    def _lose_on_demand(self, zone: int, kind: str) -> None:
        self._ec2.run_out(ON_DEMAND, [zone], [kind], self._until(self._machines.on_demand_outage_mean_s))

    def _lose_receiver(self) -> None:
        self.receiver_outages += 1
        self._receiver.is_down = True
        self._receiver.hangs = self._rng.random() < self._plumbing.hanging
        until = self._until(self._plumbing.outage_mean_s)
        self.receiver_down_s += until - self._loop.now
        self._loop.at(until, self._regain_receiver)

    def _regain_receiver(self) -> None:
        self._receiver.is_down = False
