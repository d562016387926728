"""The state of a deployment is told while there is something to tell, and its end is told once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avskrift.jobs import metrics
from avskrift.jobs.fleet_model import Instance, Memory
from avskrift.jobs.gauges import gauges, is_barren, remembered, worth_telling
from avskrift.jobs.model import JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.policy import REAPER_GRACE_S
from tests.jobs.policy_world import LIMITS, NOW, job, machine, seen

LATER = JobOptions(deadline="2033-01-01T00:00:00+00:00")
EARLIER = JobOptions(deadline="2023-11-14T22:12:20+00:00")
"""A minute before ``NOW``."""


def told_by_name(values: dict[metrics.Metric, float]) -> dict[str, float]:
    return {metric.name: value for metric, value in values.items()}


def test_jobs_and_instances_are_told_by_kind() -> None:
    observed = seen(
        NOW,
        queued=(job(0), job(1)),
        running=(job(2, JobStatus.RUNNING),),
        instances=(machine(0), machine(1), machine(2, market="on-demand")),
    )
    values = told_by_name(dict(gauges(observed, Memory(spent_usd=1.5), LIMITS)))
    assert values == {
        "QueuedJobs": 2,
        "RunningJobs": 1,
        "OldestWait": 10,
        "SpotInstances": 2,
        "OnDemandInstances": 1,
        "OverdueInstances": 0,
        "SpentToday": 1.5,
    }


def test_an_instance_is_overdue_when_the_reaper_should_have_ended_it() -> None:
    longest_s = LIMITS.max_life_s + REAPER_GRACE_S
    young, old = (Instance(f"i-{age_s}", "g4dn.xlarge", "spot", NOW - age_s) for age_s in (longest_s, longest_s + 1))
    values = gauges(seen(NOW, instances=(young, old)), Memory(), LIMITS)
    assert values[metrics.OVERDUE_INSTANCES] == 1


def test_a_job_waits_by_its_own_wish_until_its_deadline() -> None:
    waiting = {
        "before": job(0, status_at=NOW - 500, options=LATER),
        "after": job(1, status_at=NOW - 500, options=EARLIER),
    }
    wait_s = {
        name: gauges(seen(NOW, queued=(one,)), Memory(), LIMITS)[metrics.OLDEST_WAIT] for name, one in waiting.items()
    }
    assert wait_s == {"before": 0, "after": 60}


def test_an_idle_deployment_has_nothing_to_tell() -> None:
    assert worth_telling(gauges(seen(NOW), Memory(), LIMITS), {}) == {}


def test_what_falls_to_nothing_is_told_once() -> None:
    busy = gauges(seen(NOW, queued=(job(),)), Memory(), LIMITS)
    idle = gauges(seen(NOW), Memory(), LIMITS)
    first = worth_telling(idle, remembered(busy))
    assert told_by_name(dict(first)) == {"QueuedJobs": 0, "OldestWait": 0}
    assert worth_telling(idle, remembered(idle)) == {}


def test_what_stays_as_it_is_is_told_while_there_is_work() -> None:
    values = gauges(seen(NOW, queued=(job(),)), Memory(spent_usd=2), LIMITS)
    assert told_by_name(dict(worth_telling(values, remembered(values)))) == {
        "QueuedJobs": 1,
        "OldestWait": 10,
        "SpentToday": 2,
    }


def test_what_was_spent_is_not_repeated_all_day_and_the_new_day_is_told() -> None:
    evening, midnight = (gauges(seen(NOW), Memory(spent_usd=usd), LIMITS) for usd in (2.0, 0.0))
    assert worth_telling(evening, remembered(evening)) == {}
    assert worth_telling(midnight, remembered(evening)) == {metrics.SPENT_TODAY: 0.0}


@pytest.mark.parametrize(
    ("why", "observed", "memory", "expected"),
    [
        ("nobody waits", seen(NOW), Memory(), False),
        ("nothing came", seen(NOW, queued=(job(),)), Memory(), True),
        ("one was launched", seen(NOW, queued=(job(),)), Memory(launched={"i-0": NOW}), False),
        ("one serves", seen(NOW, queued=(job(),), instances=(machine(),)), Memory(), False),
        (
            "the only one leaves",
            seen(NOW, queued=(job(),), instances=(machine(),)),
            Memory(leaving={"i-0": True}),
            True,
        ),
        ("it waits for spot", seen(NOW, queued=(job(options=LATER),)), Memory(), False),
        ("the day's money is spent", seen(NOW, queued=(job(),)), Memory(spent_usd=LIMITS.max_usd_per_day), False),
        ("there is no image", replace(seen(NOW, queued=(job(),)), image_id=""), Memory(), True),
    ],
)
def test_a_pass_is_barren_when_jobs_in_a_hurry_are_left_without(
    why: str, observed: object, memory: Memory, expected: bool
) -> None:
    assert is_barren(observed, memory, LIMITS) is expected, why  # type: ignore[arg-type]
