"""The jobs queue: at least once, visibility, approximate counts, messages that can get lost."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from bench.simulation.loop import Loop


class Message:
    """One message; ``receives`` tells a receiver whether it is still the last one."""

    __slots__ = ("is_gone", "is_visible", "job_id", "receives")

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.is_visible = False
        self.is_gone = False
        self.receives = 0


class JobsQueue:
    """Messages wait for agents, agents wait for messages."""

    def __init__(self, loop: Loop, rng: random.Random, count_lag_s: float, lost: float) -> None:
        self.count = 0
        self.lost = 0
        self.peak_in_flight = 0
        self._loop = loop
        self._rng = rng
        self._lag_s = count_lag_s
        self._lost_share = lost
        self._visible: deque[Message] = deque()
        self._in_flight = 0
        self._waiting: deque[Callable[[Message], bool]] = deque()
        self._history: deque[tuple[float, int]] = deque([(loop.now, 0)])

    def send(self, job_id: str) -> None:
        if self._lost_share and self._rng.random() < self._lost_share:
            self.lost += 1
            return
        self._add(1)
        self._offer(Message(job_id))

    def receive(self, taker: Callable[[Message], bool]) -> None:
        """Give ``taker`` the next message, now or when one comes; it answers False if it waits no longer."""
        while self._visible:
            message = self._visible.popleft()
            if not message.is_gone:
                self._give(message, taker)
                return
        self._waiting.append(taker)

    def delete(self, message: Message) -> None:
        """Deleting what somebody else has received meanwhile deletes it for good, as SQS mostly does."""
        if message.is_gone:
            return
        message.is_gone = True
        self._in_flight -= 0 if message.is_visible else 1
        self._add(-1)

    def give_back(self, message: Message, after_s: float = 0.0) -> None:
        """End its invisibility after a while."""
        self._loop.after(after_s, self._reappear, message, message.receives)

    def extend(self, message: Message) -> None:
        """A heartbeat: what ``give_back`` was to end goes on."""
        message.receives += 1

    def approximate_count(self) -> int:
        """Waiting and in flight, as it was a little while ago."""
        before = self._loop.now - self._lag_s
        while len(self._history) > 1 and self._history[1][0] <= before:
            self._history.popleft()
        return self._history[0][1]

    def _reappear(self, message: Message, receives: int) -> None:
        if message.is_gone or message.is_visible or message.receives != receives:
            return
        self._in_flight -= 1
        self._offer(message)

    def _offer(self, message: Message) -> None:
        while self._waiting:
            if self._give(message, self._waiting.popleft()):
                return
        message.is_visible = True
        self._visible.append(message)

    def _give(self, message: Message, taker: Callable[[Message], bool]) -> bool:
        message.is_visible = False
        message.receives += 1
        self._in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        if taker(message):
            return True
        message.receives -= 1
        self._in_flight -= 1
        return False

    def _add(self, change: int) -> None:
        self.count += change
        self._history.append((self._loop.now, self.count))
        if len(self._history) > 50_000:
            self.approximate_count()
