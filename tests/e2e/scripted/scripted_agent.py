"""The agent with a scripted engine, for faults by the dozen: everything else in it is what runs on an instance.

A recording of these tests is one JSON object: its own ``key``, so that the engine knows which job it works on, and
``size`` filler. What happens to its job stands in the job's metadata, always text:

``work_s``     how long the transcription takes
``kill``       the step after which the agent kills itself with SIGKILL, in the job's first attempt only
``freeze``     the same with SIGSTOP
``hang``       in the first attempt the engine neither ends nor moves nor listens

What happens to a whole agent stands in an order: a JSON file in the folder ``AVSKRIFT_TEST_ORDERS``, taken by the first
agent that boots after it was put there:

``clock_offset_s``  how far this machine's clock is off
``boot``            ``raise`` (a fault nobody foresaw) or ``hang`` (it starts and does nothing, deaf to SIGTERM)
``settings``        settings of the user data, replaced
``stop_grace_s``    how long a polite stop may take at the end of the maximum life
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

BEATS_PER_WORK = 10


def take_order() -> dict[str, Any]:
    """The oldest order that no other agent took; none: an ordinary life."""
    for order in sorted(Path(os.environ["AVSKRIFT_TEST_ORDERS"]).glob("*.json")):
        taken = order.with_suffix(f".taken-{os.getpid()}")
        with suppress(FileNotFoundError):
            order.rename(taken)
            return dict(json.loads(taken.read_text()))
    return {}


ORDER = take_order()
if offset_s := ORDER.get("clock_offset_s"):
    real_time = time.time
    time.time = lambda: real_time() + offset_s  # before anything of ours takes it as its clock

import instance.__main__ as program  # noqa: E402
from avskrift.asr.engine import Progress, TranscribeOptions  # noqa: E402
from avskrift.errors import Cancelled  # noqa: E402
from avskrift.jobs.delivery import Outbox  # noqa: E402
from avskrift.jobs.model import Job, JobStatus  # noqa: E402
from avskrift.jobs.table import JobTable  # noqa: E402
from avskrift.transcript import Segment, Transcript  # noqa: E402
from avskrift.webhooks.send import WebhookSender  # noqa: E402
from instance.settings import AgentSettings  # noqa: E402


class Script:
    """What the jobs of this agent are to meet."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._delivered: Job | None = None

    def claimed(self, job: Job | None) -> None:
        if job:
            self._jobs[job.key] = job
            self.reached("claim", job)

    def job_of(self, key: str) -> Job:
        return self._jobs[key]

    def delivered(self, job_id: str) -> None:
        self._delivered = next(job for job in self._jobs.values() if job.job_id == job_id)

    def deletes_message(self, **_: Any) -> None:
        if self._delivered:
            self.reached("before delete", self._delivered)

    def sent(self, body: bytes) -> None:
        self.reached("webhook sent", self.job_of(json.loads(body)["data"]["key"]))

    def reached(self, step: str, job: Job) -> None:
        """Die or freeze here if the script says so."""
        for fate, number in (("kill", signal.SIGKILL), ("freeze", signal.SIGSTOP)):
            if job.options.metadata.get(fate) == step and job.attempt == 1:
                print(f"script: {fate} after {step} of job {job.job_id}", flush=True)
                os.kill(os.getpid(), number)


SCRIPT = Script()


class ScriptedEngine:
    """Takes as long as the job says; what it "hears" is the recording's own digest."""

    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        *_: Any,
        **__: Any,
    ) -> Transcript:
        recording = path.read_bytes()
        job = SCRIPT.job_of(json.loads(recording)["key"])
        print(f"script: hears {job.job_id}", flush=True)
        SCRIPT.reached("download", job)
        cancelled = cancel or threading.Event()
        while "hang" in job.options.metadata and job.attempt == 1:
            time.sleep(60)
        step_s = float(job.options.metadata.get("work_s", "0")) / BEATS_PER_WORK
        for step in range(BEATS_PER_WORK):
            if on_progress:
                on_progress(Progress(float(step), float(BEATS_PER_WORK)))
            if step == BEATS_PER_WORK // 2:
                SCRIPT.reached("mid-transcription", job)
            if cancelled.wait(step_s):
                raise Cancelled("The script was cancelled.")
        text = hashlib.sha256(recording).hexdigest()
        return Transcript("sv", 10.0, 9.0, "scripted", (Segment(0.0, 9.0, text),))


class ScriptedEngines:
    def __init__(self, *_: Any, **__: Any) -> None:
        self._engine = ScriptedEngine()

    def engine_for(self, model: str | None, style: str) -> ScriptedEngine:
        return self._engine

    def close(self) -> None: ...


def wrap(owner: type, name: str, replacement: Callable[..., Any]) -> None:
    """Replace a method of ``owner`` by a function that is given the original call first."""
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **named: replacement(lambda: original(*args, **named), *args, **named))


def watch_steps() -> None:
    """Let the script see every step of an attempt, at the places where its effect leaves this machine."""

    def claim(call: Callable[[], Job | None], *_: Any, **__: Any) -> Job | None:
        job = call()
        SCRIPT.claimed(job)
        return job

    def finish(call: Callable[[], None], table: JobTable, job: Job, ended: Job, *_: Any, **__: Any) -> None:
        if ended.status is JobStatus.COMPLETED:
            SCRIPT.reached("results stored", job)
        call()
        SCRIPT.reached("transaction", job)

    def post(call: Callable[[], Any], sender: WebhookSender, url: str, body: bytes, *_: Any, **__: Any) -> Any:
        answer = call()
        SCRIPT.sent(body)
        return answer

    def deliver(call: Callable[[], Any], *_: Any, **__: Any) -> Any:
        entry = call()
        if entry:
            SCRIPT.delivered(entry.job_id)
        return entry

    wrap(JobTable, "claim", claim)
    wrap(JobTable, "finish", finish)
    wrap(WebhookSender, "post", post)
    wrap(Outbox, "deliver", deliver)


def watched_services(*args: Any, **named: Any) -> Any:
    services = real_services_for(*args, **named)
    services.sqs.meta.events.register("before-call.sqs.DeleteMessage", SCRIPT.deletes_message)
    return services


real_services_for = program.services_for
real_settings = AgentSettings.from_user_data


def main() -> int:
    print(f"script: pid {os.getpid()}", flush=True)
    if ORDER.get("boot") == "raise":
        raise RuntimeError("an agent that can't start")
    if ORDER.get("boot") == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("script: hangs", flush=True)
        while True:
            time.sleep(60)
    watch_steps()
    program.Engines = ScriptedEngines  # type: ignore[misc, assignment]
    program.services_for = watched_services
    program.STOP_GRACE_S = float(ORDER.get("stop_grace_s", program.STOP_GRACE_S))
    AgentSettings.from_user_data = lambda text: replace(real_settings(text), **ORDER.get("settings", {}))
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
