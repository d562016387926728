"""When a job ends because the machine image is broken, and when that would be slander."""

from __future__ import annotations

from avskrift.jobs.fleet_model import Launch, Memory
from avskrift.jobs.growth import after_answer
from avskrift.jobs.model import JobStatus
from avskrift.jobs.policy import MAX_BARREN, Fail, decide
from tests.jobs.policy_world import IMAGE, LIMITS, NOW, actions, answered, job, machine, seen

BARREN = {f"i-old-{number}": NOW + number for number in range(MAX_BARREN)}


def test_job_ends_when_launched_instances_never_claim() -> None:
    waiting = job()
    (fail,) = actions(seen(NOW + 60, queued=(waiting,)), Memory(barren=BARREN))
    assert isinstance(fail, Fail)
    assert (fail.job, fail.code) == (waiting, "internal")


def test_poison_that_kills_every_instance_does_not_end_the_job_that_waits_behind_it() -> None:
    """Each of those instances claimed the poison before it died: the image is sound, the other job waits on."""
    poison, waiting = job(1, JobStatus.RUNNING, instance_id="i-1", attempt=1), job(2)
    memory = Memory(barren=BARREN)
    memory = decide(
        seen(NOW + 60, queued=(waiting,), running=(poison,), instances=(machine(1),)), memory, LIMITS
    ).memory
    later = actions(seen(NOW + 120, queued=(waiting, job(1, attempt=1))), memory)
    assert not [action for action in later if isinstance(action, Fail)]


def test_instance_that_boots_and_never_works_is_no_better_than_one_that_vanishes() -> None:
    """It stays alive, so each of its successors finds it there: the image must be judged all the same."""
    memory, machines, decision = Memory(), [], None
    for minute in range(120):
        now = NOW + 60 * minute
        observed = seen(now, queued=(job(status_at=NOW),), instances=tuple(machines), messages=1)
        decision = decide(observed, memory, LIMITS)
        memory = decision.memory
        for action in decision.actions:
            if isinstance(action, Launch):
                one = machine(len(machines), launched_at=now)
                memory = after_answer(memory, observed, answered(one.instance_id))
                machines.append(one)
        if any(isinstance(action, Fail) for action in decision.actions):
            break
    assert [action.code for action in decision.actions if isinstance(action, Fail)] == ["internal"]
    assert len(machines) == MAX_BARREN


def test_machines_that_ec2_takes_while_they_boot_say_nothing_of_the_image() -> None:
    memory = Memory()
    for minute in range(10):
        now = NOW + 60 * minute
        waiting = seen(now, queued=(job(status_at=NOW),), messages=1)
        decision = decide(waiting, memory, LIMITS)
        (launch,) = decision.actions
        memory = after_answer(decision.memory, waiting, answered(f"i-{minute}", market=launch.market))
        if launch.market == "on-demand":
            break
        memory = decide(
            seen(now + 30, queued=(job(status_at=NOW),), leaving={f"i-{minute}": True}), memory, LIMITS
        ).memory
        assert memory.barren == {}
    assert launch == Launch(1, "on-demand", IMAGE), "spot took two before they had claimed: enough of it for a while"
