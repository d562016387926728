"""Faults on order, in the shape that AWS gives them.

A capacity failure of an instant fleet is HTTP 200 with ``Errors``; exceptions are for throttling, auth and 5xx.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from avskrift.local.ec2.errors import Ec2Error
from avskrift.local.ec2.state import LaunchSpec

_MESSAGES = {
    "InsufficientInstanceCapacity": (
        "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone}). "
        "Our system will be working on provisioning additional capacity."
    ),
    "UnfulfillableCapacity": "Unable to fulfill capacity due to your request configuration. Please adjust your request "
    "and try again.",
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "VcpuLimitExceeded": (
        "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that "
        "the specified instance type belongs to."
    ),
    "InsufficientFreeAddressesInSubnet": (
        "There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of instances."
    ),
    "InvalidFleetConfiguration": "Your requested instance type ({instance_type}) is not supported in your requested "
    "Availability Zone ({zone}).",
    "RequestLimitExceeded": "Request limit exceeded.",
    "InternalError": "An internal error has occurred",
    "Unavailable": "The service is unavailable. Please try again shortly.",
    "UnauthorizedOperation": "You are not authorized to perform this operation.",
}


@dataclass(frozen=True)
class Fault:
    """One ordered failure of the next answers of an action."""

    code: str = ""
    """As EC2 names it; empty: nothing is wrong but the way of the answer (``delay_s``, ``answer_lost``)."""
    message: str = ""
    """Empty: what AWS says with this code. ``{instance_type}``, ``{zone}`` and ``{subnet_id}`` are filled in."""
    action: str = "CreateFleet"
    times: int = 1
    """How many answers fail."""
    http_status: int | None = None
    """An exception with this status; None: HTTP 200 with ``Errors`` (CreateFleet only)."""
    market: str | None = None
    """Only ``spot`` or ``on-demand`` requests; None: both."""
    instance_types: tuple[str, ...] = ()
    """Only these types; empty: all."""
    zones: tuple[str, ...] = ()
    """Only these availability zones; empty: all."""
    fulfilled: int = 0
    """How many instances are launched in spite of it: a partial fleet."""
    delay_s: float = 0.0
    """How long the call waits before anything is done."""
    answer_lost: bool = False
    """The action is performed, then the connection breaks instead of an answer, or ``http_status`` is one."""

    def __post_init__(self) -> None:
        if self.is_of_the_way and self.code:
            raise ValueError("A fault that delays or loses the answer has no code: order two faults.")
        if not self.is_of_the_way and not self.code:
            raise ValueError("A fault needs a code, a delay_s or answer_lost.")
        if self.http_status is None and self.action != "CreateFleet" and not self.is_of_the_way:
            raise ValueError(f"A fault of {self.action} needs an http_status: only CreateFleet answers Errors.")

    @property
    def is_of_the_way(self) -> bool:
        """Whether it meets the answer on its way instead of changing it."""
        return self.answer_lost or self.delay_s > 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Fault:
        """Unknown fields raise :class:`TypeError`."""
        known = {entry.name for entry in fields(cls)}
        lists = {name: tuple(value[name]) for name in ("instance_types", "zones") if name in value}
        if unknown := value.keys() - known:
            raise TypeError(f"A fault has no {', '.join(sorted(unknown))}.")
        return cls(**{**value, **lists})

    def hits(self, spec: LaunchSpec) -> bool:
        return (not self.instance_types or spec.instance_type in self.instance_types) and (
            not self.zones or spec.zone in self.zones
        )

    def sentence(self, spec: LaunchSpec | None = None) -> str:
        text = self.message or _MESSAGES.get(self.code, self.code)
        if spec is None:
            return text
        return text.format(instance_type=spec.instance_type, zone=spec.zone, subnet_id=spec.subnet_id)


class FaultPlan:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def pending(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def raise_for(self, action: str) -> None:
        """Raise the exception that is due for this action, if one is."""
        with self._lock:
            for fault in self._faults:
                if fault.action == action and fault.code and fault.http_status is not None:
                    self._spend(fault)
                    raise Ec2Error(fault.code, fault.sentence(), fault.http_status)

    def on_the_way(self, action: str) -> Fault | None:
        """The delay or loss that is due for an answer of this action."""
        with self._lock:
            for fault in self._faults:
                if fault.action == action and fault.is_of_the_way:
                    self._spend(fault)
                    return fault
        return None

    def for_fleet(self, market: str, specs: list[LaunchSpec]) -> Fault | None:
        """The ``Errors`` fault that is due for a fleet of this market which could use these specs."""
        with self._lock:
            for fault in self._faults:
                due = bool(fault.code) and fault.http_status is None and fault.market in (None, market)
                if due and any(fault.hits(spec) for spec in specs):
                    self._spend(fault)
                    return fault
        return None

    def _spend(self, fault: Fault) -> None:
        index = self._faults.index(fault)
        if fault.times > 1:
            self._faults[index] = replace(fault, times=fault.times - 1)
        else:
            del self._faults[index]
