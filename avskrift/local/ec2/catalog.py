"""What a region offers: zones, GPU instance types and their prices.

Prices are those of eu-north-1 in November 2026 (Linux, USD per hour); spot differs a little by zone, as it does there.
"""

from __future__ import annotations

from dataclasses import dataclass

ZONE_SUFFIXES = ("a", "b", "c")


IMAGE_ID = "ami-0123456789abcdef0"
"""The one image of the account; nothing boots from it."""
ARCHITECTURE = "x86_64"


@dataclass(frozen=True)
class InstanceType:
    name: str
    on_demand_usd: float
    """Per hour."""
    spot_usd: tuple[float, ...]
    """Per hour, by zone in the order of :data:`ZONE_SUFFIXES`."""
    memory_mib: int = 16_384
    vcpus: int = 4


INSTANCE_TYPES: dict[str, InstanceType] = {
    kind.name: kind
    for kind in (
        InstanceType("g4dn.xlarge", 0.558, (0.19, 0.19, 0.19)),
        InstanceType("g6.xlarge", 0.854, (0.26, 0.27, 0.29)),
        InstanceType("g5.xlarge", 1.067, (0.31, 0.32, 0.33)),
    )
}


def zones(region: str) -> list[str]:
    return [region + suffix for suffix in ZONE_SUFFIXES]


def price_usd(instance_type: str, zone: str, market: str) -> float:
    """Per hour; an unknown type raises :class:`KeyError`."""
    kind = INSTANCE_TYPES[instance_type]
    return kind.spot_usd[ZONE_SUFFIXES.index(zone[-1])] if market == "spot" else kind.on_demand_usd
