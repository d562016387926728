"""The fleet policy: one pure function from what was observed to what should happen.

Level-triggered: it never relies on an event, only on the present state, so a lost, repeated or reordered one changes
nothing. Whether a beat stands still is judged by when *this* clock first saw it (``Memory.beats``), never by a time an
agent wrote; the hours a job may wait, and the minutes of a delivery, are long enough for any clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from avskrift.jobs.model import Job
from avskrift.jobs.prices import usd_per_hour

SPOT = "spot"
ON_DEMAND = "on-demand"
BREAKER_FAILURES = 2
BREAKER_WINDOW_S = 900
BREAKER_OPEN_S = 1_800
LOST_MESSAGE_AFTER_S = 120
"""A queued job this old, in a queue with fewer messages than jobs, gets its message again."""
OVERDUE_AFTER_S = 60
"""An outbox entry this far past its time is held by nobody."""
MAX_METER_GAP_S = 600
REAPER_GRACE_S = 300
UNSEEN_S = 15
"""EC2's descriptions lag behind its launches: so long, an instance counts though it is not described yet."""
REDELIVER_EVERY_S = 900
"""As long as SQS may delay a message: an entry is not asked for again while its message may still be on its way."""
MAX_COLD_STARTS = 5
"""Fleets started from nothing while one job waited, of which none claimed it: the image is broken."""
ASSUMED_BYTES_PER_AUDIO_S = 16_000
"""128 kbit/s, until the duration is known."""
ASSUMED_REAL_TIME_FACTOR = 30
"""Audio seconds per wall second on a T4 with a small model: an estimate that only sizes the fleet."""
NO_IMAGE = "The deployment has no machine image: put one's id into its AMI parameter, then upload the recording again."
NO_MACHINES = "No instance could be had in time (spot or on demand). Try again later, or allow more instance types."
OVER_BUDGET = (
    "The deployment's max_usd_per_day is spent and the job can wait no longer. Raise it, or try again tomorrow."
)
BROKEN_IMAGE = (
    "{count} times an instance was launched and ended without claiming a job: mend the image, then upload again."
)
EXHAUSTED = "The job failed {failures} times; its last instance fell silent. Upload it again."


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """The limits a deployment sets."""

    max_instances: int
    target_drain_s: int
    lease_s: float
    no_capacity_after_s: float
    max_failures: int
    max_usd_per_day: float
    max_life_s: float


@dataclass(frozen=True, slots=True)
class Instance:
    """One of our instances that is pending or running."""

    instance_id: str
    instance_type: str
    market: str
    launched_at: float


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    outbox_id: str
    next_attempt_at: float


@dataclass(frozen=True)
class Memory:
    """What capacity remembers between passes, in one row."""

    beats: Mapping[str, tuple[int, int, float]] = field(default_factory=dict)
    """job_id → (attempt, beat, when this clock first saw that pair)."""
    suspects: Mapping[str, float] = field(default_factory=dict)
    """instance_id → when the reaper marked it; it is ended in a later pass."""
    launched: Mapping[str, float] = field(default_factory=dict)
    """instance_id → when it was launched, while it may not be described yet."""
    redelivered: Mapping[str, float] = field(default_factory=dict)
    """outbox_id → when its delivery was last asked for."""
    cold_starts: tuple[float, ...] = ()
    """When instances were launched while none lived, since the oldest job that still waits was queued."""
    spot_failures: tuple[float, ...] = ()
    spot_paused_until: float = 0.0
    spend_day: str = ""
    spent_usd: float = 0.0
    metered_at: float = 0.0


@dataclass(frozen=True)
class Observed:
    """The state of the world at ``now``."""

    now: float
    queued: tuple[Job, ...] = ()
    running: tuple[Job, ...] = ()
    instances: tuple[Instance, ...] = ()
    ended: frozenset[str] = frozenset()
    """Ids of instances that are described as ended."""
    messages: int = 0
    """Messages of the jobs queue: waiting, delayed and in flight."""
    deliveries: tuple[PendingDelivery, ...] = ()
    image_id: str = ""
    """The machine image to launch; empty while the deployment has none."""


@dataclass(frozen=True, slots=True)
class Launch:
    count: int
    market: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Requeue:
    """A running job whose beat stands still goes back to the queue."""

    job: Job


@dataclass(frozen=True, slots=True)
class Fail:
    job: Job
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Resend:
    """A queued job whose message got lost."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Redeliver:
    outbox_id: str


@dataclass(frozen=True, slots=True)
class Terminate:
    instance_id: str


Action = Launch | Requeue | Fail | Resend | Redeliver | Terminate


@dataclass(frozen=True)
class Decision:
    actions: tuple[Action, ...]
    memory: Memory
    notes: tuple[str, ...] = ()
    """Why nothing was launched, for the log and a metric."""


def decide(observed: Observed, memory: Memory, settings: FleetSettings) -> Decision:
    """What should happen now. Pure: same arguments, same decision."""
    memory = _forget(observed, _meter(observed, memory))
    ended, waiting = _judge_queued(observed, memory, settings)
    silent, memory = _judge_running(observed, memory, settings)
    reaped, memory = _reap(observed, memory, settings)
    late, memory = _redeliver(observed, memory)
    waiting_soon = [*waiting, *(action.job for action in silent if isinstance(action, Requeue))]
    launches, notes = _launch(observed, waiting_soon, memory, settings)
    actions = (*launches, *ended, *silent, *reaped, *_resend(observed, waiting), *late)
    return Decision(actions, memory, notes)


def after_launch(memory: Memory, observed: Observed, instance_ids: Sequence[str]) -> Memory:
    """Remember instances that EC2 may not describe yet, and whether they were started from nothing."""
    if not instance_ids:
        return memory
    cold_starts = memory.cold_starts if observed.instances else (*memory.cold_starts, observed.now)
    launched = {**memory.launched, **dict.fromkeys(instance_ids, observed.now)}
    return replace(memory, launched=launched, cold_starts=cold_starts)


def after_spot_failure(memory: Memory, now: float) -> Memory:
    """Count one capacity failure of spot; the second within the window pauses spot for a while."""
    recent = (*(at for at in memory.spot_failures if now - at < BREAKER_WINDOW_S), now)
    if len(recent) < BREAKER_FAILURES:
        return replace(memory, spot_failures=recent)
    return replace(memory, spot_failures=(), spot_paused_until=now + BREAKER_OPEN_S)


def estimated_work_s(job: Job) -> float:
    """Seconds of one instance that a job is likely to take."""
    audio_s = job.progress.total_s if job.progress else job.size_bytes / ASSUMED_BYTES_PER_AUDIO_S
    return audio_s / ASSUMED_REAL_TIME_FACTOR


def _meter(observed: Observed, memory: Memory) -> Memory:
    """Add what the live instances cost since the last pass; a new UTC day starts at zero."""
    day = datetime.fromtimestamp(observed.now, UTC).date().isoformat()
    spent_usd = memory.spent_usd if memory.spend_day == day else 0.0
    elapsed_s = min(max(0.0, observed.now - memory.metered_at), MAX_METER_GAP_S) if memory.metered_at else 0.0
    hourly_usd = sum(usd_per_hour(instance.instance_type, instance.market) for instance in observed.instances)
    return replace(
        memory,
        spend_day=day,
        spent_usd=round(spent_usd + hourly_usd * elapsed_s / 3_600, 6),
        metered_at=observed.now,
    )


def _forget(observed: Observed, memory: Memory) -> Memory:
    """Drop what no longer matters: launches that have ended or aged, cold starts before any waiting job was queued."""
    launched = {
        one: at for one, at in memory.launched.items() if observed.now - at <= UNSEEN_S and one not in observed.ended
    }
    oldest = min((job.status_at for job in observed.queued), default=math.inf)
    return replace(memory, launched=launched, cold_starts=tuple(at for at in memory.cold_starts if at >= oldest))


def _judge_queued(observed: Observed, memory: Memory, settings: FleetSettings) -> tuple[list[Fail], list[Job]]:
    """Jobs that can't be served end visibly; the others wait on."""
    if observed.instances:  # they will be served
        return [], list(observed.queued)
    ended, waiting = [], []
    for job in observed.queued:
        fault = _hopeless(job, observed, memory, settings)
        if fault:
            ended.append(fault)
        else:
            waiting.append(job)
    return ended, waiting


def _hopeless(job: Job, observed: Observed, memory: Memory, settings: FleetSettings) -> Fail | None:
    barren = sum(at >= job.status_at for at in memory.cold_starts)  # a sound instance would have claimed it
    if barren >= MAX_COLD_STARTS:
        return Fail(job, "internal", BROKEN_IMAGE.format(count=barren))
    if _may_wait(job, observed.now):
        return None
    if not observed.image_id:
        return Fail(job, "no_capacity", NO_IMAGE)
    if observed.now - job.status_at <= settings.no_capacity_after_s:
        return None
    is_over_budget = memory.spent_usd >= settings.max_usd_per_day
    return Fail(job, "no_capacity", OVER_BUDGET if is_over_budget else NO_MACHINES)


def _may_wait(job: Job, now: float) -> bool:
    deadline = job.options.deadline
    return deadline is not None and datetime.fromisoformat(deadline).timestamp() > now


def _judge_running(observed: Observed, memory: Memory, settings: FleetSettings) -> tuple[list[Requeue | Fail], Memory]:
    """A beat that stood still for the lease, by our clock, ends its attempt."""
    actions: list[Requeue | Fail] = []
    beats: dict[str, tuple[int, int, float]] = {}
    for job in observed.running:
        attempt, beat, seen_at = memory.beats.get(job.job_id, (-1, -1, observed.now))
        if (attempt, beat) != (job.attempt, job.beat):
            seen_at = observed.now
        beats[job.job_id] = (job.attempt, job.beat, seen_at)
        if observed.now - seen_at < settings.lease_s:
            continue
        if job.failures + 1 >= settings.max_failures:
            message = EXHAUSTED.format(failures=job.failures + 1)
            actions.append(Fail(job, "attempts_exhausted", message))
        else:
            actions.append(Requeue(job))
    return actions, replace(memory, beats=beats)


def _reap(observed: Observed, memory: Memory, settings: FleetSettings) -> tuple[list[Terminate], Memory]:
    """Two passes: mark an instance that outlived its maximum life, end it when it is still there next time."""
    overdue = {
        instance.instance_id
        for instance in observed.instances
        if observed.now - instance.launched_at > settings.max_life_s + REAPER_GRACE_S
    }
    ended = [Terminate(instance_id) for instance_id in sorted(overdue & set(memory.suspects))]
    marked = {instance_id: memory.suspects.get(instance_id, observed.now) for instance_id in sorted(overdue)}
    return ended, replace(memory, suspects=marked)


def _launch(
    observed: Observed, waiting: list[Job], memory: Memory, settings: FleetSettings
) -> tuple[list[Launch], tuple[str, ...]]:
    if not waiting or not observed.image_id:
        return [], ()
    if memory.spent_usd >= settings.max_usd_per_day:
        return [], (f"daily limit reached: {memory.spent_usd:.2f} USD spent",)
    work = {job.job_id: job for job in (*waiting, *observed.running)}
    work_s = sum(map(estimated_work_s, work.values()))
    drained_by = max(1, math.ceil(work_s / settings.target_drain_s))
    wanted = min(settings.max_instances, drained_by, len(work))  # one job keeps one instance busy, however long it is
    missing = wanted - len({*memory.launched, *(instance.instance_id for instance in observed.instances)})
    if missing <= 0:
        return [], ()
    market = ON_DEMAND if observed.now < memory.spot_paused_until else SPOT
    return [Launch(missing, market, observed.image_id)], ()


def _resend(observed: Observed, waiting: list[Job]) -> list[Resend]:
    """Every queued and every running job has a message: with fewer, some old queued one lost its own."""
    if observed.messages >= len(observed.queued) + len(observed.running):
        return []
    return [Resend(job.job_id) for job in waiting if observed.now - job.status_at > LOST_MESSAGE_AFTER_S]


def _redeliver(observed: Observed, memory: Memory) -> tuple[list[Redeliver], Memory]:
    overdue = [one.outbox_id for one in observed.deliveries if observed.now - one.next_attempt_at > OVERDUE_AFTER_S]
    asked_for = {one: memory.redelivered[one] for one in overdue if one in memory.redelivered}
    due = [one for one in overdue if observed.now - asked_for.get(one, float("-inf")) > REDELIVER_EVERY_S]
    asked_for |= dict.fromkeys(due, observed.now)
    return [Redeliver(one) for one in due], replace(memory, redelivered=asked_for)
