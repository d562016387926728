"""The instances and fleets of this account, and how an instance's state may move.

Values are immutable and replaced under one lock, so any thread may hold what it was given. Who drives the states (the
instance shim) waits on :meth:`Ec2State.wait_for_change`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from avskrift.local.ec2.errors import instances_not_found

Market = Literal["spot", "on-demand"]
StateName = Literal["pending", "running", "shutting-down", "terminated", "stopped"]

STATE_CODES: dict[StateName, int] = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopped": 80,
}
_MAY_FOLLOW: dict[StateName, frozenset[StateName]] = {
    "pending": frozenset({"running", "shutting-down", "terminated", "stopped"}),
    "running": frozenset({"shutting-down", "terminated", "stopped"}),
    "shutting-down": frozenset({"terminated"}),
    "stopped": frozenset({"shutting-down", "terminated"}),
    "terminated": frozenset(),
}


@dataclass(frozen=True)
class StateReason:
    """Why an instance went, as ``DescribeInstances`` tells it."""

    code: str
    message: str


USER_SHUTDOWN = StateReason("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
INSTANCE_SHUTDOWN = StateReason(
    "Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
)
SPOT_TERMINATION = StateReason(
    "Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Instance terminated by the spot market"
)


@dataclass(frozen=True)
class LaunchSpec:
    """Everything that decides what one instance is, templates and AMI parameters resolved."""

    image_id: str
    instance_type: str
    subnet_id: str
    vpc_id: str
    zone: str
    user_data: str = ""
    """Base64, as the API carries it."""
    profile_arn: str = ""
    security_group_ids: tuple[str, ...] = ()
    shutdown_behavior: str = "stop"
    metadata_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Instance:
    instance_id: str
    spec: LaunchSpec
    market: Market
    private_ip: str
    reservation_id: str
    launched_at: datetime
    tags: Mapping[str, str]
    client_token: str = ""
    state: StateName = "pending"
    reason: StateReason | None = None
    changed_at: datetime | None = None
    """When it began to end."""


@dataclass(frozen=True)
class Fleet:
    fleet_id: str
    created_at: datetime
    request: Mapping[str, Any]
    """As it came."""
    answer: Mapping[str, Any]
    """``FleetId, Errors, Instances`` as they were answered."""
    tags: Mapping[str, str]


def new_id(prefix: str) -> str:
    """An id of AWS' long form."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def new_fleet_id() -> str:
    raw = secrets.token_hex(16)
    return f"fleet-{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


class Ec2State:
    """Instances, fleets and used client tokens; every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._instances: dict[str, Instance] = {}
        self._fleets: dict[str, Fleet] = {}
        self._revision = 0

    def add_instance(self, instance: Instance) -> None:
        with self._changed:
            self._instances[instance.instance_id] = instance
            self._announce()

    def add_fleet(self, fleet: Fleet) -> None:
        with self._changed:
            self._fleets[fleet.fleet_id] = fleet

    def instances(self) -> list[Instance]:
        """In the order of their launch, the terminated included."""
        with self._changed:
            return list(self._instances.values())

    def instance(self, instance_id: str) -> Instance:
        with self._changed:
            if instance_id not in self._instances:
                raise instances_not_found([instance_id])
            return self._instances[instance_id]

    def fleets(self) -> list[Fleet]:
        with self._changed:
            return list(self._fleets.values())

    def owns(self, resource_id: str) -> bool:
        with self._changed:
            return resource_id in self._instances or resource_id in self._fleets

    def move(self, instance_id: str, state: StateName, reason: StateReason | None = None) -> Instance:
        """Move an instance on and return it as it then is. A move that would lead back changes nothing."""
        with self._changed:
            instance = self.instance(instance_id)
            if state not in _MAY_FOLLOW[instance.state]:
                return instance
            moved = replace(instance, state=state, reason=instance.reason or reason)
            if state != "running" and moved.changed_at is None:
                moved = replace(moved, changed_at=datetime.now(UTC))
            self._instances[instance_id] = moved
            self._announce()
            return moved

    def retag(self, resource_id: str, add: Mapping[str, str], remove: frozenset[str] = frozenset()) -> None:
        """Add and remove tags of an owned instance or fleet."""
        with self._changed:
            store: dict[str, Any] = self._instances if resource_id in self._instances else self._fleets
            resource = store[resource_id]
            kept = {key: value for key, value in resource.tags.items() if key not in remove}
            store[resource_id] = replace(resource, tags=kept | dict(add))

    def wait_for_change(self, seen: int, timeout_s: float) -> int:
        """Block until an instance came or moved after revision ``seen``, or ``timeout_s``; the present revision."""
        with self._changed:
            self._changed.wait_for(lambda: self._revision != seen, timeout_s)
            return self._revision

    def wake(self) -> None:
        """Make every waiter look again (used on shutdown)."""
        with self._changed:
            self._announce()

    def _announce(self) -> None:
        self._revision += 1
        self._changed.notify_all()
