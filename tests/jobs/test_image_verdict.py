"""When a job ends because the machine image is broken, and when that would be slander."""

from __future__ import annotations

from avskrift.jobs.fleet_model import Memory
from avskrift.jobs.model import JobStatus
from avskrift.jobs.policy import MAX_COLD_STARTS, Fail, decide
from tests.jobs.policy_world import LIMITS, NOW, actions, job, machine, seen

BARREN = {f"launch-{number}": NOW + number for number in range(MAX_COLD_STARTS)}


def test_job_ends_when_launched_instances_never_claim() -> None:
    waiting = job()
    (fail,) = actions(seen(NOW + 60, queued=(waiting,)), Memory(cold_starts=BARREN))
    assert isinstance(fail, Fail)
    assert (fail.job, fail.code) == (waiting, "internal")


def test_poison_that_kills_every_instance_does_not_end_the_job_that_waits_behind_it() -> None:
    """Each of those instances claimed the poison before it died: the image is sound, the other job waits on."""
    poison, waiting = job(1, JobStatus.RUNNING, instance_id="i-1", attempt=1), job(2)
    memory = Memory(cold_starts=BARREN)
    memory = decide(
        seen(NOW + 60, queued=(waiting,), running=(poison,), instances=(machine(1),)), memory, LIMITS
    ).memory
    later = actions(seen(NOW + 120, queued=(waiting, job(1, attempt=1))), memory)
    assert not [action for action in later if isinstance(action, Fail)]
