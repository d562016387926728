"""EC2: pools of capacity by market, type and zone, a token bucket, quotas, and the bill."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from avskrift.jobs.prices import MIN_BILLED_S, ON_DEMAND_USD_PER_H, SPOT_USD_PER_H, usd_per_hour
from bench.simulation.assumptions import EC2_TOKENS, EC2_TOKENS_PER_S, VCPUS_PER_INSTANCE, Machines
from bench.simulation.loop import Loop

SPOT = "spot"
ON_DEMAND = "on-demand"
PRICES = {SPOT: SPOT_USD_PER_H, ON_DEMAND: ON_DEMAND_USD_PER_H}
OVER_QUOTA = {SPOT: "MaxSpotInstanceCountExceeded", ON_DEMAND: "VcpuLimitExceeded"}
ENDED_SHOWN_S = 120.0
"""How long an ended instance stays described; EC2 shows it for about an hour."""


class Throttled(Exception):
    """``RequestLimitExceeded``: no token left."""


class NoAnswer(Exception):
    """The request was carried out, and the connection broke."""


class Instance:
    """A machine that is pending or running, until ``ended_at``."""

    __slots__ = ("ended_at", "instance_id", "instance_type", "launched_at", "market", "notice_at", "seen_from", "zone")

    def __init__(self, instance_id: str, pool: tuple[str, str, int], launched_at: float, seen_from: float) -> None:
        self.instance_id = instance_id
        self.market, self.instance_type, self.zone = pool
        self.launched_at = launched_at
        self.seen_from = seen_from
        self.ended_at: float | None = None
        self.notice_at: float | None = None


@dataclass(frozen=True)
class FleetAnswer:
    """What CreateFleet says with status 200."""

    instances: tuple[Instance, ...]
    errors: tuple[dict[str, str], ...]


def zone_name(zone: int) -> str:
    return f"eu-north-1{chr(ord('a') + zone)}"


class Bill:
    """Seconds and dollars, by market: a second's precision, a minute at least."""

    def __init__(self) -> None:
        self.usd = 0.0
        self.seconds = {SPOT: 0.0, ON_DEMAND: 0.0}

    def add(self, instance_type: str, market: str, seconds: float) -> None:
        billed_s = billed(seconds)
        self.seconds[market] += billed_s
        self.usd += usd_per_hour(instance_type, market) * billed_s / 3_600


def billed(seconds: float) -> float:
    """Seconds that EC2 bills for a life of ``seconds``."""
    return max(float(MIN_BILLED_S), seconds)


class TokenBucket:
    """``size`` tokens, so many back each second."""

    def __init__(self, loop: Loop, size: float, per_s: float) -> None:
        self.lowest = size
        self._loop = loop
        self._size = size
        self._per_s = per_s
        self._level = size
        self._filled_at = loop.now

    def take(self, count: float) -> bool:
        now = self._loop.now
        self._level = min(self._size, self._level + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._level < count:
            return False
        self._level -= count
        self.lowest = min(self.lowest, self._level)
        return True


class Ec2:
    """The account's machines. ``on_launch`` hears of each new one, ``on_notice`` of each that will be taken."""

    def __init__(self, loop: Loop, rng: random.Random, machines: Machines, vcpu_quota: int) -> None:
        self.alive: dict[str, Instance] = {}
        self.bill = Bill()
        self.tokens = TokenBucket(loop, EC2_TOKENS, EC2_TOKENS_PER_S)
        self.launched = self.requests = self.throttled = self.peak_alive = 0
        self.refused: dict[str, int] = {}
        self.on_launch: Callable[[Instance], None] = lambda _: None
        self.on_notice: Callable[[Instance], None] = lambda _: None
        self.on_end: Callable[[Instance], None] = lambda _: None
        self._out_until: dict[tuple[str, str, int], float] = {}
        self._loop = loop
        self._rng = rng
        self._machines = machines
        self._quota = vcpu_quota
        self._in_pool: dict[tuple[str, str, int], int] = {}
        self._ended: deque[Instance] = deque()

    def create_fleet(self, count: int, market: str) -> FleetAnswer:
        """As many as can be had, cheapest type first, zones evenly; ``Throttled`` when tokens lack.

        All tokens or nothing; a request for more than the bucket holds takes a full bucket.
        """
        self.requests += 1
        if not self.tokens.take(min(count, EC2_TOKENS)):
            self.throttled += 1
            raise Throttled
        errors: list[dict[str, str]] = []
        instances: list[Instance] = []
        for kind in sorted(PRICES[market], key=PRICES[market].__getitem__):
            pools = [(market, kind, zone) for zone in range(self._machines.zones)]
            rooms = {pool: self._room(pool, errors) for pool in pools}
            while len(instances) < count and any(rooms.values()) and self._quota_left(market):
                pool = min((one for one, room in rooms.items() if room), key=lambda one: self._in_pool.get(one, 0))
                rooms[pool] -= 1
                instances.append(self._start(pool))
            if len(instances) == count:
                break
        for error in errors:
            self.refused[error["code"]] = self.refused.get(error["code"], 0) + 1
        return FleetAnswer(tuple(instances), tuple(errors))

    def describe(self) -> list[Instance]:
        """Pending and running, as far as EC2 tells yet."""
        now = self._loop.now
        return [one for one in self.alive.values() if one.seen_from <= now]

    def ended_ids(self) -> frozenset[str]:
        while self._ended and self._loop.now - (self._ended[0].ended_at or 0.0) > ENDED_SHOWN_S:
            self._ended.popleft()
        return frozenset(one.instance_id for one in self._ended)

    def end(self, instance_id: str) -> None:
        """Terminate or power off; ending what has ended changes nothing."""
        instance = self.alive.pop(instance_id, None)
        if instance is None:
            return
        instance.ended_at = self._loop.now
        self._ended.append(instance)
        self._in_pool[(instance.market, instance.instance_type, instance.zone)] -= 1
        self.bill.add(instance.instance_type, instance.market, self._loop.now - instance.launched_at)
        self.on_end(instance)

    def run_out(self, market: str, zones: Iterable[int], kinds: Iterable[str], until: float) -> None:
        """These pools give nothing until then."""
        for pool in ((market, kind, zone) for kind in kinds for zone in zones):
            self._out_until[pool] = max(until, self._out_until.get(pool, 0.0))

    def give_notice(self, instance: Instance) -> None:
        """A spot instance will be taken, and is told so."""
        if instance.instance_id in self.alive and instance.notice_at is None:
            instance.notice_at = self._loop.now
            self.on_notice(instance)
            self._loop.after(self._machines.notice_s, self.end, instance.instance_id)

    def vcpus(self, market: str) -> int:
        return VCPUS_PER_INSTANCE * sum(n for pool, n in self._in_pool.items() if pool[0] == market)

    def _quota_left(self, market: str) -> int:
        """Instances that the account may still run of a market."""
        return (self._quota - self.vcpus(market)) // VCPUS_PER_INSTANCE

    def _room(self, pool: tuple[str, str, int], errors: list[dict[str, str]]) -> int:
        """Instances that a pool has to give; why none goes to ``errors``."""
        market, instance_type, zone = pool
        depth = self._machines.spot_depth if market == SPOT else self._machines.on_demand_depth
        is_out = self._loop.now < self._out_until.get(pool, 0.0)
        left = 0 if is_out else max(0, depth - self._in_pool.get(pool, 0))
        if self._quota_left(market) <= 0:
            code, left = OVER_QUOTA[market], 0
        else:
            code = "InsufficientInstanceCapacity"
        if not left:
            errors.append({"code": code, "instance_type": instance_type, "zone": zone_name(zone)})
        return left

    def _start(self, pool: tuple[str, str, int]) -> Instance:
        now = self._loop.now
        self.launched += 1
        lag_s = self._rng.random() * self._machines.describe_lag_s
        instance = Instance(f"i-{self.launched:017d}", pool, now, now + lag_s)
        self.alive[instance.instance_id] = instance
        self._in_pool[pool] = self._in_pool.get(pool, 0) + 1
        self.peak_alive = max(self.peak_alive, len(self.alive))
        self.on_launch(instance)
        return instance
