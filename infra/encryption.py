"""The deployment's own KMS key, where ``customer_key`` asks for one, and what each role may do with it.

Every grant is for one service only (``kms:ViaService``): no role can decrypt anything by itself, however it got it.
The services that use the key in their own name are in the key's policy, each bound to what is ours. Sources, all in
AWS' documentation of November 2026: "Encrypt log data in CloudWatch Logs", "SQS key management", "SNS key management",
"Requirements for EBS encryption", "Service-linked role for Spot Instance requests", "DynamoDB encryption at rest".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.config import Config
from infra.permissions import allow

#: Days in which the key of a destroyed deployment that keeps no data can still be saved; the fewest KMS takes.
PENDING_DAYS = 7
#: The role with which EC2 handles spot instances; its own policy knows no keys of customers.
SPOT_ROLE = "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
_WRITE_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
_REENCRYPT_ACTIONS = ("kms:ReEncryptFrom", "kms:ReEncryptTo")
_DATA_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")
_FULL_USE = ("kms:Encrypt", "kms:Decrypt", *_REENCRYPT_ACTIONS, *_DATA_KEY_ACTIONS, "kms:DescribeKey")


@dataclass(frozen=True)
class KeyUse:
    """What a role does with the key, through which service."""

    service: str
    actions: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] | None = None


READ_OBJECTS = KeyUse("s3", ("kms:Decrypt",))
#: Reading, too; parts of a multipart upload are decrypted when they are put together.
WRITE_OBJECTS = KeyUse("s3", _WRITE_ACTIONS)
USE_ITEMS = KeyUse("dynamodb", _FULL_USE)
#: Receiving needs only one of the two; every role that receives also sends.
SEND_MESSAGES = KeyUse("sqs", _WRITE_ACTIONS)
READ_SECRET = KeyUse("secretsmanager", ("kms:Decrypt",))
#: EC2 makes volumes in the name of whoever launches, and keeps a grant for as long as they are attached.
MAKE_VOLUMES = (
    KeyUse("ec2", ("kms:Decrypt", *_REENCRYPT_ACTIONS, "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey")),
    KeyUse("ec2", ("kms:CreateGrant",), {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
)


class Encryption(Construct):
    """The key, or none: then everything is encrypted with keys that AWS manages."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(scope, construct_id)
        self.key = self._key(config) if config.customer_key else None

    @property
    def key_arn(self) -> str | None:
        return self.key.key_arn if self.key else None

    def statements(self, *uses: KeyUse) -> list[iam.PolicyStatement]:
        """What a role needs beside its permissions for the services themselves; nothing without a key."""
        if self.key is None:
            return []
        return [self._allow_use(self.key, use) for use in uses]

    def _allow_use(self, key: kms.Key, use: KeyUse) -> iam.PolicyStatement:
        stack = cdk.Stack.of(self)
        through = {"StringEquals": {"kms:ViaService": f"{use.service}.{stack.region}.{stack.url_suffix}"}}
        return allow(use.actions, key.key_arn, {**through, **(use.conditions or {})})

    def _key(self, config: Config) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            description=f"All that the avskrift deployment {config.name} keeps.",
            alias=f"alias/avskrift/{config.name}",
            enable_key_rotation=True,
            # Without its key, data that was kept is lost.
            removal_policy=cdk.RemovalPolicy.RETAIN if config.keeps_data else cdk.RemovalPolicy.DESTROY,
            pending_window=None if config.keeps_data else cdk.Duration.days(PENDING_DAYS),
        )
        for statement in _services_statements(cdk.Stack.of(self), config.name):
            key.add_to_resource_policy(statement)
        return key


def _services_statements(stack: cdk.Stack, name: str) -> list[iam.PolicyStatement]:
    """Names and patterns instead of references: whatever is encrypted with the key refers to the key."""
    groups = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"/avskrift/{name}/*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    alarms = stack.format_arn(
        service="cloudwatch", resource="alarm", resource_name=f"{name}-*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
    queues = stack.format_arn(service="sqs", resource=f"{name}-*")
    spot_role = stack.format_arn(service="iam", region="", resource="role", resource_name=SPOT_ROLE)
    return [
        _in_key_policy(
            iam.ServicePrincipal(f"logs.{stack.region}.{stack.url_suffix}"),
            _FULL_USE,
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        ),
        # Of the two that EventBridge could be bound by, the source is not always sent along; the queue's ARN is.
        _in_key_policy(
            iam.ServicePrincipal("events.amazonaws.com"),
            _WRITE_ACTIONS,
            {"ArnLike": {"kms:EncryptionContext:aws:sqs:arn": queues}},
        ),
        _in_key_policy(
            iam.ServicePrincipal("cloudwatch.amazonaws.com"),
            _WRITE_ACTIONS,
            {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnLike": {"aws:SourceArn": alarms}},
        ),
        *_spot_statements(spot_role),
    ]


def _spot_statements(role_arn: str) -> list[iam.PolicyStatement]:
    """By condition: a policy that names a role which the account does not have yet cannot be made."""
    is_spot_role = {"ArnEquals": {"aws:PrincipalArn": role_arn}}
    for_volumes = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        _in_key_policy(iam.AnyPrincipal(), _FULL_USE, is_spot_role),
        _in_key_policy(iam.AnyPrincipal(), ("kms:CreateGrant",), {**is_spot_role, **for_volumes}),
    ]


def _in_key_policy(
    principal: iam.IPrincipal, actions: tuple[str, ...], conditions: Mapping[str, Mapping[str, Any]]
) -> iam.PolicyStatement:
    """In a key's policy ``*`` means the key."""
    return iam.PolicyStatement(
        principals=[principal], actions=list(actions), resources=["*"], conditions=dict(conditions)
    )
