"""An agent on a stage: table, bucket and queues are moto's; the engine is scripted; the metadata server is real.

The real engine has tests of its own, and the emulator runs both together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from avskrift.asr.engine import Progress, TranscribeOptions
from avskrift.errors import Cancelled, LocalCloudError
from avskrift.jobs.layout import checkpoint_key
from avskrift.jobs.model import Job
from avskrift.transcript import Segment, Transcript
from instance.agent import Agent
from instance.services import Services
from instance.settings import AgentSettings

CALLBACK_URL = "http://127.0.0.1:9/nobody"
NOW = 1_700_000_000.0
PATIENCE_S = 20.0
"""How long anything that must happen is awaited; reached only by a test that fails."""


@dataclass(frozen=True)
class Work:
    """One transcription as the engine sees it."""

    path: Path
    on_progress: Callable[[Progress], None]
    cancel: threading.Event
    checkpoint: Path | None

    def await_cancel(self) -> None:
        """What a good worker does: stop when told."""
        assert self.cancel.wait(PATIENCE_S), "nobody cancelled"
        raise Cancelled("stopped")

    def write_checkpoint(self, text: str) -> None:
        assert self.checkpoint, "there is no checkpoint to write"
        with self.checkpoint.open("a") as stream:
            stream.write(text)


Outcome = Exception | Callable[[Work], None] | None


class ScriptedEngine:
    """Does what the test says: returns a transcript, raises, or runs a function meanwhile; each job takes the next."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.heard: list[bytes] = []
        self.checkpoints: list[str | None] = []
        self.complaints: list[Exception] = []

    def _follow(self, outcome: Callable[[Work], None], work: Work) -> None:
        """What a test finds wrong in here would cost the job an attempt and be seen by nobody."""
        try:
            outcome(work)
        except (AssertionError, LocalCloudError) as complaint:
            self.complaints.append(complaint)
            raise

    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        checkpoint: Path | None = None,
    ) -> Transcript:
        assert on_progress and cancel
        self.heard.append(path.read_bytes())
        self.checkpoints.append(checkpoint.read_text() if checkpoint and checkpoint.exists() else None)
        on_progress(Progress(1.0, 2.0))
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0] if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome:
            self._follow(outcome, Work(path, on_progress, cancel, checkpoint))
        return Transcript("sv", 2.0, 1.5, "scripted", (Segment(0.0, 1.5, "Hej världen."),), audit={"retried": 1})


def nothing(*_: Any, **__: Any) -> None: ...


class FaultyClient:
    """A client of AWS one of whose methods meets a fault: ``before`` it does anything, or ``after`` it has done it."""

    def __init__(
        self, client: Any, method: str, before: Callable[..., None] = nothing, after: Callable[..., None] = nothing
    ) -> None:
        self._client = client
        self._method = method
        self._before = before
        self._after = after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._method:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            self._before(*arguments, **options)
            answer = real(*arguments, **options)
            self._after(*arguments, **options)
            return answer

        return call


class Outage:
    """Raises ``fault`` at the first ``times`` calls, of those that ``strikes`` is true for; counts these."""

    def __init__(self, fault: Exception, times: int, strikes: Callable[..., bool] = lambda *_, **__: True) -> None:
        self.fault = fault
        self.times = times
        self.calls = 0
        self._strikes = strikes

    def __call__(self, *arguments: Any, **request: Any) -> None:
        if not self._strikes(*arguments, **request):
            return
        self.calls += 1
        if self.calls <= self.times:
            raise self.fault


def refusal(code: str, status: int = 400) -> ClientError:
    """What a client raises when AWS answers with an error."""
    response = {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Injected")  # type: ignore[arg-type]


@dataclass
class Stage:
    """One deployment, and agents to let loose on it."""

    deployment: Any
    services: Services
    engine: ScriptedEngine = field(default_factory=ScriptedEngine)

    @property
    def table(self) -> Any:
        return self.deployment.table

    def upload(self, key: str = "uploads/a.mp3", body: bytes = b"sound", **rules: Any) -> Job:
        """A queued job with its message."""
        given = {"default_callback_url": CALLBACK_URL, "insecure_callbacks": True, **rules}
        return self.deployment.registrar(**given).register(self.deployment.put(key, body), NOW)

    def job(self, job: Job) -> Job:
        """The row as it is now."""
        return self.table.get(job.job_id)

    def agent(self, *outcomes: Outcome, **services: Any) -> Agent:
        """An agent whose engine meets these outcomes, one a job, the last again and again."""
        self.engine.outcomes = list(outcomes)
        return Agent(replace(self.services, **services))

    def run(self, *outcomes: Outcome, **services: Any) -> ScriptedEngine:
        """Let one agent drain the queue."""
        self.agent(*outcomes, **services).run()
        return self.engine

    def with_settings(self, **settings: Any) -> AgentSettings:
        return replace(self.services.settings, **settings)

    def keys(self, prefix: str) -> list[str]:
        """What lies in the bucket."""
        listed = self.deployment.s3.list_objects_v2(Bucket=self.deployment.bucket, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def read(self, key: str) -> str:
        found = self.deployment.s3.get_object(Bucket=self.deployment.bucket, Key=key)
        return str(found["Body"].read().decode())

    def put_checkpoint(self, job: Job, text: str) -> None:
        self.deployment.s3.put_object(Bucket=self.deployment.bucket, Key=checkpoint_key(job.job_id), Body=text.encode())

    def checkpoint(self, job: Job) -> str | None:
        """The job's checkpoint in the bucket."""
        key = checkpoint_key(job.job_id)
        return self.read(key) if key in self.keys("work/") else None

    def waiting(self) -> list[dict[str, Any]]:
        """Take every message that can be received from the jobs queue."""
        return list(self.deployment.messages(self.deployment.jobs_queue_url))

    def messages(self) -> int:
        """All messages of the jobs queue, hidden ones too."""
        queue = self.deployment.jobs_queue_url
        told = self.deployment.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return sum(int(count) for name, count in told.items() if name.startswith("ApproximateNumberOfMessages"))
