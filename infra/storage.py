"""What is kept: the bucket of recordings and results, and the table of jobs.

The prefixes and the table's key names are the contract with :mod:`avskrift.jobs`.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from avskrift.jobs.layout import RESULTS_PREFIX, UPLOADS_PREFIX, WORK_PREFIX
from avskrift.jobs.table import STATUS_INDEX
from infra.acknowledged import acknowledge
from infra.config import Config
from infra.encryption import Encryption

#: Days an overwritten or deleted result can still be fetched as an old version.
RESULTS_UNDO_DAYS = 7
#: The same of a checkpoint: the shortest that S3 knows.
WORK_UNDO_DAYS = 1
#: Days after which parts of an upload that was never completed are dropped.
UNFINISHED_UPLOAD_DAYS = 2


class Storage(Construct):
    """A private, versioned bucket that announces new objects, and the table."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config, encryption: Encryption) -> None:
        super().__init__(scope, construct_id)
        self.bucket = self._bucket(config, encryption.key)
        self.table = self._table(config, encryption.key)

    def objects_arn(self, prefix: str) -> str:
        """ARN pattern of every object under ``prefix``."""
        return self.bucket.arn_for_objects(f"{prefix}*")

    @property
    def status_index_arn(self) -> str:
        return f"{self.table.table_arn}/index/{STATUS_INDEX}"

    def _bucket(self, config: Config, key: kms.Key | None) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=config.bucket_name or None,
            versioned=True,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            # One call to KMS for many objects instead of one for each.
            bucket_key_enabled=True if key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=_lifecycle(config),
            removal_policy=_removal(config),
        )
        if key:
            _refuse_other_keys(bucket, key)
        # event_bridge_enabled=True would bring a custom resource with a Lambda of its own; the property needs none.
        resource = bucket.node.default_child
        if not isinstance(resource, s3.CfnBucket):
            raise TypeError("the bucket's default child is no CfnBucket")
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        acknowledge(
            bucket,
            "S1",
            "Access logs would keep the keys of recordings, which may name people, beyond the recordings' own expiry; "
            "who must know of every access records data events in the account's CloudTrail.",
        )
        return bucket

    def _table(self, config: Config, key: kms.Key | None) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else None,
            encryption_key=key,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=config.keeps_data,
            removal_policy=_removal(config),
        )
        table.add_global_secondary_index(
            index_name=STATUS_INDEX,
            partition_key=dynamodb.Attribute(name="status_key", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="status_at", type=dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        return table


def _refuse_other_keys(bucket: s3.Bucket, key: kms.Key) -> None:
    """Who names an encryption of their own must name this one; who names none gets it anyway."""
    for header, value in (
        ("s3:x-amz-server-side-encryption", "aws:kms"),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", key.key_arn),
    ):
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects("*")],
                # A header that is missing also is not equal.
                conditions={"Null": {header: "false"}, "StringNotEquals": {header: value}},
            )
        )


def _removal(config: Config) -> cdk.RemovalPolicy:
    return cdk.RemovalPolicy.RETAIN if config.keeps_data else cdk.RemovalPolicy.DESTROY


def _lifecycle(config: Config) -> list[s3.LifecycleRule]:
    """Every prefix expires; with versions that takes three steps: expire, drop old versions, drop delete markers."""
    # A replaced recording may belong to a job that still waits: it stays as long as a current one.
    expiry = (
        ("uploads", UPLOADS_PREFIX, config.uploads_expire_days, config.uploads_expire_days),
        ("results", RESULTS_PREFIX, config.results_expire_days, RESULTS_UNDO_DAYS),
        ("work", WORK_PREFIX, config.work_expire_days, WORK_UNDO_DAYS),
    )
    rules = [
        s3.LifecycleRule(
            id=name,
            prefix=prefix,
            expiration=cdk.Duration.days(days),
            noncurrent_version_expiration=cdk.Duration.days(noncurrent_days),
        )
        for name, prefix, days, noncurrent_days in expiry
    ]
    leftovers = s3.LifecycleRule(
        id="leftovers",
        # Outside the prefixes nothing of ours lies and nothing expires, but what is removed there goes in the end, too.
        # Where two rules meet, the shorter period counts: this one is never shorter.
        noncurrent_version_expiration=cdk.Duration.days(max(noncurrent_days for *_, noncurrent_days in expiry)),
        expired_object_delete_marker=True,
        abort_incomplete_multipart_upload_after=cdk.Duration.days(UNFINISHED_UPLOAD_DAYS),
    )
    return [*rules, leftovers]
