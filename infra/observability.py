"""What is to be seen of a deployment: alarms that wake somebody, and a dashboard for whoever looks."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import Alarms
from infra.functions import Functions, Surroundings


class Observability(Construct):
    """Alarms, the topic they are told to, and the dashboard."""

    def __init__(
        self, scope: Construct, construct_id: str, *, surroundings: Surroundings, functions: Functions
    ) -> None:
        """``surroundings.encryption.key`` is the topic's; its policy knows the alarms ``<name>-*``."""
        super().__init__(scope, construct_id)
        config, queues = surroundings.config, surroundings.queues
        dead_letters: Mapping[str, sqs.IQueue] = {
            "uploads": queues.uploads_dlq,
            "jobs": queues.jobs_dlq,
            "outbox": queues.outbox_dlq,
        }
        Alarms(self, "Alarms", config=config, dead_letters=dead_letters)
        self.topic_arn = config.alarm_topic_arn
