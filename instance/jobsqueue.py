"""The jobs queue as one agent uses it. A message only offers a job: the row says whether there is anything to claim."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_WAIT_S = 5
"""A long poll. SQS allows 20 s, but this is also how long an idle agent takes to notice that it must go."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that nobody else sees for now. ``job_id`` is None if it isn't one of ours."""

    job_id: str | None
    receipt: str
    message_id: str


@dataclass(frozen=True, slots=True)
class JobsQueue:
    """Raises what the client raises."""

    sqs: SQSClient
    url: str
    lease_s: float
    """How long a message stays hidden: as long as the row of its job counts as alive."""

    def receive(self, wait_s: float) -> Message | None:
        response = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=math.ceil(min(MAX_WAIT_S, max(0.0, wait_s))),
            VisibilityTimeout=self._hidden_s,
        )
        for message in response.get("Messages", []):
            return Message(_job_id(message.get("Body", "")), message["ReceiptHandle"], message["MessageId"])
        return None

    def keep(self, receipt: str) -> None:
        """Hide the message for another lease."""
        self.give_back(receipt, self._hidden_s)

    def give_back(self, receipt: str, after_s: float = 0.0) -> None:
        """Let it come again."""
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=round(after_s))

    def delete(self, receipt: str) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=receipt)

    @property
    def _hidden_s(self) -> int:
        return max(1, round(self.lease_s))


def _job_id(body: str) -> str | None:
    try:
        job_id = json.loads(body)["job_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return job_id if isinstance(job_id, str) and job_id else None
