"""Recordings arrive, λ register makes jobs of them and nudges λ capacity."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from bench.simulation.assumptions import AUDIO_MAX_S, Plumbing, Work
from bench.simulation.loop import Busy, Loop
from bench.simulation.queue import JobsQueue
from bench.simulation.scenario import Scenario, arrival_times
from bench.simulation.table import Row, Table

DEADLINE_S = 6 * 3_600
CALLBACK_URL = "https://receiver.example/hook"


class Uploads:
    """Events in a queue, a few functions that register them in batches."""

    def __init__(self, loop: Loop, rng: random.Random, scenario: Scenario, table: Table, queue: JobsQueue) -> None:
        self.on_registered: Callable[[list[str]], None] = lambda _: None
        self.count = scenario.uploads_per_day * scenario.days
        self.registered = 0
        self.audio_s = 0.0
        self.peak_waiting = 0
        self._loop = loop
        self._rng = rng
        self._scenario = scenario
        self._table = table
        self._queue = queue
        self._free = self._plumbing.register_concurrency
        self._busy = Busy(loop, self._free)
        self._waiting: deque[tuple[int, float]] = deque()
        self._seen = bytearray(self.count)
        self._events: deque[tuple[float, int, float]] = deque()
        self._options = JobOptions(callback_url=CALLBACK_URL)

    @property
    def _plumbing(self) -> Plumbing:
        return self._scenario.assumptions.plumbing

    @property
    def _work(self) -> Work:
        return self._scenario.assumptions.work

    def begin(self) -> None:
        events = []
        for number, uploaded_at in enumerate(arrival_times(self._scenario, self._rng)):
            copies = 2 if self._rng.random() < self._plumbing.duplicates else 1
            events += [(uploaded_at + self._lag_s(), number, uploaded_at) for _ in range(copies)]
        self._events = deque(sorted(events))
        self._await_next()

    def is_done(self) -> bool:
        """Every upload has its job."""
        return self.registered == self.count

    def busiest_share(self) -> float:
        return self._busy.share()

    def _lag_s(self) -> float:
        plumbing = self._plumbing
        return self._rng.lognormvariate(math.log(plumbing.event_lag_median_s), plumbing.event_lag_sigma)

    def _await_next(self) -> None:
        if self._events:
            self._loop.at(self._events[0][0], self._arrive)

    def _arrive(self) -> None:
        _, number, uploaded_at = self._events.popleft()
        self._waiting.append((number, uploaded_at))
        self.peak_waiting = max(self.peak_waiting, len(self._waiting))
        self._register_more()
        self._await_next()

    def _register_more(self) -> None:
        if not self._free or not self._waiting:
            return
        self._free -= 1
        size = min(len(self._waiting), self._plumbing.register_batch)
        batch = [self._waiting.popleft() for _ in range(size)]
        took_s = size * self._plumbing.register_each_s
        self._busy.use(took_s)
        self._loop.after(took_s, self._register, batch)

    def _register(self, batch: list[tuple[int, float]]) -> None:
        job_ids = [job_id for number, uploaded_at in batch if (job_id := self._register_one(number, uploaded_at))]
        if job_ids:
            self.on_registered(job_ids)
        self._free += 1
        self._register_more()

    def _register_one(self, number: int, uploaded_at: float) -> str | None:
        """The job's id, if it waits for an agent; a job found again gets another message."""
        job_id = f"{number:026d}"
        if not self._seen[number]:
            self._seen[number] = 1
            self.registered += 1
            self._table.create(self._row(job_id, uploaded_at))
        row = self._table.rows.get(job_id)
        if row is None or row.job.status is not JobStatus.QUEUED or row.job.attempt > 0:
            return None
        self._queue.send(job_id)
        return job_id

    def _row(self, job_id: str, uploaded_at: float) -> Row:
        rng, work, now = self._rng, self._work, self._loop.now
        audio_s = min(AUDIO_MAX_S, rng.lognormvariate(math.log(work.audio_median_s), work.audio_sigma))
        bytes_per_s = rng.choices(work.bitrates_bytes_per_s, work.bitrate_weights)[0]
        self.audio_s += audio_s
        job = Job(
            job_id=job_id,
            status=JobStatus.QUEUED,
            bucket="recordings",
            key="uploads/recording",
            version_id="v",
            size_bytes=int(audio_s * bytes_per_s),
            options=self._options_at(now),
            status_at=now,
            expires_at=0,
        )
        return Row(job, uploaded_at, audio_s, self._fate())

    def _options_at(self, now: float) -> JobOptions:
        if self._rng.random() >= self._scenario.deadline_share:
            return self._options
        deadline = datetime.fromtimestamp(now + DEADLINE_S, UTC).isoformat()
        return JobOptions(callback_url=CALLBACK_URL, deadline=deadline)

    def _fate(self) -> str:
        draw = self._rng.random()
        if draw < self._work.bad_media:
            return "bad_media"
        return "crashing" if draw < self._work.bad_media + self._work.crashing else ""
