"""Puts the model together and lets a day happen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from avskrift.jobs.prices import MIN_BILLED_S
from bench.simulation.agents import Agent, Tally, World
from bench.simulation.capacity import EVERY_S, Capacity
from bench.simulation.ec2 import Ec2, Instance
from bench.simulation.loop import Loop
from bench.simulation.measure import Measured
from bench.simulation.policy_adapter import Fleet, Stores
from bench.simulation.queue import JobsQueue
from bench.simulation.scenario import DAY_S, START, Scenario
from bench.simulation.table import Row, Table
from bench.simulation.uploads import Uploads
from bench.simulation.weather import Weather
from bench.simulation.webhooks import Outbox

DRAIN_S = 10 * DAY_S
"""After the last day: longer than a webhook is tried (77 hours), and than any backlog here takes."""

NO_QUOTA = 1_000_000


class Simulation:
    """One run of one scenario; its parts stay to be looked at."""

    def __init__(self, scenario: Scenario, on_hour: Callable[[float], None] = lambda _: None) -> None:
        assumptions, faults = scenario.assumptions, scenario.assumptions.faults
        plumbing = assumptions.plumbing
        self.scenario = scenario
        self.loop = loop = Loop(START)
        self.table = Table(loop, faults.index_lag_s)
        self.queue = JobsQueue(loop, self._dice("queue"), plumbing.count_lag_s, faults.lost_messages)
        self.ec2 = Ec2(loop, self._dice("machines"), assumptions.machines, scenario.vcpu_quota or NO_QUOTA)
        self.outbox = Outbox(loop, self._dice("outbox"), plumbing, assumptions.work, faults.lost_webhook_messages)
        self.fleet = Fleet(scenario, self._dice("launches"), Stores(self.table, self.queue, self.ec2, self.outbox))
        self.capacity = Capacity(loop, self._dice("passes"), assumptions, self.fleet)
        self.uploads = Uploads(loop, self._dice("uploads"), scenario, self.table, self.queue)
        self.weather = Weather(loop, self._dice("weather"), assumptions, self.ec2, self.outbox.receiver)
        self.tally = Tally()
        self.measured = Measured()
        self._world = World(loop, self._dice("agents"), scenario, self.table, self.queue, self.ec2, self.outbox)
        self._agents: dict[str, Agent] = {}
        self._on_hour = on_hour

    def run(self) -> Simulation:
        """Let it happen: the days, and what is left of them afterwards."""
        days_s = self.scenario.days * DAY_S
        self.ec2.on_launch = self._boot
        self.ec2.on_notice = self._notice
        self.ec2.on_end = self._end
        self.outbox.on_settled = self._settle
        self.uploads.on_registered = self.capacity.nudge
        with _drawn_by(self.scenario.seed):
            self.uploads.begin()
            self.weather.begin(START + days_s)
            self.loop.after(self._world.rng.random() * EVERY_S, self._tick)
            self.loop.run(START + days_s + DRAIN_S)
        return self

    def _dice(self, part: str) -> random.Random:
        """Dice of its own for each part, so that the same uploads meet the same weather whatever the fleet."""
        return random.Random(f"{self.scenario.seed} {part}")  # noqa: S311 - a model's dice

    @property
    def is_over(self) -> bool:
        """Nothing is left to do, and nothing is left that costs."""
        is_idle = self.uploads.is_done() and not self.table.unfinished
        return is_idle and not self.ec2.alive and not self.outbox.pending

    def _tick(self) -> None:
        if self.is_over:
            self.loop.stop()
            return
        self.capacity.tick()
        self._on_hour(min(1.0, (self.loop.now - START) / (self.scenario.days * DAY_S)))
        self.loop.after(EVERY_S, self._tick)

    def _boot(self, instance: Instance) -> None:
        agent = self._agents[instance.instance_id] = Agent(self._world, instance, self.tally)
        agent.boot()

    def _notice(self, instance: Instance) -> None:
        self._agents[instance.instance_id].notice()
        self.capacity.announce(instance.instance_id)

    def _end(self, instance: Instance) -> None:
        """The machine is gone: its agent, and what it cost for nothing."""
        agent = self._agents.pop(instance.instance_id)
        self.table.worked_at.pop(instance.instance_id, None)
        if agent.silent_from is not None and instance.ended_at is not None:
            unavoidable = instance.launched_at + MIN_BILLED_S
            self.measured.leaked_s += max(0.0, instance.ended_at - max(agent.silent_from, unavoidable))
        elif agent.silent_from is None:
            agent.stop()

    def _settle(self, row: Row) -> None:
        self.measured.add(row)
        del self.table.rows[row.job.job_id]


@contextmanager
def _drawn_by(seed: int) -> Iterator[None]:
    """The webhook schedule's jitter comes from the module's own generator: draw it from the seed, too."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
