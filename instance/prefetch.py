"""The next job's recording is fetched while the present one is decoded, so that the GPU doesn't wait for the network.

The next job is only peeked at: its message is kept from others, its row is left alone. It is claimed when the present
job has ended. So an agent that dies costs it nothing: the message comes back by itself.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from avskrift.asr.engine import Progress
from avskrift.jobs.model import JobStatus
from instance.faults import SDK_FAULTS, brief
from instance.jobsqueue import Message
from instance.log_context import about
from instance.preparation import Preparation, has_room_for
from instance.services import Services

log = logging.getLogger(__name__)
AHEAD_S = 30.0
"""The next job is fetched when the present one is likely to take no longer than this."""
HOLD_S = 3 * AHEAD_S
"""The next job is kept from others for so long: a present job that stands still must not keep it from them."""
PEEK_PAUSE_S = 5.0
"""Between two looks at the queue."""


class Speed:
    """How long the present job will still take: from how fast it went so far or, before that, the job before it."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._audio_s_per_s = 0.0

    def begin(self) -> None:
        """Another job."""
        self._first = None

    def remaining_s(self, progress: Progress, now: float) -> float:
        """``now`` in seconds of a steady clock; infinite as long as nobody can tell."""
        if self._first is None:
            self._first = (now, progress.done_s)
        began, done_s = self._first
        if now > began and progress.done_s > done_s:
            self._audio_s_per_s = (progress.done_s - done_s) / (now - began)
        rest_s = max(0.0, progress.total_s - progress.done_s)
        if rest_s and not self._audio_s_per_s:
            return math.inf
        return rest_s and rest_s / self._audio_s_per_s


@dataclass(frozen=True)
class Peeked:
    """A message that nobody else sees for now, and its job's recording: there, or on its way."""

    message: Message
    place: Preparation


class Peek:
    """One look at the queue, in a thread that keeps what it finds until somebody takes it or it must go back."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._queue = services.queue
        self._lock = threading.Lock()
        self._decided = threading.Event()
        self._found: Peeked | None = None
        self._has_expired = False
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    @property
    def has_expired(self) -> bool:
        """Whether something was found, kept for ``HOLD_S``, and not taken."""
        return self._has_expired

    def take(self) -> Peeked | None:
        """What was found so far, now the caller's. What is found later goes back to the queue."""
        with self._lock:
            found, self._found = self._found, None
        self._decided.set()
        return found

    def drop(self) -> None:
        """Let it go back to the queue, soon; returns at once."""
        self._decided.set()

    def join(self, limit_s: float) -> None:
        self._thread.join(limit_s)

    def _run(self) -> None:
        try:
            message = self._queue.receive(wait_s=0)
        except SDK_FAULTS as error:
            log.info("nothing was fetched ahead: %s", brief(error))
            return
        if message and not self._is_taken(message):
            try:
                self._queue.give_back(message.receipt)
            except SDK_FAULTS as error:
                log.warning("a message peeked at comes back late: %s", brief(error))

    def _is_taken(self, message: Message) -> bool:
        with about(message.job_id):
            return self._is_fetched_and_taken(message)

    def _is_fetched_and_taken(self, message: Message) -> bool:
        """Fetch ahead what the message is about and keep it until that is decided, for ``HOLD_S`` at most."""
        until = time.monotonic() + HOLD_S
        place = self._prepared(message)
        if place is None:
            return False
        with self._lock:
            self._found = Peeked(message, place)
        while not self._decided.wait(min(self._queue.lease_s / 3, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                log.warning("job %s: not kept from others any longer", message.job_id)
                self._has_expired = True
                break
            self._keep(message)
        with self._lock:
            left, self._found = self._found, None
        if left:
            place.close()
        return left is None

    def _prepared(self, message: Message) -> Preparation | None:
        """None where there is nothing to fetch; whoever receives the message next finds out why."""
        try:
            job = self._services.table.get(message.job_id) if message.job_id else None
            if job is None or job.status is not JobStatus.QUEUED or not has_room_for(job):
                return None
            place = Preparation(job.job_id, self._services)
        except Exception as error:  # noqa: BLE001  (nothing that is done ahead may cost anything)
            log.info("job %s: not fetched ahead: %s", message.job_id, brief(error))
            return None
        place.begin(job, on_failure=self._decided.set)
        return place

    def _keep(self, message: Message) -> None:
        try:
            self._queue.keep(message.receipt)
        except SDK_FAULTS as error:
            log.warning("a message peeked at was not kept: %s", brief(error))


class Prefetcher:
    """At most one job ahead of the one at work. ``close`` may be called from any thread."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._speed = Speed()
        self._peek: Peek | None = None
        self._not_before = -math.inf
        self._closed = threading.Event()

    def begin(self) -> None:
        """Another job is at work."""
        self._speed.begin()
        self._not_before = -math.inf

    def follow(self, progress: Progress) -> None:
        """The job at work has come so far: look ahead if it will end soon."""
        now = self._clock()
        if self._speed.remaining_s(progress, now) > AHEAD_S or now < self._not_before or self._closed.is_set():
            return
        if self._peek is None or (self._peek.is_over and not self._peek.has_expired):
            self._not_before = now + PEEK_PAUSE_S
            peek = self._peek = Peek(self._services)
            if self._closed.is_set():
                peek.drop()

    def take(self) -> Peeked | None:
        """The job that was fetched ahead, if there is one."""
        peek, self._peek = self._peek, None
        return peek.take() if peek and not self._closed.is_set() else None

    def close(self) -> None:
        """Look no further, and let what was peeked at go back; returns at once."""
        self._closed.set()
        peek = self._peek
        if peek:
            peek.drop()

    def join(self, limit_s: float) -> None:
        """Wait until what was peeked at has gone back."""
        peek = self._peek
        if peek:
            peek.join(limit_s)
