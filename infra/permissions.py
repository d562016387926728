"""IAM statements, written out: each role may do what its part does and nothing else.

CDK's ``grant_*`` methods are broader than the parts need (``grant_read_write_data`` on a table includes Scan, for one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam

from avskrift.jobs.instance_prices import INSTANCE_PK
from avskrift.jobs.lease import LEASE_PK
from avskrift.jobs.reconcile import CURSOR_PK

#: Single items, and transactions that write them under conditions: those need no action of their own.
ITEM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
#: Keys of what register, deliver and agents write; launches, the lease and the fleet's memory are capacity's alone.
JOB_ITEM_KEYS = ("job#*", "outbox#*")
CONSUME_ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
#: What an SQS event source mapping does in the name of its function.
EVENT_SOURCE_ACTIONS = (*CONSUME_ACTIONS, "sqs:GetQueueAttributes")
READ_OBJECT_ACTIONS = ("s3:GetObject", "s3:GetObjectVersion")
WRITE_LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")


def allow(
    actions: str | Sequence[str],
    resources: str | Sequence[str],
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> iam.PolicyStatement:
    """One Allow statement; ``conditions`` as in the policy language: operator, then key, then value."""
    return iam.PolicyStatement(
        actions=[actions] if isinstance(actions, str) else list(actions),
        resources=[resources] if isinstance(resources, str) else list(resources),
        conditions=conditions,
    )


def allow_job_items(table_arn: str) -> iam.PolicyStatement:
    """Reading and writing jobs and outbox entries, and no other item of the table."""
    return _allow_items(ITEM_ACTIONS, JOB_ITEM_KEYS, table_arn)


def allow_reconciled_items(table_arn: str) -> iam.PolicyStatement:
    """The same, many at once, and reconcile's own cursor."""
    return _allow_items((*ITEM_ACTIONS, "dynamodb:BatchGetItem"), (*JOB_ITEM_KEYS, CURSOR_PK), table_arn)


def allow_instance_items(table_arn: str) -> iam.PolicyStatement:
    """Reading what capacity noted about instances: agents read what theirs costs."""
    return _allow_items(("dynamodb:GetItem",), (f"{INSTANCE_PK}*",), table_arn)


def allow_giving_back_the_lease(table_arn: str) -> iam.PolicyStatement:
    """Removing the item that keeps two passes of capacity apart, and no other: jobs are removed by people."""
    return _allow_items(("dynamodb:DeleteItem",), (LEASE_PK,), table_arn)


def _allow_items(actions: Sequence[str], keys: Sequence[str], table_arn: str) -> iam.PolicyStatement:
    """``ForAllValues`` is also true of a request without keys; the actions here always carry one."""
    return allow(actions, table_arn, {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}})


def policy(statements: Sequence[iam.PolicyStatement]) -> dict[str, iam.PolicyDocument]:
    """The one inline policy of a role."""
    return {"Permissions": iam.PolicyDocument(statements=list(statements))}
