"""λ register: uploads queue → job rows and messages, then a nudge for λ capacity."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs.events import MalformedEvent, parse_upload
from avskrift.jobs.model import JobStatus
from avskrift.jobs.register import Registrar
from avskrift.jobs.table import JobTable
from lambdas.clients import client
from lambdas.environment import Environment
from lambdas.nudge import nudge_capacity
from lambdas.settings import register_settings

logger = Logger()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def _registrar() -> Registrar:
    """Made at the first event and kept while the function stays warm."""
    env = Environment()
    return Registrar(
        table=JobTable(client("dynamodb"), env.text("TABLE")),
        s3=client("s3"),
        sqs=client("sqs"),
        settings=register_settings(env),
    )


def _register(record: dict[str, Any], queued: list[str]) -> None:
    try:
        upload = parse_upload(record["body"])
    except MalformedEvent as error:
        logger.error(error.message, message_id=record.get("messageId"))
        metrics.add_metric("MalformedEvents", MetricUnit.Count, 1)
        return
    job = _registrar().register(upload, time.time())
    if job is None:
        logger.info("no recording, ignored")
        metrics.add_metric("ObjectsIgnored", MetricUnit.Count, 1)
        return
    logger.info("registered", job_id=job.job_id, status=job.status.value, error=job.error.code if job.error else None)
    metrics.add_metric("JobsRegistered", MetricUnit.Count, 1)
    if job.status is JobStatus.QUEUED:
        queued.append(job.job_id)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Partial batch response: only what failed comes again."""
    queued: list[str] = []
    answer = process_partial_response(
        event=event,
        record_handler=lambda record: _register(record, queued),
        processor=processor,
    )
    if queued:
        nudge_capacity(queued, logger)
    return answer
