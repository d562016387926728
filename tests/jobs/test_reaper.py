"""Instances that nothing else has ended: marked in one pass, ended in a later one if it still holds."""

from __future__ import annotations

from avskrift.jobs.fleet_model import Memory, Terminate
from avskrift.jobs.model import JobStatus
from avskrift.jobs.policy import decide
from tests.jobs.policy_world import LIMITS, NOW, actions, job, machine, seen


def test_overdue_instance_is_marked_first_and_ended_next_time() -> None:
    overdue = machine(launched_at=NOW - 21_600 - 301)
    first = decide(seen(NOW, instances=(overdue,)), Memory(), LIMITS)
    assert first.actions == ()
    assert actions(seen(NOW + 60, instances=(overdue,)), first.memory) == [Terminate("i-0")]


def test_two_passes_at_nearly_the_same_time_are_one() -> None:
    overdue = machine(launched_at=NOW - 21_600 - 301)
    first = decide(seen(NOW, instances=(overdue,)), Memory(), LIMITS)
    assert actions(seen(NOW + 1, instances=(overdue,)), first.memory) == []


def test_instance_that_owns_no_job_for_the_idle_limit_is_ended() -> None:
    memory = decide(seen(NOW, instances=(machine(),)), Memory(), LIMITS).memory
    memory = decide(seen(NOW + 1_200, instances=(machine(),)), memory, LIMITS).memory
    assert memory.suspects == {}
    marked = decide(seen(NOW + 1_201, instances=(machine(),)), memory, LIMITS)
    assert marked.actions == ()
    assert actions(seen(NOW + 1_261, instances=(machine(),)), marked.memory) == [Terminate("i-0")]


def test_instance_whose_jobs_are_too_short_to_be_seen_is_not_idle() -> None:
    memory = decide(seen(NOW, instances=(machine(),)), Memory(), LIMITS).memory
    worked = seen(NOW + 1_201, instances=(machine(),), recently_worked=frozenset({"i-0"}))
    memory = decide(worked, memory, LIMITS).memory
    assert memory.suspects == {}
    assert memory.idle_since == {"i-0": NOW + 1_201}


def test_job_that_runs_makes_its_instance_anything_but_idle() -> None:
    memory = Memory(idle_since={"i-0": NOW - 5_000}, suspects={"i-0": NOW - 60})
    owned = job(0, JobStatus.RUNNING, attempt=1, instance_id="i-0")
    decision = decide(seen(NOW, running=(owned,), instances=(machine(),)), memory, LIMITS)
    assert decision.actions == ()
    assert (decision.memory.suspects, decision.memory.idle_since) == ({}, {})


def test_instance_whose_job_fell_silent_is_ended_unless_it_claims_again() -> None:
    silent = job(0, JobStatus.RUNNING, attempt=1, instance_id="i-0")
    memory = Memory(beats={"job0": (1, 0, NOW - 90)})
    requeued = decide(seen(NOW, running=(silent,), instances=(machine(),)), memory, LIMITS)
    assert "i-0" in requeued.memory.suspects
    assert [type(action).__name__ for action in requeued.actions] == ["Requeue", "Launch"], "it is no capacity any more"
    dead = seen(NOW + 60, instances=(machine(),))
    assert actions(dead, requeued.memory) == [Terminate("i-0")]
    other = job(1, JobStatus.RUNNING, attempt=1, instance_id="i-0")
    alive = seen(NOW + 60, running=(other,), instances=(machine(),))
    assert actions(alive, requeued.memory) == [], "its network was away, and is back"


def test_silence_on_an_instance_that_ec2_took_is_an_interruption() -> None:
    silent = job(0, JobStatus.RUNNING, attempt=1, failures=2, instance_id="i-0")
    memory = Memory(beats={"job0": (1, 0, NOW - 90)}, leaving={"i-0": True})
    decided = actions(seen(NOW, running=(silent,), instances=(machine(),)), memory)
    (requeue,) = [action for action in decided if type(action).__name__ == "Requeue"]
    assert requeue.interrupted
