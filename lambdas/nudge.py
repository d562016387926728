"""The nudge for λ capacity: whoever queued jobs asks it to look now, not at its next minute."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from avskrift.jobs.pass_report import brief
from lambdas.clients import client
from lambdas.environment import Environment


@cache
def _lambda_client() -> Any:
    return client("lambda")


def nudge_capacity(job_ids: Sequence[str], logger: Logger) -> None:
    """Capacity would come within a minute anyway: a nudge that fails must never fail the registration."""
    try:
        _lambda_client().invoke(
            FunctionName=Environment().text("CAPACITY_FUNCTION"),
            InvocationType="Event",
            Payload=json.dumps({"source": "nudge", "job_ids": list(job_ids)}),
        )
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the nudge, the job is registered
        logger.warning(
            "capacity could not be nudged; its schedule will see the jobs", job_ids=list(job_ids), fault=brief(error)
        )
