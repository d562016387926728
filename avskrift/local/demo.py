"""The whole chain on this machine, live: what ``scripts/demo`` runs once everything is installed.

A receiver on loopback, the real stack in the emulator, an upload, and then only watching: the job's row, the instances,
and what the receiver got. Progress goes to stderr; with ``--json`` stdout holds one JSON object and nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from avskrift.client import Client, Place
from avskrift.errors import LocalCloudError
from avskrift.jobs.model import Job
from avskrift.local.cloud import Cloud, CloudSettings, Step, StepFailed
from avskrift.local.processes import last_lines
from avskrift.local.receiver import Receiver, Reception
from avskrift.local.settings import CHECKOUT, DEFAULT_FOLDER

SAMPLE = CHECKOUT / "samples" / "sv.ogg"
DEFAULT_OUTPUT_DIR = CHECKOUT / ".avskrift" / "demo"
POLL_S = 0.1
STALL_S = 180.0
"""Nothing new for this long means that something broke."""
PHASE_LINES = {
    "queued": "job registered by the Lambda",
    "launched": "spot instance launched by the Lambda",
    "booted": "agent booted",
    "claimed": "job claimed by the agent",
    "downloaded": "recording downloaded",
    "model_ready": "model ready",
    "transcribed": "transcribed",
    "stored": "results stored",
}
_PROGRESS_STEP = 10


@dataclass(frozen=True)
class DemoSettings:
    """What ``scripts/demo`` was asked for."""

    keep: bool = False
    as_json: bool = False
    output_dir: Path = DEFAULT_OUTPUT_DIR
    cloud_dir: Path = DEFAULT_FOLDER


@dataclass
class Watched:
    """One recording on its way."""

    path: Path
    job_id: str
    uploaded_at: float
    job: Job | None = None
    seen: set[str] = field(default_factory=set)
    percent: int = 0
    reception: Reception | None = None
    results: dict[str, Path] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        return self.job is not None and self.job.is_terminal and self.reception is not None

    @property
    def is_good(self) -> bool:
        return self.is_settled and self.reception is not None and self.reception.verified

    def phases(self) -> dict[str, float]:
        """Seconds from the upload to each phase, in order."""
        at = dict(self.job.phases) if self.job else {}
        if self.reception:
            at["webhook_received"] = self.reception.received_at
        return {name: round(when - self.uploaded_at, 3) for name, when in sorted(at.items(), key=lambda item: item[1])}


class Narrator:
    """Prints each thing once, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self.changed_at = time.monotonic()

    def notice(self) -> None:
        """Something moved, though not enough to say it."""
        self.changed_at = time.monotonic()

    def say(self, text: str, style: str = "") -> None:
        self.notice()
        elapsed_s = time.monotonic() - self._started
        self._console.print(f"[{elapsed_s:6.1f} s] {text}", style=style)


class Demo:
    """Uploads files to a running local cloud and follows them to the end."""

    def __init__(self, cloud: Cloud, receiver: Receiver, narrator: Narrator, results_dir: Path) -> None:
        self._cloud = cloud
        self._receiver = receiver
        self._narrator = narrator
        self._results_dir = results_dir
        self._client = Client(Place.from_outputs(cloud.outputs), cloud.session())
        self._states: dict[str, str] = {}

    @property
    def instances(self) -> dict[str, int]:
        ended = sum(state == "terminated" for state in self._states.values())
        return {"launched": len(self._states), "terminated": ended}

    def run(self, files: list[Path]) -> list[Watched]:
        watched = [self._upload(path) for path in files]
        self._until(lambda: all(one.is_settled for one in watched), watched)
        self._until(lambda: set(self._states.values()) <= {"terminated"}, watched)
        for one in watched:
            if one.job:
                one.results = self._client.download(one.job, self._results_dir / one.job_id)
        return watched

    def _upload(self, path: Path) -> Watched:
        uploaded_at = time.time()
        one = Watched(path, self._client.submit(path), uploaded_at)
        self._narrator.say(f"{path.name}: uploaded ({path.stat().st_size:,} bytes)")
        return one

    def _until(self, condition: Callable[[], bool], watched: list[Watched]) -> None:
        while not condition():
            for one in watched:
                self._look_at(one)
            self._look_at_instances()
            if time.monotonic() - self._narrator.changed_at > STALL_S:
                raise LocalCloudError(f"Nothing happened for {STALL_S:.0f} s.")
            time.sleep(POLL_S)

    def _look_at(self, one: Watched) -> None:
        if one.job is None or not one.job.is_terminal:
            before, one.job = one.job, self._client.find(one.job_id)
            if one.job:
                self._tell_job(one, one.job)
            if one.job and (before is None or one.job.progress != before.progress):
                self._narrator.notice()
        if one.reception is None:
            one.reception = self._receiver.find(one.job_id)
            if one.reception:
                verdict = "signature verified" if one.reception.verified else f"NOT VERIFIED: {one.reception.error}"
                self._narrator.say(f"{one.path.name}: webhook {one.reception.type} received, {verdict}")

    def _tell_job(self, one: Watched, job: Job) -> None:
        for phase in sorted(set(job.phases) - one.seen, key=lambda name: job.phases[name]):
            one.seen.add(phase)
            if phase in PHASE_LINES and phase != "launched":  # the instance itself is seen earlier
                self._narrator.say(f"{one.path.name}: {PHASE_LINES[phase]}")
        if job.progress and job.progress.total_s:
            percent = int(100 * job.progress.done_s / job.progress.total_s)
            if percent >= one.percent + _PROGRESS_STEP:
                one.percent = percent
                self._narrator.say(f"{one.path.name}: {percent}% of {job.progress.total_s:.0f} s of audio")
        if job.error:
            self._narrator.say(f"{one.path.name}: {job.status.value}: {job.error.code}: {job.error.message}")

    def _look_at_instances(self) -> None:
        for instance in self._cloud.instances():
            before = self._states.get(instance.instance_id)
            self._states[instance.instance_id] = instance.state
            if before is None:
                kind = f"{instance.instance_type}, {instance.market}"
                self._narrator.say(f"instance {instance.instance_id} ({kind}) launched by the Lambda")
            elif before != instance.state and instance.state == "terminated":
                self._narrator.say(f"instance {instance.instance_id} is gone")


@contextmanager
def local_cloud(console: Console, narrator: Narrator, settings: DemoSettings) -> Iterator[tuple[Cloud, Receiver]]:
    """The cloud and a receiver that it calls; both are gone afterwards, unless the cloud is kept."""
    with Receiver() as receiver:
        wanted = CloudSettings(settings.cloud_dir.resolve(), callback_url=receiver.url, tied=not settings.keep)
        cloud = _start(console, wanted, narrator)
        try:
            receiver.trust(cloud.webhook_secrets())
            yield cloud, receiver
        except Exception:
            _show_log(console, cloud.log_path)
            raise
        finally:
            if not settings.keep:
                cloud.down()


def _start(console: Console, settings: CloudSettings, narrator: Narrator) -> Cloud:
    def tell(step: Step) -> None:
        if step.state == "done":
            narrator.say(str(step), style="dim")

    try:
        return Cloud.up(settings, tell)
    except StepFailed as failure:
        _show_log(console, failure.log)
        raise


def _show_log(console: Console, log: Path) -> None:
    console.print("\n".join(last_lines(log)), style="dim")
    console.print(f"The whole log: {log}")


def report(watched: list[Watched], instances: dict[str, int], left_running: list[str]) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    return {"jobs": [_job_report(one) for one in watched], "instances": instances, "left_running": left_running}


def _job_report(one: Watched) -> dict[str, Any]:
    result = (one.job.result if one.job else None) or {}
    error = one.job.error if one.job else None
    reception = one.reception
    text = one.results["txt"].read_text(encoding="utf-8").strip() if "txt" in one.results else ""
    return {
        "job_id": one.job_id,
        "status": one.job.status.value if one.job else "unknown",
        "text": text,
        "language": result.get("language"),
        "duration_s": result.get("duration_s"),
        "phases": one.phases(),
        "webhook": {
            "verified": bool(reception and reception.verified),
            "type": reception.type if reception else None,
            "attempts": reception.attempts if reception else 0,
        },
        "error": {"code": error.code, "message": error.message} if error else None,
        "results": {name: str(path) for name, path in one.results.items()},
    }


def show(console: Console, watched: list[Watched]) -> None:
    """The end of the demo for a person."""
    for one in watched:
        result = (one.job.result if one.job else None) or {}
        console.rule(one.path.name)
        if "txt" in one.results:
            console.print(one.results["txt"].read_text(encoding="utf-8").strip() or "(silence)")
        if one.job and one.job.error:
            console.print(f"{one.job.error.code}: {one.job.error.message}", style="red")
        if result:
            console.print(
                f"\nmodel {result['model']}, language {result['language']}, {result['duration_s']} s of audio"
            )
        console.print("seconds after the upload: " + ", ".join(f"{k} {v:.1f}" for k, v in one.phases().items()))
        for path in one.results.values():
            console.print(f"  {path}")


def plain_console(stderr: bool = False) -> Console:
    """One that takes names of files and transcripts as they are, not as markup."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def run(files: list[Path], settings: DemoSettings) -> int:
    """Run the demo; 0 only if every job ended and its webhook was verified."""
    console = plain_console(stderr=True)
    narrator = Narrator(console)
    with local_cloud(console, narrator, settings) as (cloud, receiver):
        demo = Demo(cloud, receiver, narrator, settings.output_dir)
        watched = demo.run(files)
    left_running = cloud.left_running()
    if settings.as_json:
        sys.stdout.write(json.dumps(report(watched, demo.instances, left_running), ensure_ascii=False) + "\n")
    else:
        show(plain_console(), watched)
    narrator.say(f"left running: {', '.join(left_running) or 'nothing'}")
    return 0 if all(one.is_good for one in watched) else 1
