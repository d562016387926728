"""λ deliver: outbox queue → every webhook attempt after the first, and the first where no agent could make it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs import metrics
from avskrift.jobs.delivery import Outbox, WebhookSecrets
from avskrift.jobs.layout import job_id_in
from avskrift.jobs.measures import of_attempt
from avskrift.jobs.model import MalformedRow
from avskrift.jobs.outbox import OutboxEntry
from avskrift.jobs.pass_report import brief
from avskrift.jobs.table import JobTable
from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender
from lambdas.clients import client
from lambdas.environment import Environment
from lambdas.handling import in_own_words
from lambdas.telemetry import Counts

logger = Logger()
counts = Counts()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


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
        counts.count(metrics.MALFORMED_MESSAGES)
        return
    job_id = job_id_in(message)  # a message of an older version has none
    with logger.append_context_keys(outbox_id=outbox_id, **({"job_id": job_id} if job_id else {})):
        _attempt(outbox_id, attempt)


def _attempt(outbox_id: str, attempt: int) -> None:
    try:
        entry = _outbox().deliver(outbox_id, attempt)
    except MalformedRow as error:
        logger.error("outbox entry put aside: %s", error.message)
        counts.count(metrics.MALFORMED_ROWS)
        return
    except Exception as error:
        logger.error("could not be attempted; its message comes again", fault=brief(error))
        raise
    if entry:
        _tell(entry, is_tried=len(entry.attempts) > attempt)


def _tell(entry: OutboxEntry, is_tried: bool) -> None:
    """``is_tried``: an attempt was made; else it was too early, and the message was sent again."""
    last = entry.attempts[-1] if entry.attempts else {}
    logger.info(
        "attempt" if is_tried else "not due yet",
        job_id=entry.job_id,
        state=entry.status,
        attempts=len(entry.attempts),
        http_status=last.get("status"),
    )
    for metric, value in of_attempt(entry).items() if is_tried else ():
        counts.measure(metric, value)


@logger.inject_lambda_context
@in_own_words(logger)
@counts.written
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Partial batch response: only what failed comes again."""
    return process_partial_response(event=event, record_handler=_deliver, processor=processor, context=context)
