"""What the agent works with: made once, at the edge, and passed to everything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from avskrift.asr.engine import Progress, TranscribeOptions
from avskrift.jobs.delivery import Outbox
from avskrift.jobs.measures import Measures
from avskrift.jobs.model import Job
from avskrift.jobs.table import JobTable
from avskrift.transcript import Transcript
from instance.faults import Patience
from instance.jobsqueue import JobsQueue
from instance.settings import AgentSettings, Identity

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


class Transcriber(Protocol):
    """What the agent needs of the engine."""

    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        checkpoint: Path | None = None,
    ) -> Transcript: ...


def measure_nothing(measures: Measures, job: Job) -> None:
    """Where nobody counts."""


@dataclass(frozen=True)
class Services:
    """Clients, settings and the limits that no deployment needs to change."""

    settings: AgentSettings
    identity: Identity
    table: JobTable
    s3: S3Client
    sqs: SQSClient
    outbox: Outbox
    engine_for: Callable[[str | None, str], Transcriber]
    """The engine with a model (None: the deployment's) in a style."""
    booted_at: float
    retry_delay_s: float = 30.0
    """After the first failure of a job, and as much more after each further one."""
    stall_s: float = 1_800.0
    """An attempt without any progress for so long is given up."""
    checkpoint_s: float = 60.0
    """How often the checkpoint of a job that is worked on goes to the bucket: what a kill costs at most."""
    hand_back_s: float = 10.0
    """How long each step of handing a job back may take: the instance may have less than two minutes to live."""
    patience: Patience = field(default_factory=Patience)
    """With faults of AWS that pass."""
    clock: Callable[[], float] = time.time
    measure: Callable[[Measures, Job], None] = measure_nothing
    """Tell CloudWatch what became of a job; never waits, never raises."""

    @property
    def queue(self) -> JobsQueue:
        return JobsQueue(self.sqs, self.settings.jobs_queue_url, self.settings.lease_s)
