"""What an instance hour costs where nobody could ask EC2: one region's prices, Linux, US dollars (spot prices drift).

Read from AWS's price pages for :data:`REGION` in :data:`READ_IN`; other regions differ by some ten percent, and whoever
shows a price says that it is from here.
"""

from __future__ import annotations

REGION = "eu-north-1"
READ_IN = "2026-11"
TABLE_SOURCE = f"table {REGION} {READ_IN}"
"""What a price from here calls itself."""
ON_DEMAND_USD_PER_H = {"g4dn.xlarge": 0.558, "g6.xlarge": 0.854, "g5.xlarge": 1.067}
SPOT_USD_PER_H = {"g4dn.xlarge": 0.19, "g6.xlarge": 0.28, "g5.xlarge": 0.32}
PUBLIC_IPV4_USD_PER_H = 0.005
MIN_BILLED_S = 60
"""EC2 bills by the second and a minute at least, https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/concepts.html."""
_UNKNOWN_USD_PER_H = 1.2
"""A type without a row is priced high, so that a spending limit errs on the careful side."""


def usd_per_hour(instance_type: str, market: str) -> float:
    """``market``: ``spot`` or ``on-demand``. The address is included."""
    return instance_usd_per_hour(instance_type, market) + PUBLIC_IPV4_USD_PER_H


def instance_usd_per_hour(instance_type: str, market: str) -> float:
    """The instance alone."""
    prices = SPOT_USD_PER_H if market == "spot" else ON_DEMAND_USD_PER_H
    return prices.get(instance_type, _UNKNOWN_USD_PER_H)
