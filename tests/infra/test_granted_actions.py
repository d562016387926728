"""Each role has the actions that its program calls, clean-up paths included, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from tests.iam.template import PARTS, Template
from tests.infra.aws_calls import needed_actions
from tests.infra.call_graph import CHECKOUT, program

ENTRIES = {**{part: f"lambdas.{part}" for part in PARTS}, "agent": "instance.__main__"}
#: What Lambda does in a function's name (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html,
#: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html).
WRITES_LOG = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
CONSUMES = frozenset(
    {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}
)


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.from_app()


def called(role: str, sources: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every action that the code of a role needs, and where."""
    if sources is None:
        return _called(role)
    return {one.action: one.place for one in needed_actions(program(ENTRIES[role], sources))}


@cache
def _called(role: str) -> dict[str, str]:
    return {one.action: one.place for one in needed_actions(program(ENTRIES[role]))}


def done_by_lambda(role: str, template: Template) -> frozenset[str]:
    if role == "agent":
        return frozenset()
    functions = [name for name in template.resources if _is_function_of(role, template.resources[name])]
    consumes = any(
        one["Type"] == "AWS::Lambda::EventSourceMapping" and one["Properties"]["FunctionName"] in _refs(functions)
        for one in template.resources.values()
    )
    return WRITES_LOG | CONSUMES if consumes else WRITES_LOG


def _is_function_of(role: str, resource: Mapping[str, Any]) -> bool:
    return (
        resource["Type"] == "AWS::Lambda::Function" and resource["Properties"]["Handler"] == f"lambdas.{role}.handler"
    )


def _refs(names: list[str]) -> list[dict[str, str]]:
    return [{"Ref": name} for name in names]


def granted(role: str, template: Template) -> set[str]:
    statements = [
        statement
        for policy in template.policies(template.roles()[role])
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
    ]
    actions = [statement["Action"] for statement in statements]
    return {action for some in actions for action in ([some] if isinstance(some, str) else some)}


def lacking(role: str, template: Template, sources: Mapping[str, str] | None = None) -> dict[str, str]:
    """Actions that a role's program calls and its policies don't allow, and where it calls them."""
    allowed = granted(role, template)
    return {action: place for action, place in called(role, sources).items() if action not in allowed}


def superfluous(role: str, template: Template) -> set[str]:
    """Actions that a role is granted and that nobody uses."""
    return granted(role, template) - set(called(role)) - done_by_lambda(role, template)


@pytest.mark.parametrize("role", ENTRIES)
def test_every_call_of_a_part_is_granted(role: str, template: Template) -> None:
    assert lacking(role, template) == {}


@pytest.mark.parametrize("role", ENTRIES)
def test_every_grant_of_a_part_is_called(role: str, template: Template) -> None:
    assert superfluous(role, template) == set()


@pytest.mark.parametrize("role", ENTRIES)
def test_each_grant_is_missed_when_it_goes(role: str, template: Template) -> None:
    """Nothing is granted twice over, or noticed by accident."""
    for action in granted(role, template) - done_by_lambda(role, template):
        assert action in lacking(role, without(template, role, action))


def test_worker_that_parses_media_calls_no_aws() -> None:
    assert needed_actions(program("avskrift.asr.worker")) == []


def without(template: Template, role: str, action: str) -> Template:
    """The template with one action taken from a role."""
    name = template.roles()[role]
    properties = template.resources[name]["Properties"]
    policies = [
        {
            **policy,
            "PolicyDocument": {"Statement": [_less(one, action) for one in policy["PolicyDocument"]["Statement"]]},
        }
        for policy in properties["Policies"]
    ]
    changed = {"Type": "AWS::IAM::Role", "Properties": {**properties, "Policies": policies}}
    return Template({**template.resources, name: changed})


def _less(statement: Mapping[str, Any], action: str) -> Mapping[str, Any]:
    actions = statement["Action"]
    kept = [one for one in ([actions] if isinstance(actions, str) else actions) if one != action]
    return {**statement, "Action": kept}


PLANTED_CALLS = {
    "a call in a handler": ("register", "lambdas.register", 'client("s3").delete_object(Bucket="b", Key="k")'),
    "a paginator": ("deliver", "lambdas.deliver", 'client("dynamodb").get_paginator("scan")'),
    "a waiter": ("deliver", "lambdas.deliver", 'client("s3").get_waiter("object_exists").wait(Bucket="b", Key="k")'),
    "a link": ("deliver", "lambdas.deliver", 'client("s3").generate_presigned_url("get_object", Params={})'),
    "an upload in parts": ("agent", "instance.results", 'boto3.client("s3").upload_file("f", "b", "k")'),
    "an old version": ("agent", "instance.results", 's3.delete_object(Bucket="b", Key="k", VersionId="v")'),
    "one that is handed on": ("capacity", "lambdas.capacity", 'threading.Thread(target=client("s3").put_object)'),
    "a transaction": (
        "agent",
        "instance.results",
        'table.transact_write_items(TransactItems=[{"Delete": {"TableName": "t"}}])',
    ),
}


@pytest.mark.parametrize("name", PLANTED_CALLS)
def test_planted_call_is_noticed(name: str, template: Template) -> None:
    role, module, call = PLANTED_CALLS[name]
    text = (CHECKOUT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert lacking(role, template, {module: f"{text}\n\n{call}\n"}) != {}


def test_call_in_a_function_that_nobody_reaches_is_none(template: Template) -> None:
    text = (CHECKOUT / "avskrift/jobs/lease.py").read_text(encoding="utf-8")
    planted = f"{text}\n\ndef never_called(s3):\n    s3.delete_bucket(Bucket='b')\n"
    assert lacking("capacity", template, {"avskrift.jobs.lease": planted}) == {}
    reached = f"{planted}\n\nnever_called(None)\n"
    assert list(lacking("capacity", template, {"avskrift.jobs.lease": reached})) == ["s3:DeleteBucket"]


@pytest.mark.parametrize("role", ENTRIES)
def test_planted_grant_is_noticed(role: str, template: Template) -> None:
    name = template.roles()[role]
    (policy,) = template.resources[name]["Properties"]["Policies"]
    grant = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:DeleteBucket"], "Resource": "*"}
    document = {**policy["PolicyDocument"], "Statement": [*policy["PolicyDocument"]["Statement"], grant]}
    role_with = {"Type": "AWS::IAM::Role", "Properties": {**template.resources[name]["Properties"]}}
    role_with["Properties"]["Policies"] = [{**policy, "PolicyDocument": document}]
    assert "s3:DeleteBucket" in superfluous(role, Template({**template.resources, name: role_with}))
