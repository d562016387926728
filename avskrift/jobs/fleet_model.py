"""What the fleet policy sees, remembers and says: plain values, so that it can be tested and simulated without AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from avskrift.jobs.model import Job

SPOT = "spot"
ON_DEMAND = "on-demand"


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """The limits a deployment sets."""

    max_instances: int
    target_drain_s: int
    lease_s: float
    no_capacity_after_s: float
    max_failures: int
    max_usd_per_day: float
    max_life_s: float
    idle_limit_s: float = 1_200.0
    """An instance that has owned no job for so long is ended: longer than any boot, model load and linger."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One of our instances that is pending or running."""

    instance_id: str
    instance_type: str
    market: str
    launched_at: float


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    outbox_id: str
    next_attempt_at: float
    job_id: str = ""
    """Empty where the row does not say."""


@dataclass(frozen=True)
class Memory:
    """What capacity remembers between passes, in one row; every mapping holds live or recent things only."""

    beats: Mapping[str, tuple[int, int, float]] = field(default_factory=dict)
    """job_id → (attempt, beat, when this clock first saw that pair)."""
    idle_since: Mapping[str, float] = field(default_factory=dict)
    """instance_id → since when this clock has seen it own no job."""
    suspects: Mapping[str, float] = field(default_factory=dict)
    """instance_id → when the reaper marked it; it is ended in a later pass."""
    leaving: Mapping[str, bool] = field(default_factory=dict)
    """instance_id → whether EC2 takes it back (else it was only advised to leave); it claims nothing more."""
    launched: Mapping[str, float] = field(default_factory=dict)
    """instance_id → when it was launched, while it may not be described yet."""
    deliveries: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """outbox_id → (its due time, when this clock first saw it due, when its delivery was last asked for)."""
    barren: Mapping[str, float] = field(default_factory=dict)
    """instance_id → when it was launched because none served, while no job was claimed since; one for each launch."""
    spot_failures: Mapping[str, float] = field(default_factory=dict)
    """launch_id, or instance_id → when spot lacked capacity, or took an instance before it had claimed a job; while
    that counts toward the breaker."""
    spot_paused_until: float = 0.0
    unserved_since: float = 0.0
    """Since when jobs have waited while no instance served them; 0 while one does, or none waits."""
    answers: tuple[dict[str, Any], ...] = ()
    """The audit lines of the last launches that did not bring all they should."""
    spend_day: str = ""
    spent_usd: float = 0.0
    metered_at: float = 0.0
    told: Mapping[str, float] = field(default_factory=dict)
    """Name of a gauge → what it was last said to be; one that was last said to be 0 is not in here."""
    cancelled: Mapping[str, float] = field(default_factory=dict)
    """job_id → when it was cancelled, of those that were counted of late."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Memory:
        """Read ``asdict``'s values back from the table, which keeps no tuples; raises on nonsense."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: _MEMORY_READERS[name](data[name]) for name in data if name in known})


def _times(value: Mapping[str, Any]) -> dict[str, float]:
    return {one: float(at) for one, at in value.items()}


def _sightings(value: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    return {one: (float(seen[0]), float(seen[1]), float(seen[2])) for one, seen in value.items()}


def _answer(line: Mapping[str, Any]) -> dict[str, Any]:
    errors = [{**error, "code": str(error["code"])} for error in line["errors"]]
    return {**line, "launch_id": str(line["launch_id"]), "errors": errors}


_MEMORY_READERS: dict[str, Callable[[Any], Any]] = {
    "beats": _sightings,
    "deliveries": _sightings,
    "leaving": lambda value: {one: bool(taken) for one, taken in value.items()},
    "answers": lambda value: tuple(_answer(line) for line in value),
    "spend_day": str,
    **dict.fromkeys(("idle_since", "suspects", "launched", "barren", "spot_failures", "told", "cancelled"), _times),
    **dict.fromkeys(("spot_paused_until", "unserved_since", "spent_usd", "metered_at"), float),
}


@dataclass(frozen=True)
class Observed:
    """The state of the world at ``now``."""

    now: float
    queued: tuple[Job, ...] = ()
    """Oldest first; at most as many as one pass looks at."""
    is_cut: bool = False
    """There are more queued jobs than one pass looks at."""
    running: tuple[Job, ...] = ()
    instances: tuple[Instance, ...] = ()
    ended: frozenset[str] = frozenset()
    """Ids of instances that are described as ended."""
    in_doubt: int = 0
    """Instances asked for in requests that have no answer yet: they may be there."""
    leaving: Mapping[str, bool] = field(default_factory=dict)
    """Instances that EC2 has just announced to take back (True) or advised to replace (False)."""
    recently_worked: frozenset[str] = frozenset()
    """Of the instances that look idle: those that ended a job within the idle limit."""
    messages: int = 0
    """Messages of the jobs queue: waiting, delayed and in flight."""
    deliveries: tuple[PendingDelivery, ...] = ()
    """Outbox entries that are due, the longest first; at most as many as one pass looks at."""
    image_id: str = ""
    """The machine image to launch; empty while the deployment has none."""


@dataclass(frozen=True, slots=True)
class Launch:
    count: int
    market: str
    image_id: str
    fallback: int = 0
    """How many of them may be bought on demand if spot lacks them: none for jobs that wait for spot."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """A running job whose beat stands still goes back to the queue."""

    job: Job
    interrupted: bool = False
    """EC2 took its instance: no failure of the job's."""


@dataclass(frozen=True, slots=True)
class Fail:
    job: Job
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Resend:
    """A queued job whose message got lost."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Redeliver:
    outbox_id: str
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Terminate:
    instance_id: str


Action = Launch | Requeue | Fail | Resend | Redeliver | Terminate


@dataclass(frozen=True)
class Decision:
    actions: tuple[Action, ...]
    memory: Memory
    notes: tuple[str, ...] = ()
    """Why nothing was launched, for the log."""
    is_over_budget: bool = False
    """Work waits that the daily limit forbids to launch for."""


@dataclass(frozen=True, slots=True)
class LaunchAnswer:
    """What a fleet request brought; ``instances`` and ``errors`` can both be filled.

    ``instances``: id, type and zone of each. ``errors``: EC2's code, with the type and zone it is about.
    """

    launch_id: str
    market: str
    wanted: int
    instances: tuple[dict[str, str], ...] = ()
    errors: tuple[dict[str, str], ...] = ()

    @property
    def instance_ids(self) -> tuple[str, ...]:
        return tuple(one["instance_id"] for one in self.instances)

    @property
    def missing(self) -> int:
        return max(0, self.wanted - len(self.instances))
