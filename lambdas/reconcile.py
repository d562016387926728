"""λ reconcile: every ten minutes, uploads without a row → job rows and messages, then a nudge for λ capacity."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs import metrics
from avskrift.jobs.reconcile import Reconciler, ReconcileReport
from avskrift.jobs.register import Registrar
from avskrift.jobs.table import JobTable
from lambdas.clients import client
from lambdas.environment import Environment
from lambdas.handling import in_own_words
from lambdas.nudge import nudge_capacity
from lambdas.settings import register_settings
from lambdas.telemetry import Counts

logger = Logger()
counts = Counts()


@cache
def _reconciler() -> Reconciler:
    env = Environment()
    dynamodb = client("dynamodb")
    registrar = Registrar(
        table=JobTable(dynamodb, env.text("TABLE")),
        s3=client("s3"),
        sqs=client("sqs"),
        settings=register_settings(env),
    )
    return Reconciler(registrar=registrar, dynamodb=dynamodb, bucket=env.text("BUCKET"))


def _log(report: ReconcileReport) -> None:
    """Ids only: keys are the clients' own text."""
    for job in report.registered:
        code = job.error.code if job.error else None
        logger.warning("its event got lost, registered", job_id=job.job_id, status=job.status.value, error=code)
    for job_id in report.repaired:
        logger.error("its status_key was not that of its status, repaired", job_id=job_id)
    for job_id in report.malformed:
        logger.error("its row holds nonsense, ended", job_id=job_id)
    for job_id in report.unreadable:
        logger.warning("its row holds nonsense; it had ended before", job_id=job_id)
    for fault in report.faults:
        logger.error("could not be reconciled, tried again later", job_id=fault.job_id, reason=fault.reason)
    if report.looked or report.faults:
        logger.info("run", looked=report.looked, registered=len(report.registered), faults=len(report.faults))
    counts.count(metrics.JOBS_REGISTERED, len(report.registered))
    counts.count(metrics.JOBS_RECONCILED, len(report.registered))
    counts.count(metrics.JOBS_FAILED, report.failed)
    counts.count(metrics.RECONCILE_FAULTS, len(report.faults))
    counts.count(metrics.MALFORMED_ROWS, len(report.malformed))


@logger.inject_lambda_context
@in_own_words(logger)
@counts.written
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One run: as many pages as it may, while there is time."""
    report = _reconciler().run(time.time(), lambda: context.get_remaining_time_in_millis() / 1_000)
    _log(report)
    if report.queued_ids:
        nudge_capacity(report.queued_ids, logger)
    return {"looked": report.looked, "registered": len(report.registered), "faults": len(report.faults)}
