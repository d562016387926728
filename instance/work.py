"""One attempt at one job: fetch → transcribe → results → transaction → webhook → delete message.

Each step may be repeated by the next attempt. An error of the recording ends the job; an error of ours costs the
attempt; an interruption costs nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from avskrift.asr.engine import Progress, TranscribeOptions
from avskrift.clip import parse_clip
from avskrift.errors import JOB_ERROR_CODES, AvskriftError, BadOptions, Cancelled, ModelUnavailable
from avskrift.jobs.measures import of_cost
from avskrift.jobs.model import Job, JobError, JobProgress, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.table import StaleAttempt, ended_job, failed_job
from avskrift.transcript import Transcript
from instance.billing import Bill
from instance.checkpoints import CheckpointKeeper
from instance.ending import Ending, HandedBack
from instance.faults import brief, insist
from instance.heartbeat import Claim, Heartbeat, Pace
from instance.log_context import about
from instance.preparation import Preparation
from instance.results import ResultStore, require_possible
from instance.services import Services, Transcriber

log = logging.getLogger(__name__)
EXHAUSTED = "The job failed {failures} times, last with: {last} Its job.json holds the evidence."
OVERDUE = "it was stopped, because it took too long."


class HandBack(Enum):
    """Why an attempt returns its job unfinished."""

    STOPPED = "stopped"
    """An operator's wish: costs the job nothing."""
    INTERRUPTED = "interrupted"
    """EC2 takes the instance: costs nothing, and is counted."""
    OVERDUE = "overdue"
    """The job itself takes too long: a failure."""


class Attempt:
    """One claimed job and its place on the disk. ``hand_back`` and ``abandon`` may be called from any thread.

    ``has_worked`` is what it says of this instance: a transcript, or a fault of ours; None where it shows neither, as
    for a job that was handed back, or a recording that is at fault itself.
    """

    def __init__(
        self,
        claim: Claim,
        services: Services,
        place: Preparation,
        bill: Bill,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._claim = claim
        self._bill = bill
        self._services = services
        self._place = place
        self.has_worked: bool | None = None
        self._on_progress = on_progress
        self._phases: dict[str, float] = self._first_phases()
        self._cancel = threading.Event()
        self._lost = False
        self._reason: HandBack | None = None
        self._store = ResultStore(services.s3, services.settings.bucket)
        self._ending = Ending(claim, services, self._store, place.checkpoint)
        self._heartbeat = Heartbeat(claim, services.table, services.queue, self._pace(), self)
        self._heartbeat.phases = self._phases

    def run(self) -> None:
        """Work until the job has ended, was handed back, or is no longer ours. Raises nothing of the job's."""
        job = self._claim.job
        log.info("job %s: attempt %d", job.job_id, job.attempt)
        with self._heartbeat:
            try:
                self._work()
            except StaleAttempt:
                log.warning("job %s went on without us", job.job_id)
                self._withdraw()

    def hand_back(self, reason: HandBack) -> None:
        """Stop, and return the job to the queue; the first reason counts."""
        self._reason = self._reason or reason
        self._cancel.set()

    def abandon(self) -> None:
        """Return the job at once, past an attempt that hangs: the instance is about to be taken."""
        self._heartbeat.stop()
        with about(self._claim.job.job_id, self._claim.job.attempt), suppress(StaleAttempt):
            self._return_job(interrupted=True)

    def cost_so_far(self) -> tuple[float, dict[str, Any]]:
        """For the heartbeat: when, and what the job has cost until then."""
        now = self._now()
        return now, self._bill.cost(self._claim.job, now)

    def cost_told(self, until: float) -> None:
        """A beat put it on the row."""
        self._bill.told(until)

    def lost(self) -> None:
        """The job is no longer ours: stop, write nothing more."""
        self._lost = True
        self._cancel.set()

    def stalled(self) -> None:
        """Nothing moved for too long: give up this attempt."""
        log.error("job %s: no progress for %.0f s", self._claim.job.job_id, self._services.stall_s)
        self.hand_back(HandBack.OVERDUE)

    def _work(self) -> None:
        try:
            transcript = self._transcribe()
            result = self._store_results(transcript)
        except Cancelled:
            self._give_up()
        except AvskriftError as error:
            if error.code in JOB_ERROR_CODES and error.code != "internal":
                self._fail_job(JobError(error.code, error.message))
            else:
                self._fail_attempt(error.message)
        except Exception as error:  # noqa: BLE001
            # Whatever it was, it costs this attempt and nothing else. Its text may name keys and addresses: not logged.
            log.error("job %s: the attempt failed: %s", self._claim.job.job_id, brief(error))
            self._fail_attempt(f"{brief(error)}.")
        else:
            self._complete(transcript, result)
            self.has_worked = True

    def _transcribe(self) -> Transcript:
        require_possible(self._claim.job)
        self._place.fetch(self._claim.job, self._cancel)
        self._mark("downloaded")
        engine = self._engine(self._claim.job.options)
        self._mark("model_ready")
        if self._cancel.is_set():
            raise Cancelled("The attempt was cancelled before its transcription.")
        with CheckpointKeeper(self._place.checkpoint, self._services.checkpoint_s):
            transcript = engine.transcribe(
                self._place.recording, self._options(), self._note_progress, self._cancel, self._checkpoint()
            )
        self._mark("transcribed")
        return transcript

    def _engine(self, asked: JobOptions) -> Transcriber:
        """A model or a style that the job itself asked for, and that is not to be had, is the job's fault."""
        try:
            return self._services.engine_for(asked.model, asked.style)
        except ModelUnavailable as error:
            if asked.model is None and asked.style == "standard":
                raise
            raise BadOptions(f"The model can't be used: {error.message}") from error

    def _options(self) -> TranscribeOptions:
        asked = self._claim.job.options
        return TranscribeOptions(
            language=asked.language,
            home_language=asked.home_language,
            task=asked.task,
            words=asked.words,
            prompt=asked.prompt,
            hotwords=asked.hotwords,
            vad=asked.vad,
            clip=parse_clip(asked.clip) if asked.clip else None,
            channels=asked.channels,
            max_duration_s=self._services.settings.max_duration_s,
        )

    def _checkpoint(self) -> Path | None:
        """None on the last try of a job that failed before: its checkpoint must not be what kills it."""
        failures = self._claim.job.failures
        is_last_chance = failures > 0 and failures + 1 >= self._services.settings.max_failures
        return None if is_last_chance else self._place.checkpoint.path

    def _note_progress(self, progress: Progress) -> None:
        self._heartbeat.progress = JobProgress(round(progress.done_s, 3), round(progress.total_s, 3))
        self._on_progress(progress)

    def _store_results(self, transcript: Transcript) -> dict[str, Any]:
        job = self._claim.job
        what = f"job {job.job_id}: results"
        result = insist(what, lambda: self._store.write(job, transcript), self._services.patience)
        self._mark("stored")
        return result

    def _complete(self, transcript: Transcript, result: dict[str, Any]) -> None:
        now = self._now()
        done = JobProgress(round(transcript.duration_s, 3), round(transcript.duration_s, 3))
        ended = ended_job(self._current(now), JobStatus.COMPLETED, now, result=result, progress=done)
        evidence = {"engine": transcript.engine, "warnings": list(transcript.warnings), "audit": transcript.audit}
        self._finish(ended, evidence)

    def _fail_job(self, error: JobError) -> None:
        """The recording's own fault: no other attempt would end better."""
        now = self._now()
        self._finish(failed_job(self._current(now), error, now))

    def _fail_attempt(self, last: str) -> None:
        """A fault of ours, unless it is only how the work took being stopped."""
        if self._cancel.is_set():
            self._give_up()
        else:
            self._count_failure(last)

    def _count_failure(self, last: str) -> None:
        """Back to the queue, or the end when this was the last allowed failure."""
        self.has_worked = False
        failures = self._claim.job.failures + 1
        if failures < self._services.settings.max_failures:
            self._requeue(failed=True, after_s=self._services.retry_delay_s * failures)
            return
        now = self._now()
        error = JobError("attempts_exhausted", EXHAUSTED.format(failures=failures, last=last))
        self._finish(replace(failed_job(self._current(now), error, now), failures=failures))

    def _give_up(self) -> None:
        """Cancelled: the job is no longer ours, or it goes back."""
        if self._lost:
            raise StaleAttempt(f"Job {self._claim.job.job_id} is no longer ours.")
        if self._reason is HandBack.OVERDUE:
            self._count_failure(OVERDUE)
            return
        self._requeue(interrupted=self._reason is HandBack.INTERRUPTED)
        log.info("job %s: handed back", self._claim.job.job_id)

    def _finish(self, ended: Job, extra: dict[str, Any] | None = None) -> None:
        self._heartbeat.stop()
        self._ending.finish(ended, extra or {})
        self._bill.let_go(ended, ended.cost or {}, ended.status_at)

    def _requeue(self, *, failed: bool = False, interrupted: bool = False, after_s: float = 0.0) -> None:
        """First what is done so far, for the next attempt."""
        self._place.checkpoint.save_within(self._services.hand_back_s)
        self._heartbeat.stop()
        self._return_job(failed=failed, interrupted=interrupted, after_s=after_s)

    def _return_job(self, **how: Any) -> None:
        now, cost = self.cost_so_far()
        self._ending.requeue(HandedBack(now, cost, **how))
        self._bill.let_go(replace(self._claim.job, status=JobStatus.QUEUED), cost, now)

    def _withdraw(self) -> None:
        """What was worked on a job until it was cancelled is its cost; what was lost to others they settle."""
        job = self._claim.job
        row = self._ending.withdraw(has_results="transcribed" in self._phases or job.attempt > 1)
        if row and row.status is JobStatus.CANCELLED and row.attempt == job.attempt:
            now, cost = self.cost_so_far()
            if self._ending.charge(cost):
                self._services.measure(of_cost(cost), row)
                self._bill.let_go(row, cost, now)

    def _pace(self) -> Pace:
        return Pace(self._services.settings.heartbeat_s, self._services.stall_s)

    def _current(self, now: float) -> Job:
        """The claimed job with the phases and the cost of this attempt."""
        phases = {**self._claim.job.phases, **self._phases}
        return replace(self._claim.job, phases=phases, cost=self._bill.cost(self._claim.job, now))

    def _first_phases(self) -> dict[str, float]:
        identity = self._services.identity
        phases = {"booted": self._services.booted_at}
        if identity.launched_at is not None:
            phases["launched"] = identity.launched_at
        return phases

    def _mark(self, phase: str) -> None:
        self._phases[phase] = self._now()
        log.info("job %s: %s", self._claim.job.job_id, phase)

    def _now(self) -> float:
        return round(self._services.clock(), 3)
