"""How many instances, of which market: the part of the policy that spends money."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avskrift.jobs.fleet_model import Launch, Memory
from avskrift.jobs.growth import after_answer, second_try
from avskrift.jobs.model import JobProgress, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.policy import decide
from tests.jobs.policy_world import IMAGE, LIMITS, NOW, SPOT_ONE, actions, answered, job, machine, seen

PATIENT = JobOptions(deadline="2023-11-15T06:00:00+01:00")
WAITING = seen(NOW, queued=(job(),), messages=1)


def test_fleet_grows_with_the_work_up_to_its_limit() -> None:
    hours = JobProgress(0.0, 10 * 3_600.0)  # 1,200 s of an instance each
    jobs = tuple(job(number, progress=hours) for number in range(2))
    assert actions(seen(NOW, queued=jobs, messages=2)) == [Launch(2, "spot", IMAGE, 2)], "one for each job at most"
    many = tuple(job(number, progress=hours) for number in range(100))
    assert actions(seen(NOW, queued=many, messages=100)) == [Launch(5, "spot", IMAGE, 5)]


def test_work_that_is_nearly_done_needs_no_second_instance() -> None:
    nearly = job(1, JobStatus.RUNNING, attempt=1, instance_id="i-0", progress=JobProgress(35_900.0, 36_000.0))
    observed = seen(NOW, queued=(job(),), running=(nearly,), instances=(machine(),), messages=2)
    assert actions(observed) == []


def test_paused_spot_means_on_demand() -> None:
    assert actions(WAITING, Memory(spot_paused_until=NOW + 1)) == [Launch(1, "on-demand", IMAGE)]
    assert actions(WAITING, Memory(spot_paused_until=NOW)) == [SPOT_ONE]


def test_second_spot_failure_within_the_window_pauses_spot() -> None:
    once = after_answer(Memory(), WAITING, answered(codes=("UnfulfillableCapacity",)))
    assert once.spot_paused_until == 0
    again = answered(codes=("InsufficientInstanceCapacity",))
    assert after_answer(once, seen(NOW + 901), again).spot_paused_until == 0
    assert after_answer(once, seen(NOW + 899), again).spot_paused_until == NOW + 899 + 1_800


def test_same_answer_told_twice_counts_once() -> None:
    """A crash between the answer and its record makes the next pass ask again, with the same token."""
    failed = answered(codes=("UnfulfillableCapacity",))
    once = after_answer(Memory(), WAITING, failed)
    assert after_answer(once, WAITING, failed) == once
    launched = after_answer(Memory(), WAITING, answered("i-1"))
    assert after_answer(launched, WAITING, answered("i-1")) == launched


def test_job_with_a_deadline_never_buys_on_demand() -> None:
    patient = job(options=PATIENT)
    observed = seen(NOW, queued=(patient,), messages=1)
    assert actions(observed) == [Launch(1, "spot", IMAGE, fallback=0)]
    paused = decide(observed, Memory(spot_paused_until=NOW + 60), LIMITS)
    assert paused.actions == ()
    assert "wait for it" in paused.notes[0]


def test_only_the_hurried_part_of_a_mixed_queue_may_buy_on_demand() -> None:
    hours = JobProgress(0.0, 10 * 3_600.0)
    mixed = (job(0, progress=hours), job(1, progress=hours, options=PATIENT), job(2, progress=hours, options=PATIENT))
    observed = seen(NOW, queued=mixed, messages=3)
    assert actions(observed) == [Launch(3, "spot", IMAGE, fallback=1)]
    assert actions(observed, Memory(spot_paused_until=NOW + 60)) == [Launch(1, "on-demand", IMAGE)]


def test_interrupted_job_is_not_left_to_spot_again() -> None:
    struck = job(interruptions=1)
    assert actions(seen(NOW, queued=(struck,), messages=1)) == [Launch(1, "on-demand", IMAGE)]
    patient = job(interruptions=1, options=PATIENT)
    assert actions(seen(NOW, queued=(patient,), messages=1)) == [Launch(1, "spot", IMAGE)], "it has time"


def test_announced_interruption_brings_the_next_instance_before_the_job_is_back() -> None:
    at_work = job(0, JobStatus.RUNNING, attempt=1, instance_id="i-0")
    observed = seen(NOW, running=(at_work,), instances=(machine(),), leaving={"i-0": True})
    told = decide(observed, Memory(), LIMITS)
    assert told.actions == (Launch(1, "on-demand", IMAGE),)
    memory = after_answer(told.memory, observed, answered("i-1", market="on-demand"))
    back = seen(NOW + 20, queued=(job(0, interruptions=1),), instances=(machine(), machine(1)), messages=1)
    assert actions(back, memory) == [], "one for one job, whoever tells of it again"


def test_instance_advised_to_leave_finishes_its_job_and_serves_no_other() -> None:
    at_work = job(0, JobStatus.RUNNING, attempt=1, instance_id="i-0")
    alone = seen(NOW, running=(at_work,), instances=(machine(),), leaving={"i-0": False})
    told = decide(alone, Memory(), LIMITS)
    assert told.actions == ()
    waiting = seen(NOW + 60, queued=(job(1),), running=(at_work,), instances=(machine(),), messages=2)
    assert actions(waiting, told.memory) == [SPOT_ONE]


def test_notice_of_a_stranger_s_instance_is_nothing_to_us() -> None:
    assert decide(seen(NOW, leaving={"i-stranger": True}), Memory(), LIMITS).memory.leaving == {}


def test_leaving_instances_still_count_against_the_limit() -> None:
    limits = replace(LIMITS, max_instances=1)
    at_work = job(0, JobStatus.RUNNING, attempt=1, instance_id="i-0")
    observed = seen(NOW, running=(at_work,), instances=(machine(),), leaving={"i-0": True})
    assert actions(observed, limits=limits) == []


def test_daily_limit_stops_launches_until_the_next_day() -> None:
    spent = Memory(spend_day="2023-11-14", spent_usd=50.0, metered_at=NOW)
    decision = decide(WAITING, spent, LIMITS)
    assert (decision.actions, decision.is_over_budget) == ((), True)
    assert "daily limit" in decision.notes[0]
    tomorrow = NOW + 86_400
    fresh = job(status_at=tomorrow)
    assert actions(seen(tomorrow, queued=(fresh,), messages=1), spent) == [SPOT_ONE]


def test_spend_is_a_minute_at_launch_and_then_what_instances_live() -> None:
    memory = after_answer(Memory(spend_day="2023-11-14"), WAITING, answered("i-0", market="on-demand"))
    assert memory.spent_usd == round((0.558 + 0.005) / 60, 6), "EC2 bills a minute at least"
    bought = machine(launched_at=NOW, market="on-demand")
    for after_s in (0, 30, 60, 360):
        memory = decide(seen(NOW + after_s, instances=(bought,)), memory, LIMITS).memory
    assert memory.spent_usd == pytest.approx((0.558 + 0.005) / 10, abs=1e-5)


@pytest.mark.parametrize(
    ("code", "helps"),
    [
        ("InsufficientInstanceCapacity", True),
        ("UnfulfillableCapacity", True),
        ("MaxSpotInstanceCountExceeded", True),
        ("VcpuLimitExceeded", True),
        ("InsufficientFreeAddressesInSubnet", False),
        ("InvalidFleetConfiguration", False),
        ("InvalidLaunchTemplateId.NotFound", False),
        ("InvalidAMIID.NotFound", False),
        ("UnauthorizedOperation", False),
        ("SomethingNew", False),
    ],
)
def test_other_market_is_tried_for_what_it_can_mend(code: str, helps: bool) -> None:
    lacking = answered(codes=(code,))
    on_demand, spot = Launch(1, "on-demand", IMAGE), Launch(1, "spot", IMAGE)
    assert second_try(SPOT_ONE, lacking) == (on_demand if helps else None)
    assert second_try(on_demand, replace(lacking, market="on-demand")) == (spot if helps else None)


def test_partial_fleet_is_completed_as_far_as_the_jobs_are_in_a_hurry() -> None:
    partial = answered("i-1", wanted=4, codes=("InsufficientInstanceCapacity",))
    assert second_try(Launch(4, "spot", IMAGE, fallback=4), partial) == Launch(3, "on-demand", IMAGE)
    assert second_try(Launch(4, "spot", IMAGE, fallback=2), partial) == Launch(2, "on-demand", IMAGE)
    assert second_try(Launch(4, "spot", IMAGE, fallback=0), partial) is None
    full = answered("i-1", codes=("InsufficientInstanceCapacity",))
    assert second_try(SPOT_ONE, full) is None, "errors beside all that was wanted are no lack"


def test_request_without_an_answer_counts_as_if_it_had_launched() -> None:
    """EC2 throttles, or its answer got lost: the record stays open, and may bring what it asked for."""
    assert actions(replace(WAITING, in_doubt=1)) == []
    limits = replace(LIMITS, max_instances=3)
    hours = JobProgress(0.0, 10 * 3_600.0)
    many = tuple(job(number, progress=hours) for number in range(9))
    observed = seen(NOW, queued=many, messages=9, in_doubt=2)
    assert actions(observed, limits=limits) == [Launch(1, "spot", IMAGE, 1)]


def test_queue_longer_than_a_pass_reads_is_sized_by_its_messages() -> None:
    limits = replace(LIMITS, max_instances=50)
    read = tuple(job(number, progress=JobProgress(0.0, 600.0)) for number in range(100))  # 20 s each
    observed = seen(NOW, queued=read, messages=500)
    assert actions(observed, limits=limits) == [Launch(4, "spot", IMAGE, 4)]
    assert actions(replace(observed, is_cut=True), limits=limits) == [Launch(17, "spot", IMAGE, 17)]


def test_one_request_asks_for_no_more_than_ec2_gives_at_once() -> None:
    limits = replace(LIMITS, max_instances=1_000)
    hours = JobProgress(0.0, 10 * 3_600.0)
    many = tuple(job(number, progress=hours) for number in range(800))
    (launch,) = actions(seen(NOW, queued=many, messages=800), limits=limits)
    assert launch.count == 100


def test_instance_that_stays_deaf_while_a_job_waits_is_no_capacity() -> None:
    waiting = seen(NOW, queued=(job(status_at=NOW - 400),), instances=(machine(launched_at=NOW - 400),), messages=1)
    assert actions(waiting, Memory(idle_since={"i-0": NOW - 301})) == [SPOT_ONE], "a boot that failed"
    assert actions(waiting, Memory(idle_since={"i-0": NOW - 299})) == [], "it may still be starting"
    fresh = seen(NOW, queued=(job(status_at=NOW - 5),), instances=(machine(),), messages=1)
    assert actions(fresh, Memory(idle_since={"i-0": NOW - 301})) == [], "it was waiting for just this job"
