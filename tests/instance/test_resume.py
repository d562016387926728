"""The agent and the real engine: an interrupted job goes on in the middle of its recording, on another agent."""

from __future__ import annotations

import json
import os
import signal
import threading
import wave
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from avskrift.asr import embedded
from avskrift.asr.engine import Engine, EngineConfig, Progress, TranscribeOptions
from avskrift.audio import SAMPLE_RATE_HZ, load
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.messages import send_job
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.transcript import Transcript
from instance.work import HandBack
from tests.instance.agent_stage import NOW, Stage

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

pytestmark = [
    pytest.mark.speech,
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]


class Watched:
    """The real engine; runs ``act`` once, when something is finished and something is left to do."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.act = lambda: None
        self.started_at_s: list[float] = []

    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: object = None,
        cancel: threading.Event | None = None,
        checkpoint: Path | None = None,
    ) -> Transcript:
        began: list[float] = []

        def watch(progress: Progress) -> None:
            began.append(progress.done_s)
            if checkpoint and checkpoint.exists() and len(checkpoint.read_bytes().splitlines()) > 1:
                act, self.act = self.act, lambda: None
                act()
            on_progress(progress)  # type: ignore[operator]

        try:
            return self.engine.transcribe(path, options, watch, cancel, checkpoint)
        finally:
            self.started_at_s.append(began[0])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Of small windows: two chunks."""
    with Engine(EngineConfig(model="base", device="cpu", threads=1, batch=1)) as engine:
        yield engine


@pytest.fixture(scope="module")
def recording() -> bytes:
    """Some minutes in two languages."""
    voices = [load(SAMPLES / "sv.ogg"), load(SAMPLES / "en.ogg")]
    sound = np.concatenate([voices[n % 2] for n in range(10)])
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((sound * 32_000).astype("<i2").tobytes())
    return content.getvalue()


def add_job(stage: Stage, key: str, recording: bytes) -> Job:
    upload = stage.deployment.put(key, recording)
    job = Job(
        job_id=job_id_for(upload.bucket, key, upload.version_id),
        status=JobStatus.QUEUED,
        bucket=upload.bucket,
        key=key,
        version_id=upload.version_id,
        size_bytes=len(recording),
        options=JobOptions(language="sv", words=False, formats=("json",)),
        status_at=NOW,
        expires_at=int(NOW) + 86_400,
        phases={"queued": NOW},
    )
    assert stage.table.create(job)
    send_job(stage.deployment.sqs, stage.deployment.jobs_queue_url, job.job_id)
    return job


def test_interrupted_job_goes_on_in_the_middle_of_its_recording(stage: Stage, engine: Engine, recording: bytes) -> None:
    watched = Watched(engine)
    struck = add_job(stage, "uploads/struck.wav", recording)
    agent = stage.agent(engine_for=lambda *_: watched)
    watched.act = lambda: agent.stop(HandBack.INTERRUPTED)
    agent.run()
    back = stage.job(struck)
    assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 1)

    stage.run(engine_for=lambda *_: watched)
    assert stage.job(struck).status is JobStatus.COMPLETED
    resumed_at_s = json.loads(stage.read(f"results/{struck.job_id}/transcript.json"))["engine"]["resumed_at_s"]
    assert watched.started_at_s == [0.0, pytest.approx(resumed_at_s, abs=0.001)]
    assert resumed_at_s > 0
    assert stage.keys("work/") == []


@pytest.mark.slow
def test_killed_worker_costs_an_attempt_but_not_what_it_had_done(
    stage: Stage, engine: Engine, recording: bytes
) -> None:
    watched = Watched(engine)
    job = add_job(stage, "uploads/crash.wav", recording)

    def kill_worker() -> None:
        assert engine.worker_pid
        os.kill(engine.worker_pid, signal.SIGKILL)

    watched.act = kill_worker
    stage.run(engine_for=lambda *_: watched, settings=stage.with_settings(max_failures=3))
    ended = stage.job(job)
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.COMPLETED, 2, 1)
    assert json.loads(stage.read(f"results/{job.job_id}/job.json"))["engine"]["resumed_at_s"] > 0
