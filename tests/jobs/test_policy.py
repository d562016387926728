"""The fleet policy: what it wants from what it sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from avskrift.jobs.model import Job, JobProgress, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.policy import (
    Fail,
    FleetSettings,
    Instance,
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

NOW = 1_700_000_000.0
IMAGE = "ami-0123456789abcdef0"
LIMITS = FleetSettings(
    max_instances=5,
    target_drain_s=600,
    lease_s=90,
    no_capacity_after_s=7_200,
    max_failures=3,
    max_usd_per_day=50,
    max_life_s=21_600,
)


def seen(now: float, **changes: Any) -> Observed:
    return Observed(now, **{"image_id": IMAGE, **changes})


def job(number: int = 0, status: JobStatus = JobStatus.QUEUED, **changes: Any) -> Job:
    values = {
        "job_id": f"job{number}",
        "status": status,
        "bucket": "b",
        "key": "uploads/a",
        "version_id": "v",
        "size_bytes": 1_000_000,
        "options": JobOptions(),
        "status_at": NOW - 10,
        "expires_at": 0,
        **changes,
    }
    return Job(**values)


def machine(number: int = 0, launched_at: float = NOW - 60, market: str = "spot") -> Instance:
    return Instance(f"i-{number}", "g4dn.xlarge", market, launched_at)


def actions(observed: Observed, memory: Memory | None = None, limits: FleetSettings = LIMITS) -> list[Any]:
    return list(decide(observed, memory or Memory(), limits).actions)


def test_nothing_runs_when_nothing_is_uploaded() -> None:
    assert actions(seen(NOW)) == []


def test_one_queued_job_wants_one_spot_instance() -> None:
    assert actions(seen(NOW, queued=(job(),), messages=1)) == [Launch(1, "spot", IMAGE)]


def test_a_live_instance_takes_the_job() -> None:
    assert actions(seen(NOW, queued=(job(),), instances=(machine(),), messages=1)) == []


def test_fleet_grows_with_the_work_up_to_its_limit() -> None:
    hour = JobProgress(0.0, 10 * 3_600.0)  # 1,200 s of an instance each
    jobs = tuple(job(number, progress=hour) for number in range(2))
    assert actions(seen(NOW, queued=jobs, messages=2)) == [Launch(2, "spot", IMAGE)], "one for each job at most"
    many = tuple(job(number, progress=hour) for number in range(100))
    assert actions(seen(NOW, queued=many, messages=100)) == [Launch(5, "spot", IMAGE)]


def test_paused_spot_means_on_demand() -> None:
    observed = seen(NOW, queued=(job(),), messages=1)
    assert actions(observed, Memory(spot_paused_until=NOW + 1)) == [Launch(1, "on-demand", IMAGE)]
    assert actions(observed, Memory(spot_paused_until=NOW)) == [Launch(1, "spot", IMAGE)]


def test_second_spot_failure_within_the_window_pauses_spot() -> None:
    once = after_spot_failure(Memory(), NOW)
    assert once.spot_paused_until == 0
    assert after_spot_failure(once, NOW + 901).spot_paused_until == 0
    assert after_spot_failure(once, NOW + 899).spot_paused_until == NOW + 899 + 1_800


def test_daily_limit_stops_launches_until_the_next_day() -> None:
    spent = Memory(spend_day="2023-11-14", spent_usd=50.0, metered_at=NOW)
    decision = decide(seen(NOW, queued=(job(),), messages=1), spent, LIMITS)
    assert decision.actions == ()
    assert "daily limit" in decision.notes[0]
    tomorrow = NOW + 86_400
    fresh = job(status_at=tomorrow)
    assert actions(seen(tomorrow, queued=(fresh,), messages=1), spent) == [Launch(1, "spot", IMAGE)]


def test_spend_is_metered_while_instances_live() -> None:
    memory = decide(seen(NOW, instances=(machine(market="on-demand"),)), Memory(), LIMITS).memory
    memory = decide(seen(NOW + 360, instances=(machine(market="on-demand"),)), memory, LIMITS).memory
    assert memory.spent_usd == round((0.558 + 0.005) / 10, 6)


def test_beat_that_stands_still_for_the_lease_requeues_the_job() -> None:
    silent = job(status=JobStatus.RUNNING, attempt=1, beat=7)
    memory = decide(seen(NOW, running=(silent,)), Memory(), LIMITS).memory
    assert actions(seen(NOW + 89, running=(silent,)), memory) == []
    after_lease = actions(seen(NOW + 90, running=(silent,)), memory)
    assert after_lease == [Launch(1, "spot", IMAGE), Requeue(silent)], (
        "its next instance is not put off to a later pass"
    )
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


def test_job_without_capacity_ends_visibly() -> None:
    old = job(status_at=NOW - 7_201)
    decided = actions(seen(NOW, queued=(old,), messages=1))
    assert [(action.job, action.code) for action in decided] == [(old, "no_capacity")]


def test_job_with_a_deadline_waits_for_capacity() -> None:
    patient = job(status_at=NOW - 7_201, options=JobOptions(deadline="2023-11-15T06:00:00+01:00"))
    assert actions(seen(NOW, queued=(patient,), messages=1)) == [Launch(1, "spot", IMAGE)]


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


def test_delivery_that_nobody_holds_is_asked_for_once_in_a_while() -> None:
    late, held = PendingDelivery("msg_late", NOW - 61), PendingDelivery("msg_held", NOW + 5)
    first = decide(seen(NOW, deliveries=(late, held)), Memory(), LIMITS)
    assert first.actions == (Redeliver("msg_late"),)
    assert actions(seen(NOW + 60, deliveries=(late,)), first.memory) == []
    assert actions(seen(NOW + 901, deliveries=(late,)), first.memory) == [Redeliver("msg_late")]


def test_instance_counts_before_ec2_describes_it() -> None:
    waiting = seen(NOW, queued=(job(),), messages=1)
    memory = after_launch(Memory(), waiting, ["i-new"])
    assert actions(seen(NOW + 5, queued=(job(),), messages=1), memory) == []
    assert actions(seen(NOW + 16, queued=(job(),), messages=1), memory) == [Launch(1, "spot", IMAGE)], "it is gone"
    ended = seen(NOW + 5, queued=(job(),), messages=1, ended=frozenset({"i-new"}))
    assert actions(ended, memory) == [Launch(1, "spot", IMAGE)], "it has ended, and says so"


def test_image_that_never_claims_a_job_stops_being_launched() -> None:
    memory = Memory()
    for minute in range(5):
        waiting = seen(NOW + 60 * minute, queued=(job(),), messages=1)
        decision = decide(waiting, memory, LIMITS)
        assert decision.actions == (Launch(1, "spot", IMAGE),)
        memory = after_launch(decision.memory, waiting, [f"i-{minute}"])
    (fail,) = actions(seen(NOW + 300, queued=(job(),), messages=1), memory)
    assert (fail.code, "mend the image" in fail.message) == ("internal", True)
    fresh = job(1, status_at=NOW + 299)
    assert actions(seen(NOW + 300, queued=(fresh,), messages=1), memory) == [Launch(1, "spot", IMAGE)], "not its fault"


def test_short_lives_of_a_sound_fleet_are_held_against_no_job() -> None:
    """Each upload finds an empty deployment and is done before the next: no pass ever sees a job at work."""
    memory = Memory()
    for upload in range(20):
        now = NOW + 4 * upload
        waiting = seen(now, queued=(job(upload, status_at=now),), messages=1, ended=frozenset({f"i-{upload - 1}"}))
        decision = decide(waiting, memory, LIMITS)
        assert decision.actions == (Launch(1, "spot", IMAGE),)
        memory = after_launch(decision.memory, waiting, [f"i-{upload}"])


def test_job_that_waited_for_money_is_told_so() -> None:
    spent = Memory(spend_day="2023-11-14", spent_usd=50.0, metered_at=NOW)
    (fail,) = actions(seen(NOW, queued=(job(status_at=NOW - 7_201),), messages=1), spent)
    assert (fail.code, "max_usd_per_day" in fail.message) == ("no_capacity", True)


def test_running_instances_serve_the_queue_even_without_an_image() -> None:
    assert actions(seen(NOW, queued=(job(),), messages=1, instances=(machine(),), image_id="")) == []


def test_overdue_instance_is_marked_first_and_ended_next_time() -> None:
    overdue = machine(launched_at=NOW - 21_600 - 301)
    first = decide(seen(NOW, instances=(overdue,)), Memory(), LIMITS)
    assert first.actions == ()
    assert actions(seen(NOW + 60, instances=(overdue,)), first.memory) == [Terminate("i-0")]


jobs = st.builds(
    lambda number, size, age: job(number, size_bytes=size, status_at=NOW - age),
    st.integers(0, 1_000),
    st.integers(0, 10**11),
    st.floats(0, 10_000),
)


@given(queued=st.lists(jobs, max_size=30), live=st.integers(0, 8))
def test_fleet_never_exceeds_its_limit_and_work_never_waits_alone(queued: list[Job], live: int) -> None:
    observed = seen(NOW, queued=tuple(queued), instances=tuple(map(machine, range(live))), messages=len(queued))
    decided = actions(observed)
    launched = sum(action.count for action in decided if isinstance(action, Launch))
    ended = {action.job.job_id for action in decided if isinstance(action, Fail)}
    assert launched == 0 or live + launched <= LIMITS.max_instances
    assert live + launched > 0 or all(one.job_id in ended for one in queued)
