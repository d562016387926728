"""What jobs cost: an instance's billed life is shared out among its jobs without gap or overlap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from avskrift.jobs.cost import Meter, Price, Seconds, cost_of, table_price, usd_by_market
from avskrift.jobs.fleet_model import LaunchAnswer
from avskrift.jobs.instance_prices import SPOT_SOURCE, note_prices, noted_price
from avskrift.jobs.prices import PUBLIC_IPV4_USD_PER_H, TABLE_SOURCE

NOW = 1_700_000_000.0
SPOT = Price("g4dn.xlarge", "spot", SPOT_SOURCE, 0.36)
ON_DEMAND = Price("g5.xlarge", "on-demand", TABLE_SOURCE, 1.08)


def test_cost_says_what_was_paid_for_and_how_that_is_known() -> None:
    assert cost_of(Seconds(work_s=200.0, boot_s=60.0, linger_s=100.0), SPOT) == {
        "usd": 0.0365,
        "ipv4_usd": 0.0005,
        "billed_s": 360.0,
        "work_s": 200.0,
        "boot_s": 60.0,
        "linger_s": 100.0,
        "by_market": {"spot": 0.0365},
        "instance_type": "g4dn.xlarge",
        "market": "spot",
        "usd_per_hour": 0.36,
        "price_from": "spot price at launch",
    }


def test_attempts_add_up_each_at_its_own_price() -> None:
    first = cost_of(Seconds(work_s=100.0, boot_s=20.0), SPOT)
    both = cost_of(Seconds(work_s=300.0, linger_s=60.0), ON_DEMAND, first)
    assert (both["work_s"], both["boot_s"], both["linger_s"], both["billed_s"]) == (400.0, 20.0, 60.0, 480.0)
    assert both["usd"] == pytest.approx(120 * 0.365 / 3_600 + 360 * 1.085 / 3_600, abs=2e-6)
    assert both["by_market"] == {"spot": first["usd"], "on-demand": pytest.approx(360 * 1.085 / 3_600, abs=1e-6)}
    assert (both["market"], both["usd_per_hour"]) == ("on-demand", 1.08)


def test_cost_of_an_older_version_is_built_upon() -> None:
    older = {"usd": 0.5, "instance_type": "g4dn.xlarge", "market": "spot", "billed_s": 10.0}
    cost = cost_of(Seconds(work_s=3_600.0), ON_DEMAND, older)
    assert (cost["usd"], cost["billed_s"]) == (1.585, 3_610.0)
    assert cost["by_market"] == {"spot": 0.5, "on-demand": 1.085}


@pytest.mark.parametrize("nonsense", ["much", None, True, -1.0, float("nan"), [], {"usd": 1}])
def test_cost_edited_into_nonsense_counts_nothing(nonsense: Any) -> None:
    assert cost_of(Seconds(work_s=3_600.0), ON_DEMAND, {"usd": nonsense, "by_market": nonsense})["usd"] == 1.085
    assert sum(usd_by_market({"by_market": {"spot": nonsense}}).values()) == 0.0


def test_first_job_pays_the_boot_and_each_further_one_the_wait_before_it() -> None:
    meter = Meter(NOW)
    meter.claimed(NOW + 40)
    assert meter.seconds(NOW + 100) == Seconds(work_s=60.0, boot_s=40.0)
    meter.told(NOW + 100)
    meter.claimed(NOW + 115)
    assert meter.seconds(NOW + 120) == Seconds(work_s=5.0, linger_s=15.0)
    meter.told(NOW + 120)
    assert meter.tail(NOW + 150) == Seconds(linger_s=30.0)


def test_ec2_bills_a_minute_at_least() -> None:
    meter = Meter(NOW)
    meter.claimed(NOW + 10)
    meter.told(NOW + 20)
    assert meter.tail(NOW + 25) == Seconds(linger_s=40.0)


def test_attempt_that_could_tell_nobody_leaves_its_time_to_the_next_job() -> None:
    meter = Meter(NOW)
    meter.claimed(NOW + 40)
    meter.claimed(NOW + 70)
    assert meter.seconds(NOW + 80) == Seconds(work_s=10.0, boot_s=70.0)


@given(st.lists(st.tuples(*[st.floats(0, 5_000)] * 3, st.booleans()), max_size=8), st.floats(0, 5_000))
def test_jobs_of_an_instance_pay_its_whole_life(jobs: list[tuple[float, float, float, bool]], wait_s: float) -> None:
    """Each job: the wait before it, its work until its last beat and until its end, and whether the end was written."""
    meter, now, paid_s = Meter(NOW), NOW, 0.0
    for waited_s, before_beat_s, after_beat_s, has_ended in jobs:
        now += waited_s
        meter.claimed(now)
        now += before_beat_s
        told = meter.seconds(now)
        meter.told(now)
        now += after_beat_s
        if has_ended:
            told = meter.seconds(now)
            meter.told(now)
        paid_s += told.billed_s
    now += wait_s
    paid_s += meter.tail(now).billed_s
    assert paid_s == pytest.approx(max(60.0, now - NOW), abs=0.01)


class SpotMarket:
    """EC2 with a history of prices; counts what it is asked."""

    def __init__(self, *history: tuple[str, str, float, float], fault: Exception | None = None) -> None:
        self._history = history
        self._fault = fault
        self.requests: list[dict[str, Any]] = []

    def describe_spot_price_history(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self._fault:
            raise self._fault
        return {
            "SpotPriceHistory": [
                {
                    "InstanceType": kind,
                    "AvailabilityZone": zone,
                    "SpotPrice": f"{usd:.6f}",
                    "Timestamp": datetime.fromtimestamp(at, UTC),
                }
                for kind, zone, usd, at in self._history
            ]
        }


def launched(market: str = "spot", kind: str = "g4dn.xlarge") -> LaunchAnswer:
    zones = {"i-1": "eu-north-1a", "i-2": "eu-north-1b"}
    found = tuple({"instance_id": one, "instance_type": kind, "zone": zone} for one, zone in zones.items())
    return LaunchAnswer("l-1", market, 2, found)


def test_spot_price_is_that_of_type_and_zone_at_launch(deployment: Any) -> None:
    market: Any = SpotMarket(
        ("g4dn.xlarge", "eu-north-1a", 0.21, NOW - 10),
        ("g4dn.xlarge", "eu-north-1a", 0.19, NOW - 9_000),
        ("g4dn.xlarge", "eu-north-1b", 0.23, NOW - 50),
    )
    note_prices(deployment.table, market, launched(), NOW)
    assert noted_price(deployment.table, "i-1") == Price("g4dn.xlarge", "spot", SPOT_SOURCE, 0.21)
    assert noted_price(deployment.table, "i-2") == Price("g4dn.xlarge", "spot", SPOT_SOURCE, 0.23)
    (request,) = market.requests
    assert request["StartTime"] == datetime.fromtimestamp(NOW, UTC), "from now on: the price in effect, no history"


def test_zone_without_a_price_gets_the_tables(deployment: Any) -> None:
    market: Any = SpotMarket(("g4dn.xlarge", "eu-north-1a", 0.21, NOW - 10))
    note_prices(deployment.table, market, launched(), NOW)
    assert noted_price(deployment.table, "i-2") == Price("g4dn.xlarge", "spot", TABLE_SOURCE, 0.19)


def test_on_demand_asks_ec2_nothing(deployment: Any) -> None:
    market: Any = SpotMarket()
    note_prices(deployment.table, market, launched("on-demand", "g5.xlarge"), NOW)
    assert noted_price(deployment.table, "i-1") == Price("g5.xlarge", "on-demand", TABLE_SOURCE, 1.067)
    assert market.requests == []


def test_refused_price_is_said_after_the_tables_was_noted(deployment: Any) -> None:
    refusal = ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeSpotPriceHistory")
    market: Any = SpotMarket(fault=refusal)
    with pytest.raises(ClientError):
        note_prices(deployment.table, market, launched(), NOW)
    assert noted_price(deployment.table, "i-1") == table_price("g4dn.xlarge", "spot")


def test_notes_expire(deployment: Any) -> None:
    note_prices(deployment.table, deployment.client("ec2"), launched("on-demand"), NOW)
    assert deployment.table.get_values("instance#i-1")["expires_at"] == NOW + 7 * 86_400


@pytest.mark.parametrize(
    "change", [{"usd_per_hour": "dear"}, {"usd_per_hour": -1}, {"market": 7}, {"price_from": None}]
)
def test_note_that_makes_no_sense_is_none(deployment: Any, change: dict[str, Any]) -> None:
    note_prices(deployment.table, deployment.client("ec2"), launched("on-demand"), NOW)
    deployment.table.put_values({**deployment.table.get_values("instance#i-1"), **change})
    assert noted_price(deployment.table, "i-1") is None


def test_address_is_part_of_every_price() -> None:
    cost = cost_of(Seconds(work_s=3_600.0), Price("g4dn.xlarge", "spot", SPOT_SOURCE, 0.0))
    assert cost["usd"] == cost["ipv4_usd"] == PUBLIC_IPV4_USD_PER_H
