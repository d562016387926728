"""The jobs table as the policy sees it: real ``Job`` values, conditional writes, an index that may lag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from avskrift.jobs.model import Job, JobProgress, JobStatus
from bench.simulation.loop import Loop


class Refused(Exception):
    """A conditional write whose condition no longer holds: the job went on without the writer."""


class Row:
    """One job, and what the model knows beyond its row."""

    __slots__ = (
        "audio_s",
        "beat_at",
        "delivered_at",
        "done_s",
        "ends_badly",
        "heartbeat_s",
        "is_beating",
        "is_probed",
        "job",
        "registered_at",
        "uploaded_at",
        "webhook_ids",
    )

    def __init__(self, job: Job, uploaded_at: float, audio_s: float, ends_badly: str = "") -> None:
        self.job = job
        self.uploaded_at = uploaded_at
        self.registered_at = job.status_at
        self.audio_s = audio_s
        self.ends_badly = ends_badly
        """``bad_media``, ``crashing`` or empty."""
        self.done_s = 0.0
        """Audio seconds that a checkpoint in the bucket holds."""
        self.beat_at = 0.0
        """When the last counted beat was written."""
        self.is_beating = False
        self.is_probed = False
        self.heartbeat_s = 1.0
        self.delivered_at: float | None = None
        self.webhook_ids: list[str] = []

    def begin_beats(self, now: float, heartbeat_s: float) -> None:
        self.beat_at, self.heartbeat_s, self.is_beating, self.is_probed = now, heartbeat_s, True, False

    def seen(self, now: float) -> Job:
        """The row now. Beats are not events of their own: those that are due are counted when somebody looks."""
        beats = int((now - self.beat_at) / self.heartbeat_s) if self.is_beating else 0
        if beats > 0:
            self.beat_at += beats * self.heartbeat_s
            self.job = self._with_beats(beats)
        return self.job

    def _with_beats(self, beats: int) -> Job:
        changes: dict[str, Any] = {"beat": self.job.beat + beats}
        if not self.is_probed:
            self.is_probed = True
            changes["progress"] = JobProgress(round(self.done_s, 3), round(self.audio_s, 3))
        return replace(self.job, **changes)

    def fall_silent(self, now: float) -> None:
        """No further beat is written (until ``speak_again``)."""
        self.seen(now)
        self.is_beating = False

    def speak_again(self, now: float) -> None:
        self.job = replace(self.job, beat=self.job.beat + 1)
        self.beat_at, self.is_beating = now, True


class Table:
    """The rows of jobs whose webhook is not settled yet, and the index by status."""

    def __init__(self, loop: Loop, index_lag_s: float) -> None:
        self.rows: dict[str, Row] = {}
        self.unfinished = 0
        self.worked_at: dict[str, float] = {}
        """instance_id → when it last ended a job."""
        self.writes = Writes(loop)
        self._loop = loop
        self._lag_s = index_lag_s
        self._queued: dict[str, Job] = {}
        self._running: dict[str, None] = {}

    def create(self, row: Row) -> None:
        self.rows[row.job.job_id] = row
        self.unfinished += 0 if row.job.is_terminal else 1
        self.writes.count(row.job.status)
        self._publish(row.job)

    def claim(self, job_id: str, instance_id: str, heartbeat_s: float) -> Row | None:
        """None if the job is not queued."""
        row = self.rows.get(job_id)
        if row is None or row.job.status is not JobStatus.QUEUED:
            return None
        self._change(row, JobStatus.RUNNING, attempt=row.job.attempt + 1, beat=0, instance_id=instance_id)
        row.begin_beats(self._loop.now, heartbeat_s)
        return row

    def requeue(self, job: Job, *, failed: bool = False, interrupted: bool = False) -> Row:
        """``Refused`` unless the attempt of ``job`` still owns it."""
        row = self.owned(job)
        row.fall_silent(self._loop.now)
        added = {"failures": row.job.failures + failed, "interruptions": row.job.interruptions + interrupted}
        self._change(row, JobStatus.QUEUED, instance_id="", **added)
        return row

    def finish(self, job: Job, status: JobStatus, **changes: Any) -> Row:
        """Status and webhook in one transaction; ``Refused`` unless the attempt of ``job`` still owns it."""
        row = self.owned(job)
        row.is_beating = False
        if row.job.instance_id:
            self.worked_at[row.job.instance_id] = self._loop.now
        self._change(row, status, **changes)
        row.webhook_ids.append(f"{job.job_id}-{status.value}-{row.job.sequence}")
        self.unfinished -= 1
        return row

    def owned(self, job: Job) -> Row:
        row = self.rows.get(job.job_id)
        if row is None or (row.job.status, row.job.attempt) != (job.status, job.attempt):
            raise Refused(job.job_id)
        return row

    def queued(self, limit: int) -> tuple[Job, ...]:
        """By the index, oldest first."""
        return tuple(islice(self._queued.values(), limit))

    def running(self) -> tuple[Job, ...]:
        """Found by the index, each read again."""
        now, rows = self._loop.now, self.rows
        found = (rows[job_id].seen(now) for job_id in self._running if job_id in rows)
        return tuple(job for job in found if job.status is JobStatus.RUNNING)

    def added(self, queued: tuple[Job, ...], job_ids: Iterable[str]) -> tuple[Job, ...]:
        """``queued`` and those of ``job_ids`` that the index does not know yet."""
        unknown = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in self._queued]
        fresh = [self.rows[job_id].job for job_id in unknown if job_id in self.rows]
        return (*queued, *(job for job in fresh if job.status is JobStatus.QUEUED))

    def _change(self, row: Row, status: JobStatus, **changes: Any) -> None:
        self.writes.count(row.job.status)
        self.writes.count(status)
        sequence = row.job.sequence + 1
        row.job = replace(row.job, status=status, status_at=self._loop.now, sequence=sequence, **changes)
        self._publish(row.job)

    def _publish(self, job: Job) -> None:
        if self._lag_s:
            self._loop.after(self._lag_s, self._index, job)
        else:
            self._index(job)

    def _index(self, job: Job) -> None:
        self._queued.pop(job.job_id, None)
        self._running.pop(job.job_id, None)
        if job.status is JobStatus.QUEUED:
            self._queued[job.job_id] = job
        elif job.status is JobStatus.RUNNING:
            self._running[job.job_id] = None


class Writes:
    """The busiest second of each partition of the index, beats not counted."""

    def __init__(self, loop: Loop) -> None:
        self.peak: dict[JobStatus, int] = {}
        self._loop = loop
        self._second = -1
        self._counts: dict[JobStatus, int] = {}

    def count(self, status: JobStatus) -> None:
        second = int(self._loop.now)
        if second != self._second:
            self._second, self._counts = second, {}
        count = self._counts[status] = self._counts.get(status, 0) + 1
        if count > self.peak.get(status, 0):
            self.peak[status] = count
