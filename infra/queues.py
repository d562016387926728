"""The three queues between the parts, each with a dead-letter queue for what nobody could process.

uploads: S3 events for register · jobs: work for instances · outbox: webhooks that still have to be delivered.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from avskrift.jobs.layout import UPLOADS_PREFIX
from infra.config import Config
from infra.encryption import Encryption
from infra.limits import MESSAGE_RETENTION_S

#: AWS asks for a visibility timeout of at least six times the consuming function's timeout.
VISIBILITY_PER_TIMEOUT = 6
REGISTER_TIMEOUT_S = 30
DELIVER_TIMEOUT_S = 30

#: Receives before a message of these queues is set aside.
UPLOADS_MAX_RECEIVES = 5
OUTBOX_MAX_RECEIVES = 5
#: The table decides when a job has failed; the queue only gives up on what no agent could even claim.
JOBS_MAX_RECEIVES = 50

RETENTION = cdk.Duration.seconds(MESSAGE_RETENTION_S)


class Queues(Construct):
    """uploads, jobs and outbox, their dead-letter queues, and the rule that fills uploads."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, encryption: Encryption, bucket: s3.IBucket
    ) -> None:
        super().__init__(scope, construct_id)
        self._encryption = encryption
        uploads_visibility_s = REGISTER_TIMEOUT_S * VISIBILITY_PER_TIMEOUT
        outbox_visibility_s = DELIVER_TIMEOUT_S * VISIBILITY_PER_TIMEOUT
        self.uploads, self.uploads_dlq = self._pair("Uploads", uploads_visibility_s, UPLOADS_MAX_RECEIVES)
        self.jobs, self.jobs_dlq = self._pair("Jobs", config.lease_s, JOBS_MAX_RECEIVES)
        self.outbox, self.outbox_dlq = self._pair("Outbox", outbox_visibility_s, OUTBOX_MAX_RECEIVES)
        self._announce_uploads(bucket)

    def _pair(self, name: str, visibility_s: int, max_receives: int) -> tuple[sqs.Queue, sqs.Queue]:
        dead_letters = sqs.Queue(
            self,
            f"{name}Dlq",
            retention_period=RETENTION,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        queue = sqs.Queue(
            self,
            name,
            visibility_timeout=cdk.Duration.seconds(visibility_s),
            retention_period=RETENTION,
            receive_message_wait_time=cdk.Duration.seconds(20),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=max_receives),
        )
        for each in (queue, dead_letters):
            self._use_key(each)
        return queue, dead_letters

    def _use_key(self, queue: sqs.Queue) -> None:
        """By the plain property: told of the key, CDK would let EventBridge do more with it than it needs."""
        resource = queue.node.default_child
        if self._encryption.key_arn and isinstance(resource, sqs.CfnQueue):
            resource.kms_master_key_id = self._encryption.key_arn
            resource.sqs_managed_sse_enabled = None

    def _announce_uploads(self, bucket: s3.IBucket) -> None:
        events.Rule(
            self,
            "ObjectCreated",
            description="A recording was put into the bucket.",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [bucket.bucket_name]}, "object": {"key": [{"prefix": UPLOADS_PREFIX}]}},
            ),
            targets=[targets.SqsQueue(self.uploads, dead_letter_queue=self.uploads_dlq)],
        )
