"""Agents: claim, work, linger, hand back, die. What instance/ does, as seen from outside."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from avskrift.jobs.model import JobStatus
from bench.simulation.assumptions import Assumptions
from bench.simulation.ec2 import SPOT, Ec2, Instance
from bench.simulation.loop import Loop
from bench.simulation.queue import JobsQueue, Message
from bench.simulation.scenario import ONE_SHOT, Scenario
from bench.simulation.table import Row, Table
from bench.simulation.webhooks import Outbox
from instance.settings import RETIRE_AT

ONE_SHOT_WAIT_S = 20.0
"""How long a one-shot instance looks for its job."""
RETRY_DELAY_S = 30.0
"""After a job's first failure, and as much more after each further one (``instance.work.Services``)."""


@dataclass(frozen=True)
class World:
    """What an agent works with."""

    loop: Loop
    rng: random.Random
    scenario: Scenario
    table: Table
    queue: JobsQueue
    ec2: Ec2
    outbox: Outbox

    @property
    def assumptions(self) -> Assumptions:
        return self.scenario.assumptions


@dataclass
class Tally:
    """What all agents did and lived through."""

    interruptions: int = 0
    deaths: int = 0
    claims: int = 0
    vain_receives: int = 0
    busy_s: float = 0.0
    redone_audio_s: float = 0.0
    stale_finishes: int = 0


class Agent:
    """The process on one instance. ``turn`` changes whenever what was planned no longer holds."""

    def __init__(self, world: World, instance: Instance, tally: Tally) -> None:
        self._world = world
        self._tally = tally
        self._instance = instance
        self._turn = 0
        self._message: Message | None = None
        self._row: Row | None = None
        self._attempt = 0
        self._claimed_at = 0.0
        self._is_going = False
        self._ended_at = -1.0
        self.silent_from: float | None = None
        """Since when nobody does anything here: what the instance costs from then on has leaked."""

    def boot(self) -> None:
        """Start, and draw what fate has in store."""
        world, machines = self._world, self._world.assumptions.machines
        if world.rng.random() < machines.broken_boots:
            self.silent_from = world.loop.now
            return
        boot_s = world.rng.lognormvariate(math.log(machines.boot_median_s), machines.boot_sigma)
        world.loop.after(boot_s, self._poll)
        world.loop.after(RETIRE_AT * world.scenario.limits.max_life_s, self._retire)
        world.loop.after(world.scenario.limits.max_life_s, self._live_too_long)
        self._plan(machines.deaths_per_h, self.die)
        if self._instance.market == SPOT:
            self._plan(machines.interruptions_per_h, self._be_taken)

    def _plan(self, per_h: float, fate: object) -> None:
        """Fate strikes after an exponential time, if this life is long enough for it."""
        if per_h > 0:
            after_s = self._world.rng.expovariate(per_h / 3_600)
            if after_s < self._world.scenario.limits.max_life_s:
                self._world.loop.after(after_s, fate)  # type: ignore[arg-type]

    # --- the queue ---

    def _poll(self) -> None:
        if self._is_over():
            return
        self._turn += 1
        wait_s = ONE_SHOT_WAIT_S if self._is_one_shot else self._world.scenario.linger_s
        self._wait(self._world.loop.now + wait_s)

    def _wait(self, until: float) -> None:
        turn = self._turn

        def take(message: Message) -> bool:
            return self._turn == turn and not self._is_over() and self._take(message, until)

        self._world.queue.receive(take)
        if self._turn == turn:
            self._world.loop.at(until, self._leave_if_idle, turn)

    def _take(self, message: Message, until: float) -> bool:
        world = self._world
        self._turn += 1
        row = world.table.claim(message.job_id, self._instance.instance_id, world.scenario.heartbeat_s)
        if row is None:
            self._tally.vain_receives += 1
            world.queue.delete(message)
            world.loop.after(0.05, self._wait_again, until, self._turn)  # not within the queue's own loop
            return True
        self._begin(message, row)
        return True

    def _wait_again(self, until: float, turn: int) -> None:
        if self._turn == turn and not self._is_over():
            self._wait(until)

    def _leave_if_idle(self, turn: int) -> None:
        if self._turn == turn and not self._is_over():
            self._power_off()

    # --- one attempt ---

    def _begin(self, message: Message, row: Row) -> None:
        world, work = self._world, self._world.assumptions.work
        self._message, self._row, self._attempt = message, row, row.job.attempt
        self._claimed_at = world.loop.now
        self._tally.claims += 1
        self._speed = work.real_time_factors[self._instance.instance_type] * world.rng.lognormvariate(
            0, work.speed_sigma
        )
        is_fetched = self._ended_at == world.loop.now  # ahead, while the job before was decoded
        download_s = 0.0 if is_fetched else row.job.size_bytes / work.download_bytes_per_s
        self._ready_s = work.overhead_s / 2 + download_s
        if row.ends_badly == "bad_media":
            world.loop.after(self._ready_s, self._end_attempt, self._turn, JobStatus.FAILED)
        elif row.ends_badly == "crashing":
            world.loop.after(self._ready_s + 5, self._crash, self._turn)
        else:
            took_s = self._ready_s + (row.audio_s - row.done_s) / self._speed + work.overhead_s / 2
            world.loop.after(took_s, self._end_attempt, self._turn, JobStatus.COMPLETED)
            self._maybe_pause(took_s)

    def _end_attempt(self, turn: int, status: JobStatus) -> None:
        if self._turn != turn or self._is_over():
            return
        world, row = self._world, self._owned_row()
        self._tally.busy_s += world.loop.now - self._claimed_at
        if row is None:
            self._tally.stale_finishes += 1
            self._withdraw()
            return
        world.table.finish(row.job, status)
        self._turn += 1
        if self._happens(world.assumptions.faults.silent_finishes):
            world.outbox.add(row)
            self.die()
            return
        busy_s = world.outbox.add_and_try(row)
        world.loop.after(busy_s, self._next, self._turn)

    def _next(self, turn: int) -> None:
        """The webhook was tried: the message goes, another comes."""
        if self._turn != turn or self._is_over():
            return
        self._drop()

    def _drop(self) -> None:
        """Nothing more to do for this message."""
        if self._message:
            self._world.queue.delete(self._message)
        self._message = self._row = None
        self._ended_at = self._world.loop.now
        if self._is_going or self._is_one_shot:
            self._power_off()
        else:
            self._poll()

    def _withdraw(self) -> None:
        """The job went on without us; its message may be the only one if it is queued."""
        if self._row and self._message and self._row.job.status is JobStatus.QUEUED:
            self._return_message(0.0)
        else:
            self._drop()

    def _crash(self, turn: int) -> None:
        if self._turn == turn and not self._is_over():
            self._tally.busy_s += self._world.loop.now - self._claimed_at
            self._fail_attempt()

    def _fail_attempt(self) -> None:
        """A fault of ours: back to the queue, or the end when it was the last allowed one."""
        world, row = self._world, self._owned_row()
        if row is None:
            self._withdraw()
            return
        failures = row.job.failures + 1
        if failures < world.scenario.limits.max_failures:
            world.table.requeue(row.job, failed=True)
            self._return_message(RETRY_DELAY_S * failures)
            return
        world.table.finish(row.job, JobStatus.FAILED, failures=failures)
        world.outbox.add_and_try(row)
        self._drop()

    def _return_message(self, after_s: float) -> None:
        message, self._message, self._row = self._message, None, None
        if message:
            self._world.queue.give_back(message, after_s)
        if self._is_going or self._is_one_shot:
            self._power_off()
        else:
            self._poll()

    def _owned_row(self) -> Row | None:
        """The job, if this attempt still owns it."""
        row = self._row
        is_ours = row and row.job.attempt == self._attempt and row.job.status is JobStatus.RUNNING
        return row if is_ours else None

    # --- what happens to it ---

    def notice(self) -> None:
        """EC2 takes the instance in two minutes: hand the job back, claim no more."""
        if self._is_over():
            return
        self._tally.interruptions += 1
        self._is_going = True
        self._turn += 1
        self._world.loop.after(self._world.rng.random() * 5, self._hand_back, self._turn)

    def _hand_back(self, turn: int) -> None:
        if self._turn != turn or self._is_over():
            return
        row = self._owned_row()
        if row is None:
            self._withdraw()
            return
        self._keep(row, self._world.loop.now)
        self._tally.busy_s += self._world.loop.now - self._claimed_at
        self._world.loop.after(self._world.assumptions.work.hand_back_s, self._hand_over, self._turn)

    def _hand_over(self, turn: int) -> None:
        row = self._owned_row()
        if self._turn != turn or self._is_over():
            return
        if row is not None:
            self._world.table.requeue(row.job, interrupted=True)
        self._return_message(0.0)

    def die(self) -> None:
        """Nobody is told: the machine is gone, or it stands there and does nothing."""
        if self._is_over():
            return
        world, row = self._world, self._owned_row()
        self._tally.deaths += 1
        if row:
            every_s = world.assumptions.work.checkpoint_every_s
            self._keep(row, self._claimed_at + (world.loop.now - self._claimed_at) // every_s * every_s)
            self._tally.busy_s += world.loop.now - self._claimed_at
            row.fall_silent(world.loop.now)
        self._return_later(row.beat_at if row else world.loop.now)
        self._turn += 1
        self.silent_from = world.loop.now
        if world.rng.random() >= world.assumptions.machines.zombies:
            world.ec2.end(self._instance.instance_id)

    def _return_later(self, said_at: float) -> None:
        """Nobody extends the message's visibility any more."""
        if self._message:
            lease_s = self._world.scenario.limits.lease_s
            self._world.queue.give_back(self._message, max(0.0, said_at + lease_s - self._world.loop.now))

    def _be_taken(self) -> None:
        """EC2 wants its spot instance back; seldom without saying so."""
        if self._world.rng.random() < self._world.assumptions.machines.unnoticed:
            self._tally.interruptions += 1 if not self._is_over() else 0
            self._vanish()
        else:
            self._world.ec2.give_notice(self._instance)

    def _vanish(self) -> None:
        if not self._is_over():
            self.die()
        self._world.ec2.end(self._instance.instance_id)

    def _live_too_long(self) -> None:
        """The in-guest end of life: a job that has taken so long goes back and counts as failed."""
        if self._is_over():
            return
        self._is_going = True
        self._turn += 1
        row = self._owned_row()
        if row:
            self._keep(row, self._world.loop.now)
            self._tally.busy_s += self._world.loop.now - self._claimed_at
            self._fail_attempt()
        else:
            self._drop()

    def _maybe_pause(self, took_s: float) -> None:
        """A fault: no call reaches AWS for a while, the work goes on."""
        world = self._world
        faults = world.assumptions.faults
        if not self._happens(faults.pauses):
            return
        begins_s = world.rng.random() * took_s
        length_s = world.rng.random() * faults.pause_s
        self._turn += 1
        world.loop.after(begins_s, self._lose_contact, self._turn)
        world.loop.after(begins_s + length_s, self._regain_contact, self._turn)
        world.loop.after(max(took_s, begins_s + length_s), self._end_attempt, self._turn, JobStatus.COMPLETED)

    def _lose_contact(self, turn: int) -> None:
        row = self._owned_row()
        if self._turn != turn or self._is_over() or row is None or self._message is None:
            return
        row.fall_silent(self._world.loop.now)
        lease_s = self._world.scenario.limits.lease_s
        self._world.queue.give_back(self._message, row.beat_at + lease_s - self._world.loop.now)

    def _regain_contact(self, turn: int) -> None:
        row = self._owned_row()
        if self._turn != turn or self._is_over() or row is None or self._message is None:
            return
        row.speak_again(self._world.loop.now)
        self._world.queue.extend(self._message)

    # --- small things ---

    def _keep(self, row: Row, until: float) -> None:
        """A checkpoint holds what was finished by ``until``; the rest is done again."""
        if row.ends_badly:
            return
        begun_at = self._claimed_at + self._ready_s
        done_s = row.done_s + max(0.0, min(until, self._world.loop.now) - begun_at) * self._speed
        reached_s = row.done_s + max(0.0, self._world.loop.now - begun_at) * self._speed
        kept_s = min(done_s, row.audio_s)
        self._tally.redone_audio_s += min(reached_s, row.audio_s) - kept_s
        row.done_s = kept_s

    def _retire(self) -> None:
        """Near the end of its life an agent finishes its job and begins no other."""
        self._is_going = True
        if not self._is_over() and self._row is None:
            self._power_off()

    def _power_off(self) -> None:
        self._turn += 1
        self._is_going = True
        self._world.ec2.end(self._instance.instance_id)

    def _is_over(self) -> bool:
        return self.silent_from is not None or self._instance.ended_at is not None

    def stop(self) -> None:
        """The machine was ended from outside, in the middle of whatever it did."""
        row = self._owned_row()
        if row:
            row.fall_silent(self._world.loop.now)
            self._return_later(row.beat_at)

    @property
    def _is_one_shot(self) -> bool:
        return self._world.scenario.fleet == ONE_SHOT

    def _happens(self, share: float) -> bool:
        return share > 0 and self._world.rng.random() < share
