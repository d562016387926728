"""The heartbeat ends before the attempt lets go of its job: a beat after that would find the job lost."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from avskrift.errors import NoAudioStream, WorkerCrashed
from avskrift.jobs.model import JobStatus
from avskrift.jobs.table import JobTable
from tests.instance.agent_stage import PATIENCE_S, FaultyClient, Outcome, Stage, Work
from tests.instance.test_agent_faults import is_requeue

SILENT = NoAudioStream("There is no sound in this file: send its audio track.")
CRASH = WorkerCrashed("The worker died (signal 11).")


class Watch:
    """A table that tells a job's last write apart from its beats, and waits there for what beats may still come."""

    def __init__(self, stage: Stage) -> None:
        self.beat = threading.Event()
        self.alive_at_the_end: list[bool] = []
        self._heart: threading.Thread | None = None
        transactions = FaultyClient(stage.deployment.dynamodb, "transact_write_items", self._look, self._await_beats)
        self.table = JobTable(FaultyClient(transactions, "update_item", self._note, self._await_requeue), "jobs")

    def _note(self, **request: Any) -> None:
        if threading.current_thread().name == "heartbeat":
            self._heart = threading.current_thread()
            self.beat.set()
        elif is_requeue(**request):
            self._look()

    def _look(self, **_: Any) -> None:
        self.alive_at_the_end.append(bool(self._heart and self._heart.is_alive()))

    def _await_requeue(self, **request: Any) -> None:
        if is_requeue(**request):
            self._await_beats()

    def _await_beats(self, **_: Any) -> None:
        """A heart that still beats meets the row it no longer owns, and stops of itself."""
        if self._heart:
            self._heart.join(PATIENCE_S)


@pytest.mark.parametrize("end", [None, SILENT, CRASH], ids=["completed", "failed", "exhausted"])
def test_no_beat_comes_after_the_end_of_a_job(stage: Stage, end: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    job = stage.upload()
    watch = Watch(stage)

    def end_after_a_beat(work: Work) -> None:
        assert watch.beat.wait(PATIENCE_S)
        if isinstance(end, Exception):
            raise end

    settings = stage.with_settings(max_failures=1, heartbeat_s=0.01)
    stage.run(end_after_a_beat, table=watch.table, settings=settings)
    assert stage.job(job).is_terminal
    assert watch.alive_at_the_end == [False]
    assert lost(caplog) == []


@pytest.mark.parametrize("is_stopped", [True, False], ids=["handed back", "failed once"])
def test_no_beat_comes_after_a_job_went_back(stage: Stage, is_stopped: bool, caplog: pytest.LogCaptureFixture) -> None:
    job = stage.upload()
    watch = Watch(stage)

    def stop_after_a_beat(work: Work) -> None:
        assert watch.beat.wait(PATIENCE_S)
        agent.retire()
        if not is_stopped:
            raise CRASH
        agent.stop()
        work.await_cancel()

    agent = stage.agent(stop_after_a_beat, table=watch.table, settings=stage.with_settings(heartbeat_s=0.01))
    agent.run()
    assert stage.job(job).status is JobStatus.QUEUED
    assert watch.alive_at_the_end == [False]
    assert lost(caplog) == []


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an agent says of a job that somebody took from it."""
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    return [text for text in said if "no longer ours" in text or "went on without us" in text]
