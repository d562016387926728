"""What KMS is asked beside a service, where data is under a key of the deployment's own.

After AWS' documentation of each service (November 2026): "Protecting data with SSE-KMS" (parts of a multipart upload
are decrypted when they are put together), "Amazon SQS key management", "Secret encryption and decryption",
"Requirements for Amazon EBS encryption". DynamoDB reads and writes by grants of its own once a table is made; that a
caller may use the key by way of DynamoDB is asked here all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from avskrift.local.aws import REGION
from avskrift.local.iam.model import Check

_ASKED = {
    "s3:GetObject": ("kms:Decrypt",),
    "s3:GetObjectVersion": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey", "kms:Decrypt"),
    "sqs:SendMessage": ("kms:GenerateDataKey", "kms:Decrypt"),
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "dynamodb:GetItem": ("kms:Decrypt",),
    "dynamodb:PutItem": ("kms:Encrypt", "kms:GenerateDataKey"),
}
_FOR_VOLUMES = ("kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt")


def key_checks(check: Check, key_arn: str) -> Iterator[Check]:
    """What of the key the service needs in the caller's name for one call that it allows."""
    service = check.action.partition(":")[0]
    actions = _ASKED.get(check.action, ())
    if check.action == "ec2:RunInstances" and ":volume/" in check.resource:
        actions = _FOR_VOLUMES
    context = {"kms:ViaService": f"{service}.{REGION}.amazonaws.com", "kms:GrantIsForAWSResource": "true"}
    for action in actions:
        yield Check(action, key_arn, context)
