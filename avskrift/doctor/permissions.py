"""What the doctor's caller must be allowed to do, and how a refusal is told from a finding.

All of it is reading. The name of an action is mostly that of the call, but not always (Service Authorization Reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/, read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from botocore.exceptions import ClientError

#: Operation → IAM action, for each call that the doctor makes.
ACTIONS: Mapping[str, str] = {
    "DescribeAlarms": "cloudwatch:DescribeAlarms",
    "DescribeAvailabilityZones": "ec2:DescribeAvailabilityZones",
    "DescribeImages": "ec2:DescribeImages",
    "DescribeInstanceTypeOfferings": "ec2:DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes": "ec2:DescribeInstanceTypes",
    "DescribeKey": "kms:DescribeKey",
    "DescribeLaunchTemplateVersions": "ec2:DescribeLaunchTemplateVersions",
    "DescribeRule": "events:DescribeRule",
    "DescribeStacks": "cloudformation:DescribeStacks",
    "DescribeTable": "dynamodb:DescribeTable",
    "DescribeVpcs": "ec2:DescribeVpcs",
    "GetAWSDefaultServiceQuota": "servicequotas:GetAWSDefaultServiceQuota",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "GetCallerIdentity": "sts:GetCallerIdentity",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "GetParameter": "ssm:GetParameter",
    "GetQueueAttributes": "sqs:GetQueueAttributes",
    "GetSecretValue": "secretsmanager:GetSecretValue",
    "GetServiceQuota": "servicequotas:GetServiceQuota",
    "HeadBucket": "s3:ListBucket",
    "ListEventSourceMappings": "lambda:ListEventSourceMappings",
    "ListRoles": "iam:ListRoles",
    "ListRuleNamesByTarget": "events:ListRuleNamesByTarget",
    "ListStackResources": "cloudformation:ListStackResources",
    "ListSubscriptionsByTopic": "sns:ListSubscriptionsByTopic",
}
_REFUSALS = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden", "403"}
)
_NAMED = re.compile(r"not authorized to perform: ([a-z0-9-]+:\w+)")


def missing_permission(error: ClientError) -> str:
    """The IAM action whose absence the error tells of; empty when it is another fault."""
    if error.response["Error"].get("Code") not in _REFUSALS:
        return ""
    named = _NAMED.search(error.response["Error"].get("Message", ""))
    return named[1] if named else ACTIONS.get(error.operation_name, error.operation_name)
