"""What one pass of λ capacity saw and did, for its log and metrics: ids and codes, never keys or texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from avskrift.jobs.fleet_model import Action, Fail, Launch, LaunchAnswer, Redeliver, Requeue, Resend, Terminate
from avskrift.jobs.metrics import Metric
from avskrift.jobs.model import JOB_PK
from avskrift.jobs.outbox import OUTBOX_PK


@dataclass(frozen=True, slots=True)
class Note:
    """Why something was not done; ``about`` names what it is about in the log's own fields: job_id, launch_id, …"""

    text: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """What a pass saw and did."""

    queued: int = 0
    running: int = 0
    instances: int = 0
    gauges: Mapping[Metric, float] = field(default_factory=dict)
    """What is worth telling of the state; empty while a deployment idles."""
    is_over_budget: bool = False
    is_barren: bool = False
    """Jobs in a hurry wait, and no instance serves them."""
    lacks_image: bool = False
    """Jobs wait, and the deployment has no machine image."""
    actions: list[Action] = field(default_factory=list)
    launches: list[LaunchAnswer] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    """Keys of rows edited by hand, which were mended, ended or put aside."""
    failed: int = 0
    """Jobs that this pass ended."""
    cost_usd: float = 0.0
    """What these had cost."""
    unserved: int = 0
    """Of these, jobs for which no instance came, or none that worked."""
    cancelled: int = 0
    """Jobs that somebody cancelled since the last pass."""
    lost_beats: int = 0
    """Jobs whose agent fell silent without EC2's notice."""
    faults: int = 0
    """Actions that failed; the next pass tries again."""

    @property
    def launched(self) -> int:
        return sum(len(answer.instances) for answer in self.launches)

    @property
    def is_idle(self) -> bool:
        """Nothing was there and nothing happened: nothing to log."""
        seen = self.queued or self.running or self.instances
        return not (seen or self.actions or self.launches or self.notes or self.malformed or self.cancelled)

    @property
    def malformed_fields(self) -> list[dict[str, Any]]:
        """A log line's fields for each malformed row; of a webhook's, what is known from elsewhere about its job."""
        jobs = {one.outbox_id: one.job_id for one in self.actions if isinstance(one, Redeliver) and one.job_id}
        fields = [row_fields(pk) for pk in self.malformed]
        return [{**one, "job_id": jobs[one["outbox_id"]]} if one.get("outbox_id") in jobs else one for one in fields]


def action_fields(action: Action) -> dict[str, Any]:
    """One action as a log line's fields; ``job_id`` where it is about a job."""
    match action:
        case Launch(count, market, image_id, fallback):
            return {"action": "launch", "count": count, "market": market, "image": image_id, "fallback": fallback}
        case Requeue(job, interrupted):
            return {"action": "requeue", "job_id": job.job_id, "attempt": job.attempt, "interrupted": interrupted}
        case Fail(job, code):
            return {"action": "fail", "job_id": job.job_id, "error": code}
        case Resend(job_id):
            return {"action": "resend", "job_id": job_id}
        case Redeliver(outbox_id, job_id):
            return {"action": "redeliver", "outbox_id": outbox_id} | ({"job_id": job_id} if job_id else {})
        case Terminate(instance_id):
            return {"action": "terminate", "instance_id": instance_id}


def row_fields(pk: str) -> dict[str, Any]:
    """A row of the table as a log line's field: ``job_id`` of a job's, ``outbox_id`` of a webhook's."""
    for prefix, name in ((JOB_PK, "job_id"), (OUTBOX_PK, "outbox_id")):
        if pk.startswith(prefix):
            return {name: pk.removeprefix(prefix)}
    return {"row": pk}


def brief(error: BaseException) -> str:
    """A fault for the log, without the names and addresses that its text may hold."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
