"""The one module that knows the policy: what it is shown, and what its actions do to the modelled world.

``decide`` and ``after_answer`` are the deployment's own, unchanged; this acts as ``avskrift/jobs/capacity.py`` does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from avskrift.jobs.capacity import AUDITED_JOBS, MAX_ACTIONS
from avskrift.jobs.fleet import REPEAT_FOR_S
from avskrift.jobs.fleet_model import (
    Action,
    Decision,
    Fail,
    Instance,
    Launch,
    LaunchAnswer,
    Memory,
    Observed,
    PendingDelivery,
    Redeliver,
    Requeue,
    Resend,
    Terminate,
)
from avskrift.jobs.growth import after_answer, second_try
from avskrift.jobs.model import JobStatus
from avskrift.jobs.observation import MAX_DELIVERIES, MAX_QUEUED, Nudge
from avskrift.jobs.policy import decide
from bench.simulation.ec2 import Ec2, FleetAnswer, NoAnswer, Throttled, zone_name
from bench.simulation.queue import JobsQueue
from bench.simulation.scenario import Scenario
from bench.simulation.table import Refused, Table
from bench.simulation.webhooks import Outbox

__all__ = [
    "MAX_ACTIONS",
    "MAX_QUEUED",
    "Fleet",
    "Memory",
    "Nudge",
    "Observed",
    "Stores",
    "memory_bytes",
]
IMAGE = "ami-0123456789abcdef0"


@dataclass
class Record:
    """A launch record without its answer."""

    launch_id: str
    wanted: Launch
    created_at: float
    fleet: FleetAnswer | None = None
    """What EC2 made of it, if it got that far: the same token brings the same fleet."""


@dataclass
class Counts:
    """What passes decided, by kind; and what must never happen."""

    actions: dict[str, int] = field(default_factory=dict)
    stale: int = 0
    early_requeues: list[str] = field(default_factory=list)
    """Jobs that were taken from an agent whose beat had not stood still for the lease."""


@dataclass(frozen=True)
class Stores:
    """The parts of the world that capacity reads and changes."""

    table: Table
    queue: JobsQueue
    ec2: Ec2
    outbox: Outbox


class Fleet:
    """Observe, decide, act upon the model. ``memory``: as the table holds it."""

    def __init__(self, scenario: Scenario, rng: random.Random, stores: Stores) -> None:
        self.memory = Memory()
        self.counts = Counts()
        self.busy_s = 0.0
        """Seconds that the present pass has spent on what it did."""
        self._scenario = scenario
        self._rng = rng
        self._table, self._queue, self._ec2, self._outbox = stores.table, stores.queue, stores.ec2, stores.outbox
        self._records: dict[str, Record] = {}
        self._launch_ids = 0

    def observe(self, now: float, nudge: Nudge) -> Observed:
        """As ``avskrift.jobs.observation`` looks, limits included."""
        live = tuple(
            Instance(one.instance_id, one.instance_type, one.market, one.launched_at) for one in self._ec2.describe()
        )
        due = self._outbox.due_before(now)[:MAX_DELIVERIES]
        queued = self._table.added(self._table.queued(MAX_QUEUED), nudge.job_ids)
        return Observed(
            now=now,
            queued=queued,
            is_cut=len(queued) >= MAX_QUEUED,
            running=self._table.running(),
            instances=live,
            ended=self._ec2.ended_ids(),
            leaving=nudge.leaving,
            recently_worked=self._recently_worked(now),
            messages=self._queue.approximate_count(),
            deliveries=tuple(PendingDelivery(one.outbox_id, one.next_attempt_at) for one in due),
            image_id=IMAGE,
        )

    def decide(self, observed: Observed) -> Decision:
        """Launches without an answer count as if they had brought what they asked for, and are repeated."""
        self.busy_s = 0.0
        memory = self.memory
        for record in list(self._records.values()):
            if observed.now - record.created_at > REPEAT_FOR_S:
                del self._records[record.launch_id]
        in_doubt = sum(record.wanted.count for record in self._records.values())
        decision = decide(replace(observed, in_doubt=in_doubt), memory, self._scenario.limits)
        memory = decision.memory
        for record in list(self._records.values()):
            memory, answer = self._submit(record, memory, observed)
            if answer is None:
                break
        return replace(decision, memory=memory)

    def act(self, action: Action, memory: Memory, observed: Observed) -> Memory:
        """Carry out one action; a job that moved on meanwhile is left alone."""
        kind = type(action).__name__
        self.counts.actions[kind] = self.counts.actions.get(kind, 0) + 1
        match action:
            case Launch():
                return self._launch(action, memory, observed)
            case Requeue():
                self._requeue(action, observed)
            case Fail():
                self._fail(action)
            case Resend(job_id):
                self._queue.send(job_id)
            case Redeliver(outbox_id):
                self._outbox.send(outbox_id)
            case Terminate(instance_id):
                self._ec2.end(instance_id)
        self.busy_s += self._scenario.assumptions.plumbing.action_s
        return memory

    def _launch(self, launch: Launch, memory: Memory, observed: Observed) -> Memory:
        memory, answer = self._submit(self._record(launch, observed.now), memory, observed)
        other = second_try(launch, answer) if answer else None
        return self._submit(self._record(other, observed.now), memory, observed)[0] if other else memory

    def _record(self, launch: Launch, now: float) -> Record:
        self._launch_ids += 1
        record = Record(f"launch{self._launch_ids}", launch, now)
        self._records[record.launch_id] = record
        return record

    def _submit(self, record: Record, memory: Memory, observed: Observed) -> tuple[Memory, LaunchAnswer | None]:
        """The answer and what is remembered of it are written together, or neither."""
        plumbing = self._scenario.assumptions.plumbing
        try:
            fleet = record.fleet or self._create(record)
        except (Throttled, NoAnswer):
            self.busy_s += plumbing.throttled_s
            return memory, None
        self.busy_s += plumbing.launch_s + plumbing.action_s * min(AUDITED_JOBS, len(observed.queued))
        del self._records[record.launch_id]
        answer = _answer(record, fleet)
        self.memory = after_answer(memory, observed, answer)
        return self.memory, answer

    def _create(self, record: Record) -> FleetAnswer:
        faults = self._scenario.assumptions.faults
        if self._rng.random() < faults.throttled_launches:
            raise Throttled
        record.fleet = self._ec2.create_fleet(record.wanted.count, record.wanted.market)
        if self._rng.random() < faults.lost_answers:
            raise NoAnswer
        return record.fleet

    def _requeue(self, requeue: Requeue, observed: Observed) -> None:
        row = self._table.rows.get(requeue.job.job_id)
        silent_s = observed.now - row.beat_at if row else 0.0
        try:
            self._table.requeue(requeue.job, failed=not requeue.interrupted, interrupted=requeue.interrupted)
        except Refused:
            self.counts.stale += 1
            return
        if silent_s < self._scenario.limits.lease_s:
            self.counts.early_requeues.append(requeue.job.job_id)
        self._queue.send(requeue.job.job_id)

    def _fail(self, fail: Fail) -> None:
        failures = {"failures": fail.job.failures + 1} if fail.code == "attempts_exhausted" else {}
        try:
            row = self._table.finish(fail.job, JobStatus.FAILED, **failures)
        except Refused:
            self.counts.stale += 1
            return
        row.ends_badly = fail.code
        self._outbox.send(self._outbox.add(row).outbox_id)

    def _recently_worked(self, now: float) -> frozenset[str]:
        limit_s, worked_at = self._scenario.limits.idle_limit_s, self._table.worked_at
        idle = (one for one, since in self.memory.idle_since.items() if now - since > limit_s)
        return frozenset(one for one in idle if now - worked_at.get(one, 0.0) <= limit_s)


def memory_bytes(memory: Memory) -> int:
    """About what the memory weighs as an item of the table: 26 characters an id, 17 a time, names and types."""
    pairs = len(memory.launched) + len(memory.idle_since) + len(memory.suspects) + len(memory.leaving)
    return 300 + 75 * len(memory.beats) + 40 * pairs + 110 * len(memory.deliveries) + 2_000 * len(memory.answers)


def _answer(record: Record, fleet: FleetAnswer) -> LaunchAnswer:
    return LaunchAnswer(
        launch_id=record.launch_id,
        market=record.wanted.market,
        wanted=record.wanted.count,
        instances=tuple(
            {"instance_id": one.instance_id, "instance_type": one.instance_type, "zone": zone_name(one.zone)}
            for one in fleet.instances
        ),
        errors=fleet.errors,
    )
