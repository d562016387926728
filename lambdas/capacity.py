"""λ capacity: every minute and on a nudge, make the fleet what the jobs need."""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs import metrics
from avskrift.jobs.capacity import Capacity
from avskrift.jobs.fleet import Fleet
from avskrift.jobs.launch_errors import fault_of
from avskrift.jobs.lease import Lease
from avskrift.jobs.observation import Nudge
from avskrift.jobs.pass_report import Report, action_fields
from avskrift.jobs.table import JobTable
from lambdas.clients import client
from lambdas.environment import Environment
from lambdas.handling import in_own_words
from lambdas.settings import capacity_settings, launch_settings
from lambdas.telemetry import Counts

MAX_PASSES = 3
"""Passes of one invocation while others keep asking for another; the schedule brings the next."""

logger = Logger()
counts = Counts()


@cache
def _dynamodb() -> Any:
    return client("dynamodb")


@cache
def _table() -> JobTable:
    return JobTable(_dynamodb(), Environment().text("TABLE"))


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
    """A line for each thing that was done or not done, with the id of the job that it is about; none for idling."""
    if report.is_idle:
        return
    for action in report.actions:
        logger.info("action", **action_fields(action))
    for note in report.notes:
        logger.warning(note.text, **note.about)
    logger.info(
        "pass",
        queued=report.queued,
        running=report.running,
        instances=report.instances,
        launches=[
            {"launch_id": answer.launch_id, "market": answer.market, "instances": answer.instance_ids}
            for answer in report.launches
        ],
        errors=[error for answer in report.launches for error in answer.errors],
    )
    for fields in report.malformed_fields:
        logger.error("a row that could not be read was ended or put aside", **fields)


def _count(report: Report) -> None:
    for metric, value in report.gauges.items():
        counts.measure(metric, value)
    kinds = Counter(fault_of(error["code"]) for answer in report.launches for error in answer.errors)
    for kind, times in kinds.items():
        counts.count(metrics.LAUNCH_FAULTS[kind], times)
    counts.count(metrics.INSTANCES_LAUNCHED, report.launched)
    counts.count(metrics.BARREN_PASSES, int(report.is_barren))
    counts.count(metrics.IMAGE_MISSING, int(report.lacks_image))
    counts.count(metrics.SPEND_LIMIT_REACHED, int(report.is_over_budget))
    counts.count(metrics.LOST_BEATS, report.lost_beats)
    counts.count(metrics.CAPACITY_FAULTS, report.faults)
    counts.count(metrics.MALFORMED_ROWS, len(report.malformed))
    counts.count(metrics.JOBS_FAILED, report.failed)
    counts.count(metrics.JOBS_UNSERVED, report.unserved)
    counts.count(metrics.JOBS_CANCELLED, report.cancelled)
    if report.cost_usd:
        counts.measure(metrics.JOB_COST, report.cost_usd)


@logger.inject_lambda_context
@in_own_words(logger)
@counts.written
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run passes under the lease until nobody asks for another."""
    duration_s = context.get_remaining_time_in_millis() / 1_000
    lease = Lease(_dynamodb(), Environment().text("TABLE"), context.aws_request_id, duration_s)
    asked: list[str] | None = Nudge.from_event(event).to_words()
    passes = 0
    while asked is not None and passes < MAX_PASSES:
        words = lease.acquire(time.time(), asked)
        if words is None:
            logger.info("another pass is at work: it will look again")
            break
        passes += 1
        try:
            report = _capacity().run(time.time(), Nudge.from_words(words))
        finally:
            asked = lease.release()
        _log(report)
        _count(report)
    return {"passes": passes}
