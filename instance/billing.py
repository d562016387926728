"""What this instance costs, put on the rows of its jobs while they are worked on, and once more when it ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from avskrift.errors import AvskriftError
from avskrift.jobs.cost import Meter, Price, cost_of, table_price
from avskrift.jobs.instance_prices import noted_price
from avskrift.jobs.measures import of_cost
from avskrift.jobs.metrics import BOOT
from avskrift.jobs.model import Job
from avskrift.jobs.table import StaleAttempt
from instance.faults import SDK_FAULTS, bounded, brief
from instance.log_context import about
from instance.services import Services

log = logging.getLogger(__name__)
PRICE_LIMIT_S = 2.0
PRICE_TRIES = 3
"""Jobs at whose begin the price is looked for: capacity notes it while the instance boots, or never."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the row of a job was told when this instance let go of it."""

    job: Job
    cost: dict[str, Any]


class Bill:
    """The jobs of one agent and what they cost. Nothing here is worth failing a job for: it never raises."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._meter = Meter(_launched_at(services))
        self._is_first = True
        self._noted: Price | None = None
        self._tries_left = PRICE_TRIES
        self._last: Told | None = None
        self._last_ended: Told | None = None

    def begin(self, job: Job) -> None:
        """This instance has just claimed ``job``."""
        self._meter.claimed(job.phases["claimed"])
        if self._is_first:
            self._services.measure({BOOT: self._meter.seconds(0.0).boot_s}, job)
        self._is_first = False
        if self._noted is None and self._tries_left:
            self._tries_left -= 1
            self._noted = self._look_up_price()

    def cost(self, job: Job, now: float) -> dict[str, Any]:
        """What ``job``, as it was claimed, has cost until ``now``: earlier attempts, and this one so far."""
        return cost_of(self._meter.seconds(now), self._price, job.cost)

    def told(self, until: float) -> None:
        """The job's row holds its cost until then."""
        self._meter.told(until)

    def let_go(self, job: Job, cost: dict[str, Any], at: float) -> None:
        """The same, and ``job`` is no longer this instance's: ended, or back in the queue."""
        self._meter.told(at)
        self._last = Told(job, cost)
        if job.is_terminal:
            self._last_ended = self._last

    def close(self, now: float) -> None:
        """The instance ends: its last job pays for the wait after it, unless it went on elsewhere."""
        seconds = self._meter.tail(now)
        if not seconds.billed_s:
            return
        for told in filter(None, (self._last, self._last_ended)):
            with about(told.job.job_id, told.job.attempt):
                if self._has_set(told, cost_of(seconds, self._price, told.cost)):
                    if told.job.is_terminal:
                        self._services.measure(of_cost(cost_of(seconds, self._price)), told.job)
                    return
        log.info("%.0f s of this instance went to no job", seconds.billed_s)

    def _has_set(self, told: Told, cost: dict[str, Any]) -> bool:
        table, job = self._services.table, told.job
        try:
            bounded(self._services.hand_back_s, lambda: table.set_cost(job.job_id, job.attempt, cost))
        except StaleAttempt:
            return False
        except (*SDK_FAULTS, AvskriftError, TimeoutError) as error:
            log.warning("job %s: its last cost could not be written: %s", job.job_id, brief(error))
            return False
        return True

    @property
    def _price(self) -> Price:
        identity = self._services.identity
        return self._noted or table_price(identity.instance_type, identity.market)

    def _look_up_price(self) -> Price | None:
        table, instance_id = self._services.table, self._services.identity.instance_id
        try:
            return bounded(PRICE_LIMIT_S, lambda: noted_price(table, instance_id))
        except (*SDK_FAULTS, TimeoutError) as error:
            log.warning("the price of this instance can't be read: %s", brief(error))
            return None


def _launched_at(services: Services) -> float:
    """EC2's word for it, unless this machine's clock makes nonsense of that: then from when the agent began."""
    launched_at, booted_at = services.identity.launched_at, services.booted_at
    is_sound = launched_at is not None and 0 <= booted_at - launched_at <= services.settings.max_life_s
    return launched_at if is_sound and launched_at is not None else booted_at
