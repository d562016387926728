"""What an instance hour costs, for estimates: eu-north-1, Linux, US dollars, read 2026-11 (spot prices drift)."""

from __future__ import annotations

ON_DEMAND_USD_PER_H = {"g4dn.xlarge": 0.558, "g6.xlarge": 0.854, "g5.xlarge": 1.067}
SPOT_USD_PER_H = {"g4dn.xlarge": 0.19, "g6.xlarge": 0.28, "g5.xlarge": 0.32}
PUBLIC_IPV4_USD_PER_H = 0.005
MIN_BILLED_S = 60
_UNKNOWN_USD_PER_H = 1.2
"""A type without a row is priced high, so that a spending limit errs on the careful side."""


def usd_per_hour(instance_type: str, market: str) -> float:
    """``market``: ``spot`` or ``on-demand``. The address is included."""
    prices = SPOT_USD_PER_H if market == "spot" else ON_DEMAND_USD_PER_H
    return prices.get(instance_type, _UNKNOWN_USD_PER_H) + PUBLIC_IPV4_USD_PER_H
