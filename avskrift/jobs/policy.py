"""The fleet policy: one pure function from what was observed to what should happen.

Level-triggered: it never relies on an event, only on the present state, so a lost, repeated or reordered one changes
nothing. Whether something stands still (a beat, an idle instance, an overdue delivery) is judged by when *this* clock
first saw it so, never by a time an agent wrote; the hours a job may wait are long enough for any clock.

What it sees and says is in ``fleet_model``; how many instances of which market, in ``growth``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from avskrift.jobs.fleet_model import (
    Action,
    Decision,
    Fail,
    FleetSettings,
    Memory,
    Observed,
    Redeliver,
    Requeue,
    Resend,
    Terminate,
)
from avskrift.jobs.growth import (
    after_spot_failure,
    deadline_of,
    interrupted_work,
    launches,
    may_wait,
    meter,
    serving,
)
from avskrift.jobs.launch_errors import advice
from avskrift.jobs.model import Job

LOST_MESSAGE_AFTER_S = 120
"""A queued job this old, in a queue with fewer messages than jobs, gets its message again."""
OVERDUE_AFTER_S = 60
"""An outbox entry that this clock has seen due for so long is held by nobody."""
REDELIVER_EVERY_S = 900
"""As long as SQS may delay a message: an entry is not asked for again while its message may still be on its way."""
REAPER_GRACE_S = 300
SUSPECT_FOR_S = 30
"""Between the pass that marks an instance and the one that ends it."""
UNSEEN_S = 60
"""EC2's descriptions lag behind its launches: so long, an instance counts though it is not described yet."""
MAX_BARREN = 5
"""Launches while one job waited and none served it, of which none claimed it: the image is broken."""
NO_IMAGE = "The deployment has no machine image: put one's id into its AMI parameter, then upload the recording again."
NO_MACHINES = "No instance could be had in time (spot or on demand). {advice} Then upload the recording again."
OVER_BUDGET = (
    "The deployment's max_usd_per_day is spent and the job can wait no longer. Raise it, or try again tomorrow."
)
BROKEN_IMAGE = (
    "{count} times an instance was launched and ended without claiming a job: mend the image, then upload again."
)
EXHAUSTED = "The job failed {failures} times; its last instance fell silent. Upload it again."


def decide(observed: Observed, memory: Memory, settings: FleetSettings) -> Decision:
    """What should happen now. Pure: same arguments, same decision."""
    memory = _forget(observed, meter(observed, memory))
    silent, memory = _judge_running(observed, memory, settings)
    reaped, memory = _reap(observed, memory, settings, {action.job.instance_id for action in silent})
    ended, waiting, memory = _judge_queued(observed, memory, settings)
    late, memory = _redeliver(observed, memory)
    silenced = {action.job.job_id for action in silent}
    struck = [job for job in interrupted_work(observed, memory) if job.job_id not in silenced]
    requeued = [_once_back(action) for action in silent if isinstance(action, Requeue)]
    growth, notes = launches(observed, [*waiting, *requeued, *struck], memory, settings)
    actions = (*silent, *reaped, *growth, *ended, *late, *_resend(observed, waiting))
    is_over_budget = bool(waiting) and memory.spent_usd >= settings.max_usd_per_day
    return Decision(actions, memory, notes, is_over_budget)


def _forget(observed: Observed, memory: Memory) -> Memory:
    """Drop what no longer matters, take in what was just announced."""
    now = observed.now
    live = {one.instance_id for one in observed.instances}
    launched = {
        one: at for one, at in memory.launched.items() if now - at <= UNSEEN_S and one not in observed.ended | live
    }
    known = live | set(launched)
    leaving = {one: taken for one, taken in memory.leaving.items() if one in known}
    for one, taken in observed.leaving.items():
        if one in known:  # the account's other instances get notices too
            leaving[one] = taken or leaving.get(one, False)
    for one in [one for one in memory.barren if leaving.get(one)]:  # not the image's fault but that of spot
        memory = after_spot_failure(memory, one, now)
        memory = replace(memory, barren={other: at for other, at in memory.barren.items() if other != one})
    oldest = math.inf if observed.running else min((job.status_at for job in observed.queued), default=math.inf)
    return replace(
        memory,
        launched=launched,
        leaving=leaving,
        # Whatever became of it: a job that runs was claimed, so the image is sound.
        barren={one: at for one, at in memory.barren.items() if at >= oldest},
        answers=memory.answers if observed.queued else (),
    )


def _judge_queued(observed: Observed, memory: Memory, settings: FleetSettings) -> tuple[list[Fail], list[Job], Memory]:
    """Jobs that can't be served end visibly; the others wait on."""
    if serving(observed, memory) or not observed.queued:
        return [], list(observed.queued), replace(memory, unserved_since=0.0)
    memory = replace(memory, unserved_since=memory.unserved_since or observed.now)
    ended, waiting = [], []
    for job in observed.queued:
        fault = _hopeless(job, observed, memory, settings)
        if fault:
            ended.append(fault)
        else:
            waiting.append(job)
    return ended, waiting, memory


def _hopeless(job: Job, observed: Observed, memory: Memory, settings: FleetSettings) -> Fail | None:
    barren = sum(at >= job.status_at for at in memory.barren.values())  # a sound instance would have claimed it
    if barren >= MAX_BARREN:
        return Fail(job, "internal", BROKEN_IMAGE.format(count=barren))
    if may_wait(job, observed.now):
        return None
    if not observed.image_id:
        return Fail(job, "no_capacity", NO_IMAGE)
    # While others were served it stood in a queue, and until its deadline it waited for spot alone.
    unserved_s = observed.now - max(job.status_at, deadline_of(job), memory.unserved_since)
    if unserved_s <= settings.no_capacity_after_s:
        return None
    if memory.spent_usd >= settings.max_usd_per_day:
        return Fail(job, "no_capacity", OVER_BUDGET)
    codes = [error["code"] for line in memory.answers for error in line["errors"]]
    return Fail(job, "no_capacity", NO_MACHINES.format(advice=advice(codes) or advice(["UnfulfillableCapacity"])))


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
        is_taken = memory.leaving.get(job.instance_id, False)  # its agent had no time to hand the job back
        if not is_taken and job.failures + 1 >= settings.max_failures:
            message = EXHAUSTED.format(failures=job.failures + 1)
            actions.append(Fail(job, "attempts_exhausted", message))
        else:
            actions.append(Requeue(job, interrupted=is_taken))
    return actions, replace(memory, beats=beats)


def _reap(
    observed: Observed, memory: Memory, settings: FleetSettings, silent: Iterable[str]
) -> tuple[list[Terminate], Memory]:
    """Two passes: mark an instance that outlived its life, idles, or fell silent; end it if that still holds later."""
    now, owners = observed.now, {job.instance_id for job in observed.running}
    live = {one.instance_id for one in observed.instances}
    idle_since = {
        one: now if one in observed.recently_worked else memory.idle_since.get(one, now) for one in live - owners
    }
    longest_s = settings.max_life_s + REAPER_GRACE_S
    overdue = {one.instance_id for one in observed.instances if now - one.launched_at > longest_s}
    overdue |= {one for one, since in idle_since.items() if now - since > settings.idle_limit_s}
    overdue |= live & set(silent)
    still_idle = idle_since.keys() - observed.recently_worked
    overdue |= still_idle & memory.suspects.keys()  # silent before, and has claimed nothing since
    suspects = {one: memory.suspects.get(one, now) for one in sorted(overdue)}
    doomed = [one for one, marked_at in suspects.items() if now - marked_at >= SUSPECT_FOR_S]
    return list(map(Terminate, doomed)), replace(memory, idle_since=idle_since, suspects=suspects)


def unasked(memory: Memory, undone: Iterable[Action]) -> Memory:
    """Forget that deliveries were asked for which were not, after all."""
    missed = {action.outbox_id for action in undone if isinstance(action, Redeliver)}
    kept = {one: (*seen[:2], 0.0) if one in missed else seen for one, seen in memory.deliveries.items()}
    return replace(memory, deliveries=kept)


def _once_back(requeue: Requeue) -> Job:
    return replace(requeue.job, interruptions=requeue.job.interruptions + requeue.interrupted)


def _resend(observed: Observed, waiting: Sequence[Job]) -> list[Resend]:
    """Every queued and every running job has a message: with fewer, so many old queued ones lost theirs.

    The queue's counts lag, so this may be wrong by a few: a message too many is dropped by whoever receives it.
    """
    lost = len(observed.queued) + len(observed.running) - observed.messages
    old = [job for job in waiting if observed.now - job.status_at > LOST_MESSAGE_AFTER_S]
    return [Resend(job.job_id) for job in old[: max(0, lost)]]


def _redeliver(observed: Observed, memory: Memory) -> tuple[list[Redeliver], Memory]:
    """Entries that this clock has seen due at the same time for a while, and has not asked for of late."""
    seen: dict[str, tuple[float, float, float]] = {}
    due: list[Redeliver] = []
    for one in observed.deliveries:
        due_at, first_seen, asked_at = memory.deliveries.get(one.outbox_id, (one.next_attempt_at, observed.now, 0.0))
        if due_at != one.next_attempt_at:
            due_at, first_seen = one.next_attempt_at, observed.now
        is_held = observed.now - max(due_at, first_seen) <= OVERDUE_AFTER_S
        if not is_held and observed.now - asked_at > REDELIVER_EVERY_S:
            due.append(Redeliver(one.outbox_id, one.job_id))
            asked_at = observed.now
        seen[one.outbox_id] = (due_at, first_seen, asked_at)
    return due, replace(memory, deliveries=seen)
