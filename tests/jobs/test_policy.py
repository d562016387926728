"""The fleet policy: what it wants from what it sees."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from avskrift.jobs.fleet_model import (
    Fail,
    Launch,
    Memory,
    PendingDelivery,
    Redeliver,
    Requeue,
    Resend,
)
from avskrift.jobs.growth import after_answer
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.policy import decide
from tests.jobs.policy_world import IMAGE, LIMITS, NOW, SPOT_ONE, actions, answered, job, machine, seen


def test_nothing_runs_when_nothing_is_uploaded() -> None:
    assert actions(seen(NOW)) == []


def test_one_queued_job_wants_one_spot_instance() -> None:
    assert actions(seen(NOW, queued=(job(),), messages=1)) == [SPOT_ONE]


def test_a_live_instance_takes_the_job() -> None:
    assert actions(seen(NOW, queued=(job(),), instances=(machine(),), messages=1)) == []


def test_beat_that_stands_still_for_the_lease_requeues_the_job() -> None:
    silent = job(status=JobStatus.RUNNING, attempt=1, beat=7)
    memory = decide(seen(NOW, running=(silent,)), Memory(), LIMITS).memory
    assert actions(seen(NOW + 89, running=(silent,)), memory) == []
    after_lease = actions(seen(NOW + 90, running=(silent,)), memory)
    assert after_lease == [Requeue(silent), SPOT_ONE], "its next instance is not put off to a later pass"
    alive = replace(silent, beat=8)
    assert actions(seen(NOW + 90, running=(alive,)), memory) == []


def test_agents_clock_never_matters() -> None:
    """An agent whose clock is hours off wrote ``status_at``: only the beat, by our clock, is judged."""
    for skew_s in (-10_000, 10_000):
        alive = job(status=JobStatus.RUNNING, attempt=1, status_at=NOW + skew_s)
        assert actions(seen(NOW, running=(alive,))) == []


def test_last_allowed_failure_ends_the_job() -> None:
    silent = job(status=JobStatus.RUNNING, attempt=3, failures=2)
    memory = Memory(beats={silent.job_id: (3, 0, NOW - 90)})
    (fail,) = actions(seen(NOW, running=(silent,)), memory)
    assert isinstance(fail, Fail)
    assert fail.code == "attempts_exhausted"


UNSERVED = Memory(unserved_since=NOW - 7_201)


def test_job_without_capacity_ends_visibly() -> None:
    old = job(status_at=NOW - 7_201)
    decided = actions(seen(NOW, queued=(old,), messages=1), UNSERVED)
    assert [(action.job, action.code) for action in decided] == [(old, "no_capacity")]


def test_end_without_capacity_says_what_most_of_ec2_answered() -> None:
    lines = ({"launch_id": "l", "errors": [{"code": "VcpuLimitExceeded"}, {"code": "VcpuLimitExceeded"}]},)
    memory = replace(UNSERVED, answers=(*lines, {"launch_id": "m", "errors": [{"code": "UnfulfillableCapacity"}]}))
    (fail,) = actions(seen(NOW, queued=(job(status_at=NOW - 7_201),), messages=1), memory)
    assert "quota" in fail.message


def test_job_that_only_stood_in_a_long_queue_is_given_its_turn_when_all_instances_vanish() -> None:
    """A backlog of hours is served; then its zone takes every instance: nobody has failed to get a machine yet."""
    old = job(status_at=NOW - 5 * 3_600)
    served = decide(seen(NOW - 60, queued=(old,), messages=1, instances=(machine(),)), UNSERVED, LIMITS)
    assert actions(seen(NOW, queued=(old,), messages=1), served.memory) == [SPOT_ONE]


def test_job_with_a_deadline_waits_for_capacity() -> None:
    patient = job(status_at=NOW - 7_201, options=JobOptions(deadline="2023-11-15T06:00:00+01:00"))
    assert actions(seen(NOW, queued=(patient,), messages=1), UNSERVED) == [Launch(1, "spot", IMAGE, fallback=0)]


def test_job_whose_deadline_has_passed_is_given_the_time_of_any_other() -> None:
    passed = job(status_at=NOW - 40_000, options=JobOptions(deadline="2023-11-14T22:00:00+00:00"))  # 800 s ago
    memory = replace(UNSERVED, unserved_since=NOW - 40_000)
    assert actions(seen(NOW, queued=(passed,), messages=1), memory) == [SPOT_ONE]
    (fail,) = actions(seen(NOW + 7_201, queued=(passed,), messages=1), memory)
    assert fail.code == "no_capacity"


def test_deployment_without_an_image_ends_jobs_with_a_sentence() -> None:
    (fail,) = actions(seen(NOW, queued=(job(),), messages=1, image_id=""))
    assert fail.code == "no_capacity"
    assert "AMI parameter" in fail.message


def test_lost_message_is_sent_again() -> None:
    old = job(status_at=NOW - 121)
    assert Resend(old.job_id) in actions(seen(NOW, queued=(old,), messages=0))
    assert Resend(old.job_id) not in actions(seen(NOW, queued=(old,), messages=1))


def test_lost_message_is_sent_again_while_other_jobs_run() -> None:
    old, busy = job(1, status_at=NOW - 10_000), job(2, JobStatus.RUNNING, attempt=1)
    observed = seen(NOW, queued=(old,), running=(busy,), instances=(machine(),), messages=1)
    assert actions(observed) == [Resend(old.job_id)]


def test_no_more_messages_are_sent_again_than_are_missing() -> None:
    """The queue's counts lag behind: a growing queue always looks a few messages short."""
    old = tuple(job(number, status_at=NOW - 200 + number) for number in range(50))
    fresh = tuple(job(number, status_at=NOW - 1) for number in range(100, 110))
    observed = seen(NOW, queued=(*old, *fresh), instances=(machine(),), messages=58)
    resent = [action.job_id for action in actions(observed) if isinstance(action, Resend)]
    assert resent == ["job0", "job1"], "the oldest first"


def test_delivery_that_nobody_holds_is_asked_for_once_in_a_while() -> None:
    late = PendingDelivery("msg_late", NOW - 61)
    first = decide(seen(NOW, deliveries=(late,)), Memory(), LIMITS)
    assert first.actions == (), "whoever wrote it may have a slow clock: this one looks twice"
    second = decide(seen(NOW + 61, deliveries=(late,)), first.memory, LIMITS)
    assert second.actions == (Redeliver("msg_late"),)
    assert actions(seen(NOW + 121, deliveries=(late,)), second.memory) == []
    assert actions(seen(NOW + 962, deliveries=(late,)), second.memory) == [Redeliver("msg_late")]


def test_delivery_that_was_attempted_meanwhile_is_left_to_its_new_time() -> None:
    first = decide(seen(NOW, deliveries=(PendingDelivery("msg", NOW - 61),)), Memory(), LIMITS)
    moved = PendingDelivery("msg", NOW - 10)
    assert actions(seen(NOW + 61, deliveries=(moved,)), first.memory) == []


def test_instance_counts_before_ec2_describes_it() -> None:
    waiting = seen(NOW, queued=(job(),), messages=1)
    memory = after_answer(Memory(), waiting, answered("i-new"))
    assert actions(seen(NOW + 5, queued=(job(),), messages=1), memory) == []
    assert actions(seen(NOW + 61, queued=(job(),), messages=1), memory) == [SPOT_ONE], "it is gone"
    ended = seen(NOW + 5, queued=(job(),), messages=1, ended=frozenset({"i-new"}))
    assert actions(ended, memory) == [SPOT_ONE], "it has ended, and says so"


def test_image_that_never_claims_a_job_stops_being_launched() -> None:
    memory = Memory()
    launched_at = []
    for minute in range(40):
        waiting = seen(NOW + 61 * minute, queued=(job(),), messages=1)
        decision = decide(waiting, memory, LIMITS)
        memory = decision.memory
        if decision.actions == (SPOT_ONE,):
            launched_at.append(minute)
            memory = after_answer(memory, waiting, answered(f"i-{minute}"))
        elif decision.actions:
            break
    assert launched_at == [0, 1, 3, 7, 15], "at longer and longer intervals: it may be what the instances can't reach"
    (fail,) = decision.actions
    assert (fail.code, "mend the image" in fail.message) == ("internal", True)


def test_short_lives_of_a_sound_fleet_are_held_against_no_job() -> None:
    """Each upload finds an empty deployment and is done before the next: no pass ever sees a job at work."""
    memory = Memory()
    for upload in range(20):
        now = NOW + 4 * upload
        waiting = seen(now, queued=(job(upload, status_at=now),), messages=1, ended=frozenset({f"i-{upload - 1}"}))
        decision = decide(waiting, memory, LIMITS)
        assert decision.actions == (SPOT_ONE,)
        memory = after_answer(decision.memory, waiting, answered(f"i-{upload}"))


def test_job_that_waited_for_money_is_told_so() -> None:
    spent = replace(UNSERVED, spend_day="2023-11-14", spent_usd=50.0, metered_at=NOW)
    (fail,) = actions(seen(NOW, queued=(job(status_at=NOW - 7_201),), messages=1), spent)
    assert (fail.code, "max_usd_per_day" in fail.message) == ("no_capacity", True)


def test_running_instances_serve_the_queue_even_without_an_image() -> None:
    assert actions(seen(NOW, queued=(job(),), messages=1, instances=(machine(),), image_id="")) == []


jobs = st.builds(
    lambda number, size, age: job(number, size_bytes=size, status_at=NOW - age),
    st.integers(0, 1_000),
    st.integers(0, 10**11),
    st.floats(0, 10_000),
)


@given(queued=st.lists(jobs, max_size=30), live=st.integers(0, 8))
def test_fleet_never_exceeds_its_limit_and_work_never_waits_alone(queued: list[Job], live: int) -> None:
    observed = seen(NOW, queued=tuple(queued), instances=tuple(map(machine, range(live))), messages=len(queued))
    decided = actions(observed, UNSERVED)
    launched = sum(action.count for action in decided if isinstance(action, Launch))
    ended = {action.job.job_id for action in decided if isinstance(action, Fail)}
    assert launched == 0 or live + launched <= LIMITS.max_instances
    assert live + launched > 0 or all(one.job_id in ended for one in queued)
