"""What λ capacity looks at in one pass: jobs, instances, messages, deliveries, the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.jobs.fleet import Fleet
from avskrift.jobs.fleet_model import Memory, Observed, PendingDelivery
from avskrift.jobs.layout import job_id_in
from avskrift.jobs.model import Job, JobStatus, MalformedRow
from avskrift.jobs.outbox import OUTBOX_PK, PENDING_KEY
from avskrift.jobs.table import JobTable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

MAX_QUEUED = 2_000
"""Queued jobs that one pass reads, oldest first: enough to size any fleet; a longer queue comes up as it drains."""
MAX_NEWEST = 200
"""Of a longer queue, the newest are read too."""
MAX_DELIVERIES = 500
MAX_CANCELLED = 2_000
CANCELLED_SEEN_S = 900.0
"""How long back a pass looks for cancellations: whoever cancels may have a slow clock, and the index lags."""
_MESSAGE_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
NO_IMAGE = "none"
"""What the image parameter holds until an image was proven."""
_INTERRUPTION = "EC2 Spot Instance Interruption Warning"
_REBALANCE = "EC2 Instance Rebalance Recommendation"
_ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True)
class Nudge:
    """Why a pass was asked for: what the index may not know yet, and what EC2 has announced.

    A nudge that gets lost costs time and nothing else.
    """

    job_ids: tuple[str, ...] = ()
    leaving: Mapping[str, bool] = field(default_factory=dict)
    """instance_id → whether EC2 takes it back, or only advises to replace it."""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Nudge:
        """Of λ register (``job_ids``), EventBridge (spot notices), or the schedule (nothing)."""
        kind = event.get("detail-type")
        if kind not in (_INTERRUPTION, _REBALANCE):
            return cls(tuple(str(job_id) for job_id in event.get("job_ids", ())))
        instance_id = event.get("detail", {}).get("instance-id")
        return cls(leaving={str(instance_id): kind == _INTERRUPTION}) if instance_id else cls()

    def to_words(self) -> list[str]:
        """As strings, to be left with whoever holds the lease."""
        return [*self.job_ids, *(f"{'taken' if taken else 'advised'}:{one}" for one, taken in self.leaving.items())]

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Nudge:
        job_ids = tuple(word for word in words if ":" not in word)
        told = [word.partition(":") for word in words if ":" in word]
        leaving: dict[str, bool] = {}
        for kind, _, instance_id in told:
            leaving[instance_id] = leaving.get(instance_id, False) or kind == "taken"
        return cls(job_ids, leaving)


@dataclass(frozen=True)
class Observation:
    """What was seen, and the rows that were edited by hand: unreadable, or in a place of the index not theirs."""

    observed: Observed
    odd: tuple[dict[str, Any], ...] = ()
    cancelled: Mapping[str, float] = field(default_factory=dict)
    """job_id → when, of the jobs that were cancelled of late."""


@dataclass(frozen=True)
class Observer:
    """Looks at one deployment."""

    table: JobTable
    fleet: Fleet
    sqs: SQSClient
    ssm: SSMClient
    jobs_queue_url: str
    image_parameter: str

    def look(self, now: float, nudge: Nudge, memory: Memory, idle_limit_s: float) -> Observation:
        odd: list[dict[str, Any]] = []
        described = self.fleet.instances()
        idle = [one for one, since in memory.idle_since.items() if now - since > idle_limit_s]
        queued = self._queued(nudge.job_ids, odd)
        observed = Observed(
            now=now,
            queued=queued,
            is_cut=len(queued) >= MAX_QUEUED,
            running=self._running(odd),
            instances=described.live,
            ended=described.ended,
            leaving=nudge.leaving,
            recently_worked=self._recently_worked(idle, now - idle_limit_s),
            messages=self._messages(),
            deliveries=self._deliveries(now),
            image_id=self._image_id(),
        )
        return Observation(observed, tuple(odd), self._cancelled(min(now, memory.metered_at or now)))

    def _queued(self, nudged: Sequence[str], odd: list[dict[str, Any]]) -> tuple[Job, ...]:
        """By the index, which may lag: what is done about a job is fenced by its status and attempt."""
        indexed = self.table.with_status(JobStatus.QUEUED, odd=odd)
        found = {job.job_id: job for job in islice(indexed, MAX_QUEUED)}
        if len(found) == MAX_QUEUED:  # behind so many that may have time, some may be in a hurry
            newest = self.table.with_status(JobStatus.QUEUED, newest_first=True)
            found |= {job.job_id: job for job in islice(newest, MAX_NEWEST)}
        for job_id in nudged:
            job = None if job_id in found else self._read(job_id, odd)
            if job and job.status is JobStatus.QUEUED:
                found[job_id] = job
        return tuple(found.values())

    def _running(self, odd: list[dict[str, Any]]) -> tuple[Job, ...]:
        """Read again from the table: a beat that only the index has not seen yet must not cost an attempt."""
        indexed = self.table.with_status(JobStatus.RUNNING, odd=odd)
        found = (self._read(job.job_id, odd) for job in indexed)
        return tuple(job for job in found if job and job.status is JobStatus.RUNNING)

    def _read(self, job_id: str, odd: list[dict[str, Any]]) -> Job | None:
        values = self.table.job_values(job_id)
        try:
            return Job.from_dict(values) if values else None
        except MalformedRow:
            odd.append(values or {})
            return None

    def _recently_worked(self, idle: Sequence[str], since: float) -> frozenset[str]:
        """Of the instances that look idle: those that ended jobs too short for a pass to see them run."""
        if not idle:
            return frozenset()
        ended = (job.instance_id for status in _ENDED for job in self.table.with_status(status, since=since))
        return frozenset(ended) & frozenset(idle)

    def _cancelled(self, since: float) -> dict[str, float]:
        """Clients cancel jobs, and have no metrics to count them in."""
        found = self.table.with_status(JobStatus.CANCELLED, since=since - CANCELLED_SEEN_S)
        return {job.job_id: job.status_at for job in islice(found, MAX_CANCELLED)}

    def _messages(self) -> int:
        response = self.sqs.get_queue_attributes(QueueUrl=self.jobs_queue_url, AttributeNames=["All"])
        counts = {name: value for name, value in response["Attributes"].items() if name in _MESSAGE_COUNTS}
        return sum(map(int, counts.values()))

    def _deliveries(self, now: float) -> tuple[PendingDelivery, ...]:
        due = islice(self.table.indexed(PENDING_KEY, until=now), MAX_DELIVERIES)
        return tuple(
            PendingDelivery(str(entry["pk"]).removeprefix(OUTBOX_PK), float(entry["status_at"]), job_id_in(entry))
            for entry in due
        )

    def _image_id(self) -> str:
        """The proven image; empty while there is none."""
        try:
            response = self.ssm.get_parameter(Name=self.image_parameter)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            return ""
        value = response["Parameter"]["Value"].strip()
        return "" if value == NO_IMAGE else value
