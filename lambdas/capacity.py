"""λ capacity: every minute and on a nudge, make the fleet what the jobs need."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs.capacity import Capacity, Report
from avskrift.jobs.fleet import Fleet
from avskrift.jobs.lease import Lease
from avskrift.jobs.table import JobTable
from lambdas.environment import Environment
from lambdas.settings import capacity_settings, launch_settings

MAX_PASSES = 3
"""Passes of one invocation while others keep asking for another; the schedule brings the next."""

logger = Logger()
metrics = Metrics()


@cache
def _table() -> JobTable:
    return JobTable(boto3.client("dynamodb"), Environment().text("TABLE"))


@cache
def _capacity() -> Capacity:
    env = Environment()
    return Capacity(
        table=_table(),
        fleet=Fleet(boto3.client("ec2"), _table(), launch_settings(env)),
        sqs=boto3.client("sqs"),
        ssm=boto3.client("ssm"),
        settings=capacity_settings(env),
    )


def _log(report: Report) -> None:
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
        errors=[error for answer in report.launches for error in answer.errors],
    )
    metrics.add_metric("QueuedJobs", MetricUnit.Count, report.queued)
    metrics.add_metric("Instances", MetricUnit.Count, report.instances)
    metrics.add_metric("InstancesLaunched", MetricUnit.Count, report.launched)
    metrics.add_metric("LaunchErrors", MetricUnit.Count, sum(len(answer.errors) for answer in report.launches))
    metrics.add_metric("CapacityFaults", MetricUnit.Count, report.faults)
    metrics.add_metric("SpentTodayUsd", MetricUnit.NoUnit, report.spent_usd)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run passes under the lease until nobody asks for another."""
    client = boto3.client("dynamodb")
    duration_s = context.get_remaining_time_in_millis() / 1_000
    lease = Lease(client, Environment().text("TABLE"), context.aws_request_id, duration_s)
    nudged: list[str] | None = [str(job_id) for job_id in event.get("job_ids", [])]
    passes = 0
    while nudged is not None and passes < MAX_PASSES and lease.acquire(time.time(), nudged):
        passes += 1
        try:
            _log(_capacity().run(time.time(), nudged))
        finally:
            nudged = lease.release()
    metrics.add_metric("Passes", MetricUnit.Count, passes)
    return {"passes": passes}
