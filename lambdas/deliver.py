"""λ deliver: outbox queue → every webhook attempt after the first, and the first where no agent could make it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs.delivery import Outbox, WebhookSecrets
from avskrift.jobs.model import MalformedRow
from avskrift.jobs.table import JobTable
from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender
from lambdas.clients import client
from lambdas.environment import Environment

logger = Logger()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def _outbox() -> Outbox:
    env = Environment()
    return Outbox(
        table=JobTable(client("dynamodb"), env.text("TABLE")),
        secrets=WebhookSecrets(client("secretsmanager"), env.text("SECRET_ID")),
        sender=WebhookSender(AddressRules(allow_loopback=env.insecure_callbacks)),
        sqs=client("sqs"),
        queue_url=env.text("OUTBOX_QUEUE_URL"),
    )


def _deliver(record: dict[str, Any]) -> None:
    try:
        message = json.loads(record["body"])
        outbox_id, attempt = str(message["outbox_id"]), int(message["attempt"])
    except (ValueError, KeyError, TypeError):
        logger.error("no outbox message, dropped", message_id=record.get("messageId"))
        metrics.add_metric("MalformedMessages", MetricUnit.Count, 1)
        return
    try:
        entry = _outbox().deliver(outbox_id, attempt)
    except MalformedRow as error:
        logger.error("outbox entry put aside: %s", error.message, outbox_id=outbox_id)
        metrics.add_metric("MalformedRows", MetricUnit.Count, 1)
        return
    metrics.add_metric("WebhooksAbandoned", MetricUnit.Count, int(entry is not None and entry.status == "abandoned"))
    if entry is None:
        return
    last = entry.attempts[-1] if entry.attempts else {}
    logger.info(
        "delivery",
        outbox_id=outbox_id,
        job_id=entry.job_id,
        state=entry.status,
        attempts=len(entry.attempts),
        http_status=last.get("status"),
    )


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Partial batch response: only what failed comes again."""
    return process_partial_response(event=event, record_handler=_deliver, processor=processor, context=context)
