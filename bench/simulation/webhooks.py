"""The outbox: a first attempt by the agent, the others by λ deliver, by the real schedule."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from avskrift.webhooks.schedule import next_delay_s, queue_delay_s
from bench.simulation.assumptions import Plumbing, Work
from bench.simulation.loop import Busy, Loop
from bench.simulation.table import Row

EARLY_S = 1.0
"""As in ``avskrift.jobs.delivery``."""


class Entry:
    """One webhook to deliver."""

    __slots__ = ("attempts", "next_attempt_at", "outbox_id", "row", "status")

    def __init__(self, row: Row, now: float) -> None:
        self.outbox_id = row.webhook_ids[-1]
        self.row = row
        self.attempts = 0
        self.next_attempt_at = now
        self.status = "pending"


@dataclass
class Receiver:
    """Whoever waits for webhooks."""

    is_down: bool = False
    hangs: bool = False


class Outbox:
    """Pending entries, and λ deliver's few hands."""

    def __init__(self, loop: Loop, rng: random.Random, plumbing: Plumbing, work: Work, lost: float) -> None:
        self.pending: dict[str, Entry] = {}
        self.receiver = Receiver()
        self.on_settled: Callable[[Row], None] = lambda _: None
        self.attempts = self.abandoned = self.delivered = 0
        self.peak_waiting = 0
        self.lost = 0
        self._loop = loop
        self._rng = rng
        self._work = work
        self._free = plumbing.deliver_concurrency
        self._busy = Busy(loop, self._free)
        self._lost_share = lost
        self._due: deque[tuple[Entry, int]] = deque()

    def add(self, row: Row) -> Entry:
        """The entry, as the transaction wrote it; nobody holds a message for it."""
        entry = Entry(row, self._loop.now)
        self.pending[entry.outbox_id] = entry
        return entry

    def add_and_try(self, row: Row) -> float:
        """The agent's first attempt; how many seconds it kept the agent."""
        return self._attempt(self.add(row))

    def send(self, outbox_id: str) -> None:
        """A message to λ deliver about an entry, if it still waits."""
        entry = self.pending.get(outbox_id)
        if entry:
            self._enqueue(entry, 0.0)

    def busiest_share(self) -> float:
        return self._busy.share()

    def due_before(self, when: float) -> list[Entry]:
        """Those whose time had passed by then, most overdue first."""
        due = (one for one in self.pending.values() if one.next_attempt_at <= when)
        return sorted(due, key=lambda one: one.next_attempt_at)

    def _enqueue(self, entry: Entry, wait_s: float) -> None:
        if self._lost_share and self._rng.random() < self._lost_share:
            self.lost += 1
            return
        self._loop.after(queue_delay_s(wait_s), self._arrive, entry, entry.attempts)

    def _arrive(self, entry: Entry, attempt: int) -> None:
        if self._free:
            self._take(entry, attempt)
        else:
            self._due.append((entry, attempt))
            self.peak_waiting = max(self.peak_waiting, len(self._due))

    def _take(self, entry: Entry, attempt: int) -> None:
        self._free -= 1
        took_s = self._handle(entry, attempt)
        self._busy.use(took_s)
        self._loop.after(took_s, self._be_free)

    def _be_free(self) -> None:
        self._free += 1
        if self._due:
            self._take(*self._due.popleft())

    def _handle(self, entry: Entry, attempt: int) -> float:
        """As ``avskrift.jobs.delivery.Outbox.deliver``; seconds it takes."""
        if entry.status != "pending" or attempt != entry.attempts:
            return 0.02
        wait_s = entry.next_attempt_at - self._loop.now
        if wait_s > EARLY_S:
            self._enqueue(entry, wait_s)
            return 0.03
        return self._attempt(entry)

    def _attempt(self, entry: Entry) -> float:
        entry.attempts += 1
        self.attempts += 1
        if not self.receiver.is_down:
            self._loop.after(self._work.webhook_s, self._deliver, entry)
            return self._work.webhook_s
        took_s = self._work.webhook_timeout_s if self.receiver.hangs else self._work.webhook_s
        self._loop.after(took_s, self._fail, entry)
        return took_s

    def _deliver(self, entry: Entry) -> None:
        if entry.status == "pending":
            entry.row.delivered_at = self._loop.now
            self.delivered += 1
            self._settle(entry, "delivered")

    def _fail(self, entry: Entry) -> None:
        delay_s = next_delay_s(entry.attempts)
        if entry.status != "pending":
            return
        if delay_s is None:
            self.abandoned += 1
            self._settle(entry, "abandoned")
            return
        entry.next_attempt_at = self._loop.now + delay_s
        self._enqueue(entry, delay_s)

    def _settle(self, entry: Entry, status: str) -> None:
        entry.status = status
        del self.pending[entry.outbox_id]
        self.on_settled(entry.row)
