"""What a job cost: the seconds of instances that it is to blame for, at the price they were launched at.

An instance is billed from its launch to its end. Its jobs share that time out among them without gap or overlap: each
pays for its own work; the first one for the boot before it, each further one for the wait (linger) before it, and the
last one for the wait after it. Attempts add up, whatever became of them. What is not in it: disks (about as much as the
address), storage, requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avskrift.jobs.prices import MIN_BILLED_S, PUBLIC_IPV4_USD_PER_H, TABLE_SOURCE, instance_usd_per_hour

_USD_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Price:
    """What one instance costs an hour, without its address. ``price_from`` says how that is known."""

    instance_type: str
    market: str
    """``spot`` or ``on-demand``."""
    price_from: str
    usd_per_hour: float


def table_price(instance_type: str, market: str) -> Price:
    """The price of an instance that nobody noted one of."""
    return Price(instance_type, market, TABLE_SOURCE, instance_usd_per_hour(instance_type, market))


@dataclass(frozen=True, slots=True)
class Seconds:
    """Billed seconds of one instance, by what they went to."""

    work_s: float = 0.0
    boot_s: float = 0.0
    linger_s: float = 0.0

    @property
    def billed_s(self) -> float:
        return self.work_s + self.boot_s + self.linger_s


def cost_of(seconds: Seconds, price: Price, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``seconds`` at ``price`` on top of what a job had cost ``before``, as the record holds it.

    ``usd`` includes ``ipv4_usd``; ``by_market`` splits it by who sold the instance.
    """
    hours = seconds.billed_s / 3_600
    ipv4_usd = PUBLIC_IPV4_USD_PER_H * hours
    usd = price.usd_per_hour * hours + ipv4_usd
    before = before or {}
    added = {
        "usd": usd,
        "ipv4_usd": ipv4_usd,
        "billed_s": seconds.billed_s,
        "work_s": seconds.work_s,
        "boot_s": seconds.boot_s,
        "linger_s": seconds.linger_s,
    }
    totals = {name: number_of(before.get(name)) + value for name, value in added.items()}
    by_market = usd_by_market(before)
    by_market[price.market] = by_market.get(price.market, 0.0) + usd
    return {
        **{name: round(value, _USD_DIGITS if "usd" in name else 3) for name, value in totals.items()},
        "by_market": {market: round(value, _USD_DIGITS) for market, value in by_market.items()},
        "instance_type": price.instance_type,
        "market": price.market,
        "usd_per_hour": price.usd_per_hour,
        "price_from": price.price_from,
    }


def usd_by_market(cost: Mapping[str, Any] | None) -> dict[str, float]:
    """A stored cost by market; what somebody edited into nonsense counts nothing."""
    cost = cost or {}
    split = cost.get("by_market")
    if isinstance(split, Mapping):
        return {str(market): number_of(value) for market, value in split.items()}
    market, usd = cost.get("market"), number_of(cost.get("usd"))
    return {market: usd} if isinstance(market, str) and usd else {}


def number_of(value: Any) -> float:
    """A stored amount; what is none counts nothing."""
    is_amount = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if is_amount else 0.0


class Meter:
    """The billed life of one instance, as its jobs share it out. Times are UTC epoch seconds of one clock.

    What a job's row was told of is accounted for, and nothing else: the time of an attempt whose row could not be
    written goes to the next job as linger.
    """

    def __init__(self, launched_at: float) -> None:
        self._launched_at = launched_at
        self._accounted_until = launched_at
        self._claimed_at = launched_at
        self._waited = Seconds()
        self._has_told = False

    def claimed(self, at: float) -> None:
        """A job begins: the time since the last one ended, or since the launch, is its too."""
        waited_s = max(0.0, at - self._accounted_until)
        self._waited = Seconds(linger_s=waited_s) if self._has_told else Seconds(boot_s=waited_s)
        self._claimed_at = at

    def seconds(self, now: float) -> Seconds:
        """What the job claimed last has taken so far, in this attempt."""
        return Seconds(max(0.0, now - self._claimed_at), self._waited.boot_s, self._waited.linger_s)

    def told(self, until: float) -> None:
        """The job's row holds what it took until then."""
        self._accounted_until = max(self._accounted_until, until)
        self._has_told = True

    def tail(self, now: float) -> Seconds:
        """What is left when the instance ends: the wait after its last job, and the rest of the first minute."""
        end = max(now, self._launched_at + MIN_BILLED_S)
        return Seconds(linger_s=max(0.0, end - self._accounted_until))
