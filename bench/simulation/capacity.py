"""λ capacity: every minute and on a nudge, one pass at a time, each of which takes its time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.simulation.assumptions import CAPACITY_TIMEOUT_S, ITEM_LIMIT_BYTES, Assumptions
from bench.simulation.loop import Loop
from bench.simulation.policy_adapter import MAX_ACTIONS, Fleet, Memory, Nudge, Observed, memory_bytes

EVERY_S = 60.0
MAX_PASSES = 3
"""Of one invocation, as in ``lambdas.capacity``."""


@dataclass
class PassTally:
    passes: int = 0
    timed_out: int = 0
    forgotten: int = 0
    peak_s: float = 0.0
    peak_memory_bytes: int = 0
    peak_actions: int = 0
    peak_queued: int = 0


class Capacity:
    """The function and the lease it serialises itself with."""

    def __init__(self, loop: Loop, rng: random.Random, assumptions: Assumptions, fleet: Fleet) -> None:
        self.tally = PassTally()
        self._loop = loop
        self._rng = rng
        self._plumbing = assumptions.plumbing
        self._faults = assumptions.faults
        self._fleet = fleet
        self._lease_until = 0.0
        self._again: list[str] | None = None

    def tick(self) -> None:
        """The schedule; with faults it skips a beat, or comes twice."""
        if not self._happens(self._faults.skipped_passes):
            self._wake(Nudge())
        if self._happens(self._faults.doubled_passes):
            self._loop.after(self._rng.random(), self._wake, Nudge())

    def nudge(self, job_ids: Sequence[str]) -> None:
        """λ register says which jobs are new."""
        self._invoke(self._plumbing.invoke_s, Nudge(tuple(job_ids)))

    def announce(self, instance_id: str) -> None:
        """EventBridge tells of a spot notice."""
        self._invoke(self._plumbing.event_lag_median_s, Nudge(leaving={instance_id: True}))

    def _invoke(self, after_s: float, nudge: Nudge) -> None:
        if not self._happens(self._faults.lost_nudges):
            self._loop.after(after_s, self._wake, nudge)

    def _wake(self, nudge: Nudge) -> None:
        """A loser of the lease asks its holder for another pass and leaves."""
        if self._loop.now < self._lease_until:
            self._again = [*(self._again or ()), *nudge.to_words()]
        else:
            self._again = None
            self._pass(nudge, self._loop.now, 1)

    def _pass(self, nudge: Nudge, invoked_at: float, number: int) -> None:
        now = self._loop.now
        self._lease_until = now + CAPACITY_TIMEOUT_S
        observed = self._fleet.observe(now, nudge)
        took_s = self._observing_s(observed)
        self.tally.passes += 1
        self.tally.peak_queued = max(self.tally.peak_queued, len(observed.queued))
        if now + took_s - invoked_at > CAPACITY_TIMEOUT_S:
            self._die(now + took_s - invoked_at)
            return
        self._loop.after(took_s, self._act, observed, invoked_at, number)

    def _observing_s(self, observed: Observed) -> float:
        rows = len(observed.queued) + len(observed.running) + len(observed.deliveries)
        plumbing = self._plumbing
        return plumbing.pass_base_s + rows * plumbing.pass_row_s + len(observed.running) * plumbing.pass_running_s

    def _act(self, observed: Observed, invoked_at: float, number: int) -> None:
        """All at this moment; the time that it takes holds the lease."""
        left_s = CAPACITY_TIMEOUT_S - (self._loop.now - invoked_at)
        decision = self._fleet.decide(observed)
        actions = decision.actions[:MAX_ACTIONS]
        self.tally.peak_actions = max(self.tally.peak_actions, len(decision.actions))
        dies_at = self._rng.randrange(len(actions) + 1) if self._happens(self._faults.forgotten_passes) else None
        memory = decision.memory
        for action in actions[:dies_at]:
            if self._fleet.busy_s < left_s:
                memory = self._fleet.act(action, memory, observed)
        took_s = self._loop.now + self._fleet.busy_s - observed.now
        if dies_at is not None or self._fleet.busy_s >= left_s:
            self._die(took_s)
            return
        self.tally.peak_s = max(self.tally.peak_s, took_s)
        self._remember(memory)
        self._loop.after(self._fleet.busy_s, self._release, invoked_at, number)

    def _remember(self, memory: Memory) -> None:
        size = memory_bytes(memory)
        self.tally.peak_memory_bytes = max(self.tally.peak_memory_bytes, size)
        if size > ITEM_LIMIT_BYTES or self._happens(self._faults.refused_memories):
            self.tally.forgotten += 1
        else:
            self._fleet.memory = memory

    def _die(self, after_s: float) -> None:
        """The invocation ended in the middle: nobody gives the lease back, and it runs out."""
        self.tally.timed_out += after_s >= CAPACITY_TIMEOUT_S
        self.tally.forgotten += 1
        self.tally.peak_s = max(self.tally.peak_s, min(after_s, CAPACITY_TIMEOUT_S))

    def _happens(self, share: float) -> bool:
        return share > 0 and self._rng.random() < share

    def _release(self, invoked_at: float, number: int) -> None:
        self._lease_until = 0.0
        words, self._again = self._again, None
        if words is not None and number < MAX_PASSES:
            self._pass(Nudge.from_words(words), invoked_at, number + 1)
