"""Discrete events: what happens next happens at once, time jumps between."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Loop:
    """Events in order of time, and of asking where times are equal. ``now``: UTC epoch seconds."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0
        self._is_stopped = False

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call ``action`` at ``when``; a time that has passed means now."""
        self._asked += 1
        heapq.heappush(self._events, (max(when, self.now), self._asked, action, arguments))

    def after(self, delay_s: float, action: Callable[..., None], *arguments: Any) -> None:
        self.at(self.now + delay_s, action, *arguments)

    def stop(self) -> None:
        """Nothing happens after the present event."""
        self._is_stopped = True

    def run(self, until: float) -> None:
        """Let events happen until ``stop``, until none is left, or until that time."""
        events = self._events
        while events and not self._is_stopped and events[0][0] <= until:
            self.now, _, action, arguments = heapq.heappop(events)
            action(*arguments)


class Busy:
    """How busy a few servers were in their busiest minute."""

    def __init__(self, loop: Loop, servers: int) -> None:
        self._loop = loop
        self._servers = servers
        self._minute = -1
        self._used_s = 0.0
        self._peak_s = 0.0

    def use(self, seconds: float) -> None:
        """One server is busy for so long from now; counted where it begins."""
        minute = int(self._loop.now / 60)
        if minute != self._minute:
            self._minute, self._used_s = minute, 0.0
        self._used_s += seconds
        self._peak_s = max(self._peak_s, self._used_s)

    def share(self) -> float:
        return min(1.0, self._peak_s / (60 * self._servers))
