"""One pass of λ capacity: observe, decide (``policy``), act. Every action may be repeated by the next pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from avskrift.jobs.cost import number_of
from avskrift.jobs.fleet import Fleet
from avskrift.jobs.fleet_model import (
    Action,
    Decision,
    Fail,
    FleetSettings,
    Launch,
    LaunchAnswer,
    Memory,
    Observed,
    Redeliver,
    Requeue,
    Resend,
    Terminate,
)
from avskrift.jobs.gauges import gauges, is_barren, remembered, worth_telling
from avskrift.jobs.growth import after_answer, audit_line, second_try
from avskrift.jobs.instance_prices import note_prices
from avskrift.jobs.messages import send_job, send_outbox
from avskrift.jobs.model import Job, JobError, MalformedRow
from avskrift.jobs.observation import Nudge, Observation, Observer
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.pass_report import Note, Report, action_fields, brief, row_fields
from avskrift.jobs.policy import decide, unasked
from avskrift.jobs.salvage import end_malformed, has_ended, is_job
from avskrift.jobs.table import MAX_LAUNCHES, JobTable, StaleAttempt, failed_job

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

MAX_ACTIONS = 500
"""Of one pass, so that it ends well within the function's time; the rest waits for the next."""
MAX_MENDED = 50
"""Rows edited by hand that one pass sees to."""
AUDITED_JOBS = 25
"""Waiting jobs, oldest first, whose rows keep a launch's answer; one that ends unserved is given the last answers."""
MEMORY_PK = "fleet#memory"


@dataclass(frozen=True, slots=True)
class CapacitySettings:
    """The queues, the image parameter and the limits of a deployment."""

    jobs_queue_url: str
    outbox_queue_url: str
    image_parameter: str
    limits: FleetSettings


@dataclass(frozen=True)
class Capacity:
    """The control loop of one deployment's fleet."""

    table: JobTable
    fleet: Fleet
    sqs: SQSClient
    ssm: SSMClient
    settings: CapacitySettings

    def run(self, now: float, nudge: Nudge | None = None) -> Report:
        """One pass. The caller holds the lease."""
        this_pass = _Pass(self, now, Report())
        this_pass.run(nudge or Nudge())
        return this_pass.report


@dataclass
class _Pass:
    """One pass: its report, and the memory as it stands after each action."""

    capacity: Capacity
    now: float
    report: Report
    memory: Memory = field(default_factory=Memory)
    observed: Observed = field(default_factory=lambda: Observed(0.0))
    written: Memory | None = None
    """The memory as its row has it."""

    def __post_init__(self) -> None:
        self.table, self.fleet, self.settings = self.capacity.table, self.capacity.fleet, self.capacity.settings

    def run(self, nudge: Nudge) -> None:
        self.memory = self._recall()
        limits = self.settings.limits
        observation = self._observer().look(self.now, nudge, self.memory, limits.idle_limit_s)
        unanswered = self.fleet.unanswered(self.now)
        self.observed = replace(observation.observed, in_doubt=sum(record["wanted"] for record in unanswered))
        for values in observation.odd[:MAX_MENDED]:
            self._guard({"action": "mend", **row_fields(str(values["pk"]))}, self._mend, values)
        decision = decide(self.observed, self.memory, limits)
        # Before anything is done: a pass that an AWS in trouble holds up until its function ends has seen what it saw.
        self._remember(replace(decision.memory, deliveries=self.memory.deliveries))
        self.memory = decision.memory
        undone = [*decision.actions[MAX_ACTIONS:]]
        for action in decision.actions[:MAX_ACTIONS]:
            if not self._guard(action_fields(action), self._act, action):
                undone.append(action)
            self.report.actions.append(action)
        self._repeat(unanswered)
        self.memory = unasked(self.memory, undone)
        self._conclude(decision, observation)
        self._remember(self.memory)
        for answer in self.report.launches:  # after everything else: an EC2 that knows no prices is in nobody's way
            self._guard({"action": "note prices", "launch_id": answer.launch_id}, self._note_prices, answer)

    def _remember(self, memory: Memory) -> None:
        """A pass in which nothing happens writes it once: it is most of what an idle deployment pays DynamoDB for."""
        if memory != self.written:
            self.table.put_values(_memory_row(memory))
            self.written = memory

    def _conclude(self, decision: Decision, observation: Observation) -> None:
        """Say what was seen, and remember what was said."""
        report, observed, limits = self.report, self.observed, self.settings.limits
        values = gauges(observed, self.memory, limits)
        report.gauges = worth_telling(values, self.memory.told)
        report.cancelled = len(observation.cancelled.keys() - self.memory.cancelled.keys())
        report.notes += map(Note, decision.notes)
        report.is_over_budget = decision.is_over_budget
        report.is_barren = is_barren(observed, self.memory, limits)
        report.lacks_image = bool(observed.queued) and not observed.image_id
        report.queued, report.running = len(observed.queued), len(observed.running)
        report.instances = len(observed.instances)
        self.memory = replace(self.memory, told=remembered(values), cancelled=observation.cancelled)

    def _observer(self) -> Observer:
        capacity, settings = self.capacity, self.settings
        return Observer(
            self.table, self.fleet, capacity.sqs, capacity.ssm, settings.jobs_queue_url, settings.image_parameter
        )

    def _guard(self, what: Mapping[str, Any], act: Callable[[Any], object], argument: Any) -> bool:
        """Whether it was done. One action that fails keeps no other from happening: the next pass sees what is left."""
        try:
            act(argument)
            return True
        except StaleAttempt:
            self.report.notes.append(Note("the job moved on meanwhile", what))
        except MalformedRow as error:
            self.report.notes.append(Note(error.message, what))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one job, the fleet serves the others
            self.report.faults += 1
            self.report.notes.append(Note(brief(error), what))
        return False

    def _repeat(self, unanswered: Sequence[Mapping[str, Any]]) -> None:
        """Last, for an EC2 that hangs must hold up nothing else; the first that gets no answer again ends it."""
        for record in unanswered:
            if not self._guard({"action": "repeat launch", "launch_id": record["launch_id"]}, self._submit, record):
                return

    def _submit(self, record: Mapping[str, Any]) -> LaunchAnswer:
        """Make a recorded request; close the record and remember the answer in one transaction."""
        answer = self.fleet.submit(record)
        memory = after_answer(self.memory, self.observed, answer)
        self.fleet.close(record, answer, _memory_row(memory))
        self.memory = self.written = memory
        self.report.launches.append(answer)
        return answer

    def _note_prices(self, answer: LaunchAnswer) -> None:
        note_prices(self.table, self.fleet.ec2, answer, self.now)

    def _act(self, action: Action) -> None:
        handlers: dict[type, Callable[[Any], None]] = {
            Launch: self._launch,
            Requeue: self._requeue,
            Fail: self._fail,
            Resend: lambda resend: self._send_job(resend.job_id),
            Redeliver: self._redeliver,
            Terminate: lambda doomed: self.fleet.terminate(doomed.instance_id),
        }
        handlers[type(action)](action)

    def _launch(self, launch: Launch) -> None:
        """What one market lacks is had from the other in the same pass, as far as the jobs allow."""
        first = self._submit(self.fleet.record(launch, self.now))
        self._audit(first)
        other = second_try(launch, first)
        if other:
            self._audit(self._submit(self.fleet.record(other, self.now)))

    def _audit(self, answer: LaunchAnswer) -> None:
        line = audit_line(answer, self.now)
        for job in self.observed.queued[:AUDITED_JOBS]:
            if len(job.launches) < MAX_LAUNCHES:
                self.table.note_launch(job.job_id, line)

    def _send_job(self, job_id: str) -> None:
        send_job(self.capacity.sqs, self.settings.jobs_queue_url, job_id)

    def _redeliver(self, late: Redeliver) -> None:
        try:
            entry = self.table.outbox_entry(late.outbox_id)
        except MalformedRow:
            self.report.malformed.append(f"outbox#{late.outbox_id}")
            self.table.put_aside(f"outbox#{late.outbox_id}")
            return
        if entry and entry.status == "pending":
            send_outbox(self.capacity.sqs, self.settings.outbox_queue_url, entry)

    def _requeue(self, requeue: Requeue) -> None:
        taken = requeue.interrupted
        self.table.requeue(requeue.job, self.now, failed=not taken, interrupted=taken)
        self.report.lost_beats += not taken
        self._send_job(requeue.job.job_id)

    def _fail(self, fail: Fail) -> None:
        ended = failed_job(fail.job, JobError(fail.code, fail.message), self.now)
        if fail.code == "attempts_exhausted":
            ended = replace(ended, failures=ended.failures + 1)
        if fail.code == "no_capacity":
            ended = replace(ended, launches=_with_answers(ended.launches, self.memory))
        outbox = outbox_entry_for(ended, self.now)
        self.table.finish(fail.job, ended, outbox)
        self.report.failed += 1
        self.report.cost_usd += number_of((ended.cost or {}).get("usd"))
        self.report.lost_beats += fail.code == "attempts_exhausted"
        self.report.unserved += fail.code != "attempts_exhausted"
        if outbox:
            send_outbox(self.capacity.sqs, self.settings.outbox_queue_url, outbox)

    def _mend(self, values: Mapping[str, Any]) -> None:
        """A row edited by hand: put back in its place if it can be read, else ended visibly, unless it had ended."""
        self.report.malformed.append(str(values["pk"]))
        try:
            self.table.put_in_place(Job.from_dict(values), values.get("status_key"))
            return
        except MalformedRow:
            may_end = is_job(values) and not has_ended(values)
        if not may_end:
            self.table.put_aside(values["pk"])
        elif end_malformed(self.table, self.capacity.sqs, self.settings.outbox_queue_url, values, self.now):
            self.report.failed += 1

    def _recall(self) -> Memory:
        """What the last pass left; a row that makes no sense is forgotten, for the present state says nearly all."""
        values = (self.table.get_values(MEMORY_PK) or {}).get("memory", {})
        try:
            return Memory.from_dict(values)
        except (TypeError, ValueError, AttributeError, LookupError):
            self.report.malformed.append(MEMORY_PK)
            return Memory()


def _memory_row(memory: Memory) -> dict[str, Any]:
    return {"pk": MEMORY_PK, "memory": asdict(memory)}


def _with_answers(launches: list[dict[str, Any]], memory: Memory) -> list[dict[str, Any]]:
    """The audit of a job that ends unserved, with the last answers if it has not kept them itself."""
    known = {line.get("launch_id") for line in launches}
    return [*launches, *(line for line in memory.answers if line["launch_id"] not in known)]
