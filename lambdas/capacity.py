"""λ capacity: every minute and on a nudge, make the fleet what the jobs need."""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs.capacity import Capacity, Report
from avskrift.jobs.fleet import Fleet
from avskrift.jobs.launch_errors import fault_of
from avskrift.jobs.lease import Lease
from avskrift.jobs.observation import Nudge
from avskrift.jobs.table import JobTable
from lambdas.clients import client
from lambdas.environment import Environment
from lambdas.settings import capacity_settings, launch_settings

MAX_PASSES = 3
"""Passes of one invocation while others keep asking for another; the schedule brings the next."""

logger = Logger()
metrics = Metrics()


@cache
def _table() -> JobTable:
    return JobTable(client("dynamodb"), Environment().text("TABLE"))


@cache
def _capacity() -> Capacity:
    env = Environment()
    return Capacity(
        table=_table(),
        fleet=Fleet(client("ec2"), _table(), launch_settings(env)),
        sqs=client("sqs"),
        ssm=client("ssm"),
        settings=capacity_settings(env),
    )


def _log(report: Report) -> None:
    errors = [error for answer in report.launches for error in answer.errors]
    logger.info(
        "pass",
        queued=report.queued,
        running=report.running,
        instances=report.instances,
        actions=report.actions,
        notes=report.notes,
        launches=[
            {"launch_id": answer.launch_id, "market": answer.market, "instances": answer.instance_ids}
            for answer in report.launches
        ],
        errors=errors,
    )
    if report.malformed:
        logger.error("rows that could not be read were ended or put aside", rows=report.malformed)
    for kind, count in Counter(fault_of(error["code"]) for error in errors).items():
        metrics.add_metric(f"LaunchErrors{kind.title()}", MetricUnit.Count, count)
    metrics.add_metric("QueuedJobs", MetricUnit.Count, report.queued)
    metrics.add_metric("Instances", MetricUnit.Count, report.instances)
    metrics.add_metric("InstancesLaunched", MetricUnit.Count, report.launched)
    metrics.add_metric("LaunchErrors", MetricUnit.Count, len(errors))
    metrics.add_metric("CapacityFaults", MetricUnit.Count, report.faults)
    metrics.add_metric("MalformedRows", MetricUnit.Count, len(report.malformed))
    metrics.add_metric("SpentTodayUsd", MetricUnit.NoUnit, report.spent_usd)
    metrics.add_metric("ImageMissing", MetricUnit.Count, int(report.lacks_image))
    metrics.add_metric("SpendLimitReached", MetricUnit.Count, int(report.is_over_budget))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run passes under the lease until nobody asks for another."""
    dynamodb = client("dynamodb")
    duration_s = context.get_remaining_time_in_millis() / 1_000
    lease = Lease(dynamodb, Environment().text("TABLE"), context.aws_request_id, duration_s)
    asked: list[str] | None = Nudge.from_event(event).to_words()
    passes = 0
    while asked is not None and passes < MAX_PASSES:
        words = lease.acquire(time.time(), asked)
        if words is None:
            logger.info("another pass is at work: it will look again")
            break
        passes += 1
        try:
            _log(_capacity().run(time.time(), Nudge.from_words(words)))
        finally:
            asked = lease.release()
    metrics.add_metric("Passes", MetricUnit.Count, passes)
    return {"passes": passes}
