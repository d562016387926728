"""What each instance costs, noted when it is launched: the agent on it has no way to ask EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avskrift.jobs.fleet_model import LaunchAnswer
from avskrift.jobs.prices import usd_per_hour
from avskrift.jobs.table import JobTable

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

INSTANCE_PK = "instance#"
"""How the keys of instances' rows begin."""
KEEP_S = 7 * 86_400


def note_prices(table: JobTable, ec2: EC2Client, answer: LaunchAnswer, now: float) -> None:
    """One row for each launched instance, with US dollars an hour at its launch."""
    for one in answer.instances:
        table.put_values(
            {
                "pk": f"{INSTANCE_PK}{one['instance_id']}",
                "usd_per_hour": usd_per_hour(one["instance_type"], answer.market),
                "market": answer.market,
                "instance_type": one["instance_type"],
                "launched_at": now,
                "expires_at": int(now) + KEEP_S,
            }
        )
