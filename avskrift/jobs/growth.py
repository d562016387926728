"""How many instances the work wants, of which market, and what their answers and hours teach: part of the policy.

Pure, like all of it. What spot lacks is bought on demand, but for jobs that said they can wait; jobs that EC2 has
interrupted once are not left to spot again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from avskrift.jobs.fleet_model import ON_DEMAND, SPOT, FleetSettings, Launch, LaunchAnswer, Memory, Observed
from avskrift.jobs.launch_errors import ANOTHER_MARKET_HELPS, fault_of
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.prices import MIN_BILLED_S, usd_per_hour

BREAKER_FAILURES = 2
BREAKER_WINDOW_S = 900
BREAKER_OPEN_S = 1_800
MAX_METER_GAP_S = 600
ASSUMED_BYTES_PER_AUDIO_S = 16_000
"""128 kbit/s, until the duration is known."""
ASSUMED_REAL_TIME_FACTOR = 30
"""Audio seconds per wall second on a T4 with a small model: an estimate that only sizes the fleet."""
MAX_LAUNCH = 100
"""Instances of one request, so that it never empties EC2's bucket of launches; the next pass asks for more."""
SLOW_START_S = 300
"""The longest that a sound instance takes from its launch to its first claim."""
BARREN_PAUSE_S = 120
"""Before the third launch in a row that brings no claim; twice as long before each further one."""
KEPT_ANSWERS = 5
KEPT_ERRORS = 12
"""Of one answer: types × zones, in one audit line."""


def estimated_work_s(job: Job) -> float:
    """Seconds of one instance that a job is still likely to take."""
    if job.progress is None:
        return job.size_bytes / ASSUMED_BYTES_PER_AUDIO_S / ASSUMED_REAL_TIME_FACTOR
    return max(0.0, job.progress.total_s - job.progress.done_s) / ASSUMED_REAL_TIME_FACTOR


def may_wait(job: Job, now: float) -> bool:
    """Whether a job has time until a deadline that is still ahead: it waits for spot."""
    return deadline_of(job) > now


def deadline_of(job: Job) -> float:
    return datetime.fromisoformat(job.options.deadline).timestamp() if job.options.deadline else -math.inf


def launches(
    observed: Observed, waiting: Sequence[Job], memory: Memory, settings: FleetSettings
) -> tuple[list[Launch], tuple[str, ...]]:
    """What to launch for the jobs that wait, and why not more."""
    obstacle = _obstacle(observed, memory, settings)
    missing = _missing(observed, waiting, memory, settings)
    if missing == 0 or obstacle:
        return [], (obstacle,) if obstacle and waiting else ()
    urgent = [job for job in waiting if not may_wait(job, observed.now)]
    hurried = min(missing, _missing(observed, urgent, memory, settings))
    if observed.now < memory.spot_paused_until:
        notes = (f"spot is paused: {missing - hurried} instances wait for it",) if hurried < missing else ()
        return _nonzero(Launch(hurried, ON_DEMAND, observed.image_id)), notes
    struck = min(hurried, sum(job.interruptions > 0 for job in urgent))
    on_demand = Launch(struck, ON_DEMAND, observed.image_id)
    spot = Launch(missing - struck, SPOT, observed.image_id, fallback=hurried - struck)
    return _nonzero(on_demand, spot), ()


def _obstacle(observed: Observed, memory: Memory, settings: FleetSettings) -> str:
    """Why nothing may be launched at all; empty if something may."""
    if not observed.image_id:
        return "no machine image: the AMI parameter holds none"
    if observed.now < _next_try_at(memory):
        return f"{len(memory.barren)} launches in a row brought no claim: the next one waits"
    if memory.spent_usd >= settings.max_usd_per_day:
        return f"daily limit reached: {memory.spent_usd:.2f} USD spent"
    return ""


def _next_try_at(memory: Memory) -> float:
    """Instances that come and claim nothing: a broken image, or a service that only they can't reach."""
    doublings = len(memory.barren) - 2
    return max(memory.barren.values()) + BARREN_PAUSE_S * 2**doublings if doublings >= 0 else 0.0


def after_answer(memory: Memory, observed: Observed, answer: LaunchAnswer) -> Memory:
    """Remember what a launch brought. The same answer again (its record was not closed) changes nothing more."""
    now = observed.now
    if answer.instances and not serving(observed, memory):
        memory = replace(memory, barren={answer.instance_ids[0]: now} | dict(memory.barren))
    fresh = [one for one in answer.instances if one["instance_id"] not in memory.launched]
    billed_usd = sum(usd_per_hour(one["instance_type"], answer.market) for one in fresh) * MIN_BILLED_S / 3_600
    memory = replace(
        memory,
        launched={**memory.launched, **{one["instance_id"]: now for one in fresh}},
        spent_usd=round(memory.spent_usd + billed_usd, 6),
    )
    if answer.errors or answer.missing:
        others = [line for line in memory.answers if line["launch_id"] != answer.launch_id]
        memory = replace(memory, answers=(*others, audit_line(answer, now))[-KEPT_ANSWERS:])
    lacks_spot = answer.market == SPOT and other_market_may_help(answer)
    return after_spot_failure(memory, answer.launch_id, now) if lacks_spot else memory


def other_market_may_help(answer: LaunchAnswer) -> bool:
    """Whether there were too few machines for a reason that the other market need not share."""
    kinds = {fault_of(error["code"]) for error in answer.errors}
    return answer.missing > 0 and bool(kinds & ANOTHER_MARKET_HELPS)


def second_try(launch: Launch, answer: LaunchAnswer) -> Launch | None:
    """The other market, for what the first one lacked: on-demand as far as the jobs are in a hurry, spot always."""
    if not other_market_may_help(answer):
        return None
    if launch.market == ON_DEMAND:
        return Launch(answer.missing, SPOT, launch.image_id)
    count = min(answer.missing, launch.fallback)
    return Launch(count, ON_DEMAND, launch.image_id) if count else None


def audit_line(answer: LaunchAnswer, now: float) -> dict[str, Any]:
    """What a job keeps of a launch that was made for it: what each type and zone answered."""
    return {
        "launch_id": answer.launch_id,
        "at": now,
        "market": answer.market,
        "wanted": answer.wanted,
        "instances": [dict(one) for one in answer.instances],
        "errors": [{name: error[name] for name in ("code", "instance_type", "zone")} for error in answer.errors][
            :KEPT_ERRORS
        ],
    }


def meter(observed: Observed, memory: Memory) -> Memory:
    """Add what the live instances cost since the last pass; a new UTC day starts at zero.

    Their first minute was counted when they were launched: EC2 bills it whole.
    """
    now = observed.now
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    spent_usd = memory.spent_usd if memory.spend_day == day else 0.0
    elapsed_s = min(max(0.0, now - memory.metered_at), MAX_METER_GAP_S) if memory.metered_at else 0.0
    for instance in observed.instances:
        billed_s = min(elapsed_s, max(0.0, now - instance.launched_at - MIN_BILLED_S))
        spent_usd += usd_per_hour(instance.instance_type, instance.market) * billed_s / 3_600
    return replace(memory, spend_day=day, spent_usd=round(spent_usd, 6), metered_at=now)


def serving(observed: Observed, memory: Memory) -> set[str]:
    """Instances that will take a job: launched or live, neither leaving nor suspected nor deaf."""
    known = {*memory.launched, *(one.instance_id for one in observed.instances)}
    return known - set(memory.leaving) - set(memory.suspects) - _deaf(observed, memory)


def _deaf(observed: Observed, memory: Memory) -> set[str]:
    """Instances that own no job though one has waited all the time: a boot that failed, a process that hangs."""
    now = observed.now
    if not any(now - job.status_at > SLOW_START_S for job in observed.queued):
        return set()
    return {one for one, since in memory.idle_since.items() if now - since > SLOW_START_S}


def _missing(observed: Observed, waiting: Sequence[Job], memory: Memory, settings: FleetSettings) -> int:
    """Instances to add so that these jobs and the running ones are done in ``target_drain_s``."""
    if not waiting:
        return 0
    able = serving(observed, memory)
    busy = [job for job in observed.running if job.instance_id in able]
    work = {job.job_id: job for job in (*busy, *waiting)}
    unseen = max(1.0, observed.messages / len(work)) if observed.is_cut else 1.0  # jobs there are for each one read
    work_s = unseen * sum(map(estimated_work_s, work.values()))
    drained_by = max(1, math.ceil(work_s / settings.target_drain_s))
    wanted = min(drained_by, math.ceil(unseen * len(work)))  # one job keeps one instance busy, however long it is
    alive = {*memory.launched, *(one.instance_id for one in observed.instances)}
    room = settings.max_instances - len(alive) - observed.in_doubt
    return max(0, min(wanted - len(able) - observed.in_doubt, room, MAX_LAUNCH))


def _nonzero(*wanted: Launch) -> list[Launch]:
    return [launch for launch in wanted if launch.count > 0]


def after_spot_failure(memory: Memory, cause: str, now: float) -> Memory:
    """Count one failure of spot; the second within the window pauses spot for a while."""
    recent = {one: at for one, at in memory.spot_failures.items() if now - at < BREAKER_WINDOW_S} | {cause: now}
    if len(recent) < BREAKER_FAILURES:
        return replace(memory, spot_failures=recent)
    return replace(memory, spot_failures={}, spot_paused_until=now + BREAKER_OPEN_S)


def interrupted_work(observed: Observed, memory: Memory) -> list[Job]:
    """Jobs at work on instances that EC2 takes back: as good as in the queue, and struck."""
    return [
        replace(job, status=JobStatus.QUEUED, interruptions=job.interruptions + 1)
        for job in observed.running
        if memory.leaving.get(job.instance_id, False)
    ]
