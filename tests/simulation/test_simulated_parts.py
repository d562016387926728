"""The parts of the simulated world, each by itself."""

from __future__ import annotations

import math
import random
import xml.dom.minidom
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from bench.simulation.assumptions import Machines
from bench.simulation.ec2 import Ec2, Throttled, billed
from bench.simulation.loop import Loop
from bench.simulation.measure import percentile
from bench.simulation.plot import plot
from bench.simulation.queue import JobsQueue, Message
from bench.simulation.scenario import BURST_AT_S, BURST_S, DAY_S, START, arrival_times
from bench.simulation.table import Refused, Row, Table
from tests.simulation.worlds import scenario_of

NOW = START


def job(**changes: Any) -> Job:
    plain = Job(
        job_id="a",
        status=JobStatus.QUEUED,
        bucket="b",
        key="uploads/a",
        version_id="v",
        size_bytes=1,
        options=JobOptions(),
        status_at=NOW,
        expires_at=0,
    )
    return replace(plain, **changes)


def ec2(loop: Loop, **changes: Any) -> Ec2:
    return Ec2(loop, random.Random(1), replace(Machines(), **changes), vcpu_quota=100_000)


# --- events ---


def test_events_happen_in_order_of_time_then_of_asking() -> None:
    loop, seen = Loop(0.0), []
    for when, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
        loop.at(when, seen.append, name)
    loop.run(until=10)
    assert seen == ["a", "b", "c"]


def test_nothing_happens_in_the_past() -> None:
    loop, seen = Loop(100.0), []
    loop.at(5.0, lambda: seen.append(loop.now))
    loop.run(until=200)
    assert seen == [100.0]


# --- arithmetic ---


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    naive = min(one for one in values if sum(other <= one for other in values) >= share * len(values))
    assert percentile(sorted(values), share) == naive


def test_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(("lived_s", "billed_s"), [(0.5, 60.0), (59.9, 60.0), (60.0, 60.0), (61.5, 61.5)])
def test_a_minute_is_billed_at_least(lived_s: float, billed_s: float) -> None:
    assert billed(lived_s) == billed_s


# --- EC2 ---


def test_an_instance_costs_its_market_by_the_second_once() -> None:
    loop = Loop(NOW)
    cloud = ec2(loop)
    (instance,) = cloud.create_fleet(1, "on-demand").instances
    loop.at(NOW + 3_600, cloud.end, instance.instance_id)
    loop.at(NOW + 7_200, cloud.end, instance.instance_id)
    loop.run(until=NOW + 8_000)
    assert cloud.bill.usd == pytest.approx(0.558 + 0.005)
    assert cloud.bill.seconds == {"spot": 0.0, "on-demand": 3_600.0}


def test_launches_take_tokens_that_come_back_two_a_second() -> None:
    loop = Loop(NOW)
    cloud = ec2(loop)
    cloud.create_fleet(1_000, "spot")
    with pytest.raises(Throttled):
        cloud.create_fleet(1, "spot")
    loop.at(NOW + 1, lambda: None)
    loop.run(until=NOW + 1)
    assert len(cloud.create_fleet(2, "spot").instances) == 2


def test_a_zone_without_spot_is_named_and_the_others_serve() -> None:
    cloud = ec2(Loop(NOW), spot_depth=2)
    cloud.run_out("spot", [0], ["g4dn.xlarge"], until=NOW + 60)
    answer = cloud.create_fleet(2, "spot")
    assert {one.zone for one in answer.instances} == {1, 2}
    assert answer.errors[0]["code"] == "InsufficientInstanceCapacity"
    assert (answer.errors[0]["instance_type"], answer.errors[0]["zone"]) == ("g4dn.xlarge", "eu-north-1a")


def test_beyond_the_quota_each_market_says_so_in_its_own_word() -> None:
    cloud = Ec2(Loop(NOW), random.Random(1), Machines(), vcpu_quota=4)
    assert len(cloud.create_fleet(2, "spot").instances) == 1
    assert len(cloud.create_fleet(2, "on-demand").instances) == 1
    assert set(cloud.refused) == {"MaxSpotInstanceCountExceeded", "VcpuLimitExceeded"}


def test_a_new_instance_is_described_after_a_while() -> None:
    loop = Loop(NOW)
    cloud = ec2(loop, describe_lag_s=10.0)
    cloud.create_fleet(5, "spot")
    assert len(cloud.describe()) < 5
    loop.at(NOW + 10, lambda: None)
    loop.run(until=NOW + 10)
    assert len(cloud.describe()) == 5


# --- table and queue ---


def test_beats_are_counted_when_somebody_looks() -> None:
    row = Row(job(), NOW, audio_s=60.0)
    row.begin_beats(NOW, heartbeat_s=15.0)
    assert row.seen(NOW + 14).beat == 0
    assert row.seen(NOW + 31).beat == 2
    row.fall_silent(NOW + 50)
    assert row.seen(NOW + 500).beat == 3
    assert row.beat_at == NOW + 45


def test_a_stale_attempt_changes_nothing() -> None:
    table = Table(Loop(NOW), index_lag_s=0.0)
    table.create(Row(job(), NOW, audio_s=60.0))
    first = table.claim("a", "i-1", 15.0)
    assert first is not None
    stale = first.job
    table.requeue(stale, failed=True)
    assert table.claim("a", "i-2", 15.0) is not None
    for write in (table.requeue, lambda one: table.finish(one, JobStatus.COMPLETED)):
        with pytest.raises(Refused):
            write(stale)


def test_a_message_comes_again_when_its_receiver_fell_silent() -> None:
    loop = Loop(NOW)
    queue = JobsQueue(loop, random.Random(1), count_lag_s=0.0, lost=0.0)
    taken: list[Message] = []
    queue.send("a")
    queue.receive(lambda message: not taken.append(message))
    queue.give_back(taken[0], after_s=90)
    queue.receive(lambda message: not taken.append(message))
    loop.run(until=NOW + 100)
    assert [message.job_id for message in taken] == ["a", "a"]
    queue.delete(taken[1])
    assert queue.approximate_count() == 0


def test_an_extended_message_stays_with_its_receiver() -> None:
    loop = Loop(NOW)
    queue = JobsQueue(loop, random.Random(1), count_lag_s=0.0, lost=0.0)
    taken: list[Message] = []
    queue.send("a")
    queue.receive(lambda message: not taken.append(message))
    queue.give_back(taken[0], after_s=90)
    queue.extend(taken[0])
    queue.receive(lambda message: not taken.append(message))
    loop.run(until=NOW + 100)
    assert len(taken) == 1


# --- arrivals ---


@pytest.mark.parametrize("arrivals", ["steady", "diurnal", "burst"])
def test_every_upload_comes_on_its_day_in_order(arrivals: str) -> None:
    times = arrival_times(scenario_of(500, arrivals=arrivals, days=2), random.Random(1))
    assert len(times) == 1_000
    assert times == sorted(times)
    assert sum(at < START + DAY_S for at in times) == 500


def test_a_burst_is_a_third_of_the_day_within_minutes() -> None:
    times = arrival_times(scenario_of(10_000, arrivals="burst"), random.Random(1))
    in_burst = sum(START + BURST_AT_S <= at < START + BURST_AT_S + BURST_S for at in times)
    assert 2_800 < in_burst < 3_300


def test_a_day_has_a_busy_and_a_quiet_half() -> None:
    times = arrival_times(scenario_of(10_000, arrivals="diurnal"), random.Random(1))
    by_day = sum(7 * 3_600 <= at - START < 19 * 3_600 for at in times)
    assert by_day > 7_000


# --- plot ---


def test_plot_is_an_svg_with_a_line_for_each_fleet() -> None:
    runs = [
        {
            "uploads_per_day": count,
            "fleet": fleet,
            "latency_s": {"p50": 60.0 * count, "p95": 90.0 * count},
            "usd_per_audio_h": 0.01,
        }
        for count in (100, 1_000)
        for fleet in ("draining", "one-shot")
    ]
    document = xml.dom.minidom.parseString(plot(runs))
    assert document.documentElement.tagName == "svg"
    assert len(document.getElementsByTagName("polyline")) == 6
