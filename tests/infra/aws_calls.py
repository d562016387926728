"""Which IAM actions a program's calls to AWS need, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import botocore.session
from botocore import xform_name

from tests.infra.call_graph import Function

#: Services whose operations are looked for; a client of any other would be a new part of the design.
SERVICES = ("cloudwatch", "dynamodb", "ec2", "events", "kms", "lambda", "logs", "s3", "secretsmanager", "sns", "sqs")
SERVICES += ("ssm", "sts")
#: Calls that need other actions than that of their own name.
_READ_OBJECT = ("s3:GetObject", "s3:ListBucket")  # without the right to list, an absent object answers 403
_RENAMED: Mapping[str, tuple[str, ...]] = {
    "head_object": _READ_OBJECT,
    "get_object": _READ_OBJECT,
    "download_file": _READ_OBJECT,
    "download_fileobj": _READ_OBJECT,
    "upload_file": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "upload_fileobj": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "create_multipart_upload": ("s3:PutObject",),
    "upload_part": ("s3:PutObject",),
    "complete_multipart_upload": ("s3:PutObject",),
    "delete_objects": ("s3:DeleteObject",),
    "list_objects_v2": ("s3:ListBucket",),
    "head_bucket": ("s3:ListBucket",),
    "list_object_versions": ("s3:ListBucketVersions",),
    "send_message_batch": ("sqs:SendMessage",),
    "delete_message_batch": ("sqs:DeleteMessage",),
    "invoke": ("lambda:InvokeFunction",),
    # An instant fleet launches, tags and passes the role in its caller's name.
    "create_fleet": ("ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"),
    "transact_write_items": (),
    "transact_get_items": ("dynamodb:GetItem",),
}
_OF_A_VERSION = {"s3:GetObject": "s3:GetObjectVersion", "s3:DeleteObject": "s3:DeleteObjectVersion"}
_TRANSACTED = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
#: Methods that are told the operation's name.
_BY_NAME = frozenset({"get_paginator", "generate_presigned_url"})


@dataclass(frozen=True)
class Needed:
    action: str
    place: str
    """Where the call stands."""


def needed_actions(reached: Sequence[Function]) -> list[Needed]:
    """Every action that some reachable call needs."""
    found = [one for function in reached for one in _in(function)]
    if any("transact_write_items" in function.mentions for function in reached):
        found += [one for function in reached for one in _transacted(function)]
    return found


def _in(function: Function) -> Iterator[Needed]:
    calls = {id(node.func): node for node in function.nodes() if isinstance(node, ast.Call)}
    for node in function.nodes():
        if isinstance(node, ast.Attribute):
            call = calls.get(id(node))
            # What is only handed on (to a thread, to partial) is called by somebody else, with we don't know what.
            actions = _actions(call, node.attr) if call else _actions_of(node.attr, may_name_version=True)
            for action in actions:
                yield Needed(action, f"{function.place.partition(':')[0]}:{node.lineno}")


def _actions(call: ast.Call, method: str) -> tuple[str, ...]:
    if method in _BY_NAME and call.args and isinstance(call.args[0], ast.Constant):
        return _actions_of(str(call.args[0].value), may_name_version=True)
    if method == "get_waiter" and call.args and isinstance(call.args[0], ast.Constant):
        return _actions_of(_waiters()[str(call.args[0].value)], may_name_version=True)
    return _actions_of(method, _may_name_version(call))


def _actions_of(method: str, may_name_version: bool) -> tuple[str, ...]:
    actions = _RENAMED.get(method)
    if actions is None:
        service, operation = _operations().get(method, ("", ""))
        actions = (f"{service}:{operation}",) if service else ()
    versions = [_OF_A_VERSION[action] for action in actions if action in _OF_A_VERSION] if may_name_version else []
    return (*actions, *versions)


def _may_name_version(call: ast.Call) -> bool:
    """A version is named outright, or among arguments that are put together elsewhere."""
    return any(keyword.arg in (None, "VersionId", "ExtraArgs") for keyword in call.keywords)


def _transacted(function: Function) -> Iterator[Needed]:
    for node in function.nodes():
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and key.value in _TRANSACTED:
                    yield Needed(_TRANSACTED[key.value], f"{function.place.partition(':')[0]}:{node.lineno}")


@cache
def _waiters() -> dict[str, str]:
    """boto3's name of each waiter → that of the operation it repeats."""
    session = botocore.session.get_session()
    models = (session.get_waiter_model(service) for service in ("dynamodb", "ec2", "lambda", "s3"))
    return {
        xform_name(name): xform_name(model.get_waiter(name).operation)
        for model in models
        for name in model.waiter_names
    }


@cache
def _operations() -> dict[str, tuple[str, str]]:
    """boto3's name of each operation → IAM's prefix of its service, and the API's name."""
    session = botocore.session.get_session()
    return {
        xform_name(operation): (service, operation)
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }
