"""One pass of λ capacity: observe, decide (``policy``), act. Every action may be repeated by the next pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from avskrift.jobs.fleet import Fleet, LaunchAnswer
from avskrift.jobs.messages import send_job, send_outbox
from avskrift.jobs.model import Job, JobError, JobStatus
from avskrift.jobs.outbox import PENDING_KEY, outbox_entry_for
from avskrift.jobs.policy import (
    ON_DEMAND,
    Action,
    Fail,
    FleetSettings,
    Launch,
    Memory,
    Observed,
    PendingDelivery,
    Redeliver,
    Requeue,
    Resend,
    Terminate,
    after_launch,
    after_spot_failure,
    decide,
)
from avskrift.jobs.table import JobTable, StaleAttempt, failed_job

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

MAX_ACTIONS = 500
"""Of one pass, so that it ends well within the function's time; launches come first, the rest waits for the next."""
MEMORY_PK = "fleet#memory"
_MESSAGE_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
NO_IMAGE = "none"
"""What the image parameter holds until an image was proven."""


@dataclass(frozen=True, slots=True)
class CapacitySettings:
    """The queues, the image parameter and the limits of a deployment."""

    jobs_queue_url: str
    outbox_queue_url: str
    image_parameter: str
    limits: FleetSettings


@dataclass
class Report:
    """What a pass saw and did, for the log and the metrics."""

    queued: int = 0
    running: int = 0
    instances: int = 0
    spent_usd: float = 0.0
    actions: list[str] = field(default_factory=list)
    launches: list[LaunchAnswer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: int = 0
    """Actions that AWS refused; the next pass tries again."""

    @property
    def launched(self) -> int:
        return sum(len(answer.instance_ids) for answer in self.launches)


@dataclass(frozen=True)
class Capacity:
    """The control loop of one deployment's fleet."""

    table: JobTable
    fleet: Fleet
    sqs: SQSClient
    ssm: SSMClient
    settings: CapacitySettings

    def run(self, now: float, nudged: Sequence[str] = ()) -> Report:
        """One pass. The caller holds the lease. ``nudged`` are jobs so new that the index may not know them yet."""
        report = Report()
        self._repeat_unanswered(now, report)
        observed = self._observe(now, nudged)
        report.queued, report.running = len(observed.queued), len(observed.running)
        report.instances = len(observed.instances)
        decision = decide(observed, _recall(self.table), self.settings.limits)
        memory = decision.memory
        report.notes += decision.notes
        report.spent_usd = memory.spent_usd
        for action in decision.actions[:MAX_ACTIONS]:
            memory = self._attempt(action, memory, observed, report)
        self.table.put_values({"pk": MEMORY_PK, "memory": asdict(memory)})
        return report

    def _repeat_unanswered(self, now: float, report: Report) -> None:
        for record in self.fleet.unanswered(now):
            try:
                report.launches.append(self.fleet.submit(record))
            except (BotoCoreError, ClientError) as error:
                report.notes.append(f"launch {record['launch_id']} still has no answer: {_brief(error)}")

    def _attempt(self, action: Action, memory: Memory, observed: Observed, report: Report) -> Memory:
        """One action that fails must not keep the others from happening: the next pass sees what is left."""
        report.actions.append(_line(action))
        try:
            return self._act(action, memory, observed, report)
        except StaleAttempt:
            report.notes.append(f"{_line(action)}: the job moved on meanwhile")
        except (BotoCoreError, ClientError) as error:
            report.faults += 1
            report.notes.append(f"{_line(action)}: {_brief(error)}")
        return memory

    def _observe(self, now: float, nudged: Sequence[str]) -> Observed:
        described = self.fleet.instances()
        return Observed(
            now=now,
            queued=self._queued(nudged),
            running=self._running(),
            instances=described.live,
            ended=described.ended,
            messages=self._messages(),
            deliveries=tuple(
                PendingDelivery(entry["outbox_id"], entry["next_attempt_at"])
                for entry in self.table.indexed(PENDING_KEY)
            ),
            image_id=self._image_id(),
        )

    def _queued(self, nudged: Sequence[str]) -> tuple[Job, ...]:
        """By the index, which may lag: what is done about a job is fenced by its status and attempt."""
        found = {job.job_id: job for job in self.table.with_status(JobStatus.QUEUED)}
        fresh = (self.table.get(job_id) for job_id in nudged if job_id not in found)
        found |= {job.job_id: job for job in fresh if job and job.status is JobStatus.QUEUED}
        return tuple(found.values())

    def _running(self) -> tuple[Job, ...]:
        """Read again from the table: a beat that only the index has not seen yet must not cost an attempt."""
        found = (self.table.get(job.job_id) for job in self.table.with_status(JobStatus.RUNNING))
        return tuple(job for job in found if job and job.status is JobStatus.RUNNING)

    def _messages(self) -> int:
        response = self.sqs.get_queue_attributes(QueueUrl=self.settings.jobs_queue_url, AttributeNames=["All"])
        counts = {name: value for name, value in response["Attributes"].items() if name in _MESSAGE_COUNTS}
        return sum(map(int, counts.values()))

    def _image_id(self) -> str:
        """The proven image; empty while there is none."""
        try:
            response = self.ssm.get_parameter(Name=self.settings.image_parameter)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            return ""
        value = response["Parameter"]["Value"]
        return "" if value == NO_IMAGE else value

    def _act(self, action: Action, memory: Memory, observed: Observed, report: Report) -> Memory:
        if isinstance(action, Launch):
            return self._launch(action, memory, observed, report)
        handlers: dict[type, Callable[[Any], None]] = {
            Requeue: lambda requeue: self._requeue(requeue, observed.now),
            Fail: lambda fail: self._fail(fail, observed.now),
            Resend: lambda resend: send_job(self.sqs, self.settings.jobs_queue_url, resend.job_id),
            Redeliver: self._redeliver,
            Terminate: lambda doomed: self.fleet.terminate(doomed.instance_id),
        }
        handlers[type(action)](action)
        return memory

    def _launch(self, launch: Launch, memory: Memory, observed: Observed, report: Report) -> Memory:
        """Spot first; what spot lacks is bought on demand in the same pass."""
        answer = self.fleet.launch(launch, observed.now)
        report.launches.append(answer)
        memory = after_launch(memory, observed, answer.instance_ids)
        if not answer.lacks_spot:
            return memory
        memory = after_spot_failure(memory, observed.now)
        fallback = self.fleet.launch(replace(launch, count=answer.missing, market=ON_DEMAND), observed.now)
        report.launches.append(fallback)
        return after_launch(memory, observed, fallback.instance_ids)

    def _redeliver(self, late: Redeliver) -> None:
        entry = self.table.outbox_entry(late.outbox_id)
        if entry and entry.status == "pending":
            send_outbox(self.sqs, self.settings.outbox_queue_url, entry)

    def _requeue(self, requeue: Requeue, now: float) -> None:
        self.table.requeue(requeue.job, now, failed=True)
        send_job(self.sqs, self.settings.jobs_queue_url, requeue.job.job_id)

    def _fail(self, fail: Fail, now: float) -> None:
        ended = failed_job(fail.job, JobError(fail.code, fail.message), now)
        if fail.code == "attempts_exhausted":
            ended = replace(ended, failures=ended.failures + 1)
        outbox = outbox_entry_for(ended, now)
        self.table.finish(fail.job, ended, outbox)
        if outbox:
            send_outbox(self.sqs, self.settings.outbox_queue_url, outbox)


def _recall(table: JobTable) -> Memory:
    values: Mapping[str, Any] = (table.get_values(MEMORY_PK) or {}).get("memory", {})
    known = {name: value for name, value in values.items() if name in Memory.__dataclass_fields__}
    if "beats" in known:
        known["beats"] = {job_id: tuple(seen) for job_id, seen in known["beats"].items()}
    for name in ("spot_failures", "cold_starts"):
        if name in known:
            known[name] = tuple(known[name])
    return Memory(**known)


def _brief(error: BotoCoreError | ClientError) -> str:
    """A fault for the log, without the names and addresses that its text may hold."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def _line(action: Action) -> str:
    """One action for the log: ids and codes, never keys or texts."""
    match action:
        case Launch(count, market, image_id):
            return f"launch {count} {market} {image_id}"
        case Requeue(job):
            return f"requeue {job.job_id}"
        case Fail(job, code):
            return f"fail {job.job_id} {code}"
        case Resend(job_id):
            return f"resend {job_id}"
        case Redeliver(outbox_id):
            return f"redeliver {outbox_id}"
        case Terminate(instance_id):
            return f"terminate {instance_id}"
