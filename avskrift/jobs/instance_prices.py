"""What each instance costs, noted when it is launched: the agent on it has no way to ask EC2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from avskrift.jobs.cost import Price
from avskrift.jobs.fleet_model import SPOT, LaunchAnswer
from avskrift.jobs.prices import TABLE_SOURCE, instance_usd_per_hour
from avskrift.jobs.table import JobTable

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

INSTANCE_PK = "instance#"
"""How the keys of instances' rows begin."""
KEEP_S = 7 * 86_400
SPOT_SOURCE = "spot price at launch"
_PRODUCT = "Linux/UNIX"
_MAX_USD_PER_H = 1_000.0


def note_prices(table: JobTable, ec2: EC2Client, answer: LaunchAnswer, now: float) -> None:
    """One row for each launched instance, with US dollars an hour at its launch, the address not included.

    Raises what EC2 answers when it was asked for spot prices, but only after the rows were written with the table's.
    """
    prices: Mapping[tuple[str, str], float] = {}
    fault: Exception | None = None
    if answer.market == SPOT and answer.instances:
        try:
            prices = spot_prices(ec2, sorted({one["instance_type"] for one in answer.instances}), now)
        except (BotoCoreError, ClientError, ValueError) as error:
            fault = error
    for one in answer.instances:
        table.put_values(_row(one, answer.market, prices.get((one["instance_type"], one["zone"])), now))
    if fault:
        raise fault


def spot_prices(ec2: EC2Client, instance_types: list[str], now: float) -> dict[tuple[str, str], float]:
    """US dollars an hour by (type, zone), as they are now.

    Asked from now on, EC2 answers with the last change before that, which is the price in effect (EC2 API reference,
    DescribeSpotPriceHistory). One page holds a thousand: types × zones are a few.
    """
    answer = ec2.describe_spot_price_history(
        InstanceTypes=instance_types,  # type: ignore[arg-type]
        ProductDescriptions=[_PRODUCT],
        StartTime=datetime.fromtimestamp(now, UTC),
    )
    latest: dict[tuple[str, str], float] = {}
    for one in sorted(answer["SpotPriceHistory"], key=lambda line: line["Timestamp"]):
        latest[one["InstanceType"], one["AvailabilityZone"]] = float(one["SpotPrice"])
    return latest


def noted_price(table: JobTable, instance_id: str) -> Price | None:
    """What capacity noted about an instance; None if there is no row, or one that makes no sense."""
    row = table.get_values(f"{INSTANCE_PK}{instance_id}") or {}
    instance_type, market, source = (row.get(name) for name in ("instance_type", "market", "price_from"))
    usd = row.get("usd_per_hour")
    if not (isinstance(instance_type, str) and isinstance(market, str) and isinstance(source, str)):
        return None
    if not isinstance(usd, int | float) or not 0 <= usd < _MAX_USD_PER_H:
        return None
    return Price(instance_type, market, source, float(usd))


def _row(one: Mapping[str, str], market: str, spot_usd: float | None, now: float) -> dict[str, Any]:
    usd = instance_usd_per_hour(one["instance_type"], market) if spot_usd is None else spot_usd
    return {
        "pk": f"{INSTANCE_PK}{one['instance_id']}",
        "usd_per_hour": usd,
        "price_from": TABLE_SOURCE if spot_usd is None else SPOT_SOURCE,
        "market": market,
        "instance_type": one["instance_type"],
        "zone": one["zone"],
        "launched_at": now,
        "expires_at": int(now) + KEEP_S,
    }
