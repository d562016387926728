"""What goes through the queues: ids only; the table says everything else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from avskrift.jobs.outbox import OutboxEntry
from avskrift.webhooks.schedule import queue_delay_s

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def send_job(sqs: SQSClient, queue_url: str, job_id: str) -> None:
    """Offer a queued job to the agents."""
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"job_id": job_id}))


def send_outbox(sqs: SQSClient, queue_url: str, entry: OutboxEntry, wait_s: float = 0.0) -> None:
    """Ask λ deliver to look at an entry after ``wait_s`` (at most 15 minutes at a time)."""
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps({"outbox_id": entry.outbox_id, "job_id": entry.job_id, "attempt": len(entry.attempts)}),
        DelaySeconds=queue_delay_s(wait_s),
    )
