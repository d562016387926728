"""From a call to AWS to what IAM is asked about it: actions, resources and condition keys.

After the Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/latest/reference/), for the
services that the parts of a deployment call. A call that this module does not know needs the action of its own name on
every resource (``*``), so a role that names resources is refused it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from avskrift.local.aws import ACCOUNT_ID, REGION
from avskrift.local.iam.ec2_checks import TemplateReader, ec2_checks
from avskrift.local.iam.model import Check

Parameters = Mapping[str, Any]
_TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


@dataclass(frozen=True)
class Call:
    """One call as boto3 has it."""

    service: str
    """boto3's name of the service."""
    operation: str
    """The API's name, for example ``PutObject``."""
    parameters: Parameters = field(default_factory=dict)


def checks_of(call: Call, read_template: TemplateReader | None = None) -> list[Check]:
    """All that must be allowed for the call to succeed."""
    if call.service == "ec2":
        return ec2_checks(call.operation, call.parameters, read_template)
    rules = _RULES.get(call.service)
    if rules is None:
        return [Check(f"{call.service}:{call.operation}", "*")]
    return rules(call.operation, call.parameters)


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


_OBJECT_ACTIONS = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}
#: An old version is read and destroyed by rights of its own.
_VERSIONED = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}
_BUCKET_ACTIONS = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
}


def _s3(operation: str, parameters: Parameters) -> list[Check]:
    bucket = f"arn:aws:s3:::{parameters['Bucket']}" if "Bucket" in parameters else "*"
    if operation == "DeleteObjects":
        wanted = parameters["Delete"]["Objects"]
        return [check for one in wanted for check in _s3("DeleteObject", {**parameters, **one})]
    if "Key" not in parameters:
        context = {"s3:prefix": parameters["Prefix"]} if "Prefix" in parameters else {}
        return [Check(f"s3:{_BUCKET_ACTIONS.get(operation, operation)}", bucket, context)]
    action = _OBJECT_ACTIONS.get(operation, operation)
    if "VersionId" in parameters:
        action = _VERSIONED.get(action, action)
    return [Check(f"s3:{action}", f"{bucket}/{parameters['Key']}")]


def _dynamodb(operation: str, parameters: Parameters) -> list[Check]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        parts = [(kind, part) for item in parameters["TransactItems"] for kind, part in item.items()]
        return [check for kind, part in parts for check in _dynamodb(_TRANSACTED.get(kind, "GetItem"), part)]
    if operation == "BatchGetItem":
        return [
            Check(f"dynamodb:{operation}", _table(name), _leading(wanted["Keys"]))
            for name, wanted in parameters["RequestItems"].items()
        ]
    table = _table(parameters["TableName"]) if "TableName" in parameters else "*"
    if "IndexName" in parameters:
        table = f"{table}/index/{parameters['IndexName']}"
    item = parameters.get("Key") or parameters.get("Item")
    return [Check(f"dynamodb:{operation}", table, _leading([item]) if item else {})]


def _table(name: str) -> str:
    return _arn("dynamodb", f"table/{name}")


def _leading(items: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"dynamodb:LeadingKeys": [item["pk"]["S"] for item in items]}


def _sqs(operation: str, parameters: Parameters) -> list[Check]:
    queue = urlsplit(parameters.get("QueueUrl", "")).path.rpartition("/")[2]
    return [Check(f"sqs:{operation.removesuffix('Batch')}", _arn("sqs", queue or "*"))]


def _secretsmanager(operation: str, parameters: Parameters) -> list[Check]:
    wanted = str(parameters.get("SecretId", "*"))
    named = wanted if wanted.startswith("arn:") else _arn("secretsmanager", f"secret:{wanted}")
    return [Check(f"secretsmanager:{operation}", named)]


def _ssm(operation: str, parameters: Parameters) -> list[Check]:
    return [Check(f"ssm:{operation}", _arn("ssm", f"parameter/{str(parameters.get('Name', '*')).lstrip('/')}"))]


def _lambda(operation: str, parameters: Parameters) -> list[Check]:
    action = "InvokeFunction" if operation == "Invoke" else operation
    return [Check(f"lambda:{action}", _arn("lambda", f"function:{parameters.get('FunctionName', '*')}"))]


def _logs(operation: str, parameters: Parameters) -> list[Check]:
    group = f"log-group:{parameters.get('logGroupName', '*')}"
    stream = parameters.get("logStreamName")
    return [Check(f"logs:{operation}", _arn("logs", f"{group}:log-stream:{stream}" if stream else group))]


def _by_role(service: str) -> Callable[[str, Parameters], list[Check]]:
    def rules(operation: str, parameters: Parameters) -> list[Check]:
        named = parameters.get("RoleArn") or f"arn:aws:iam::{ACCOUNT_ID}:role/{parameters.get('RoleName', '*')}"
        return [Check(f"{service}:{operation}", named)]

    return rules


_RULES: Mapping[str, Callable[[str, Parameters], list[Check]]] = {
    "dynamodb": _dynamodb,
    "iam": _by_role("iam"),
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _by_role("sts"),
}
