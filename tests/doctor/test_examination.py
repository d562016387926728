"""The doctor's report before and after a deployment: what it looks at, by whose settings, and what it may not."""

from __future__ import annotations

import ast
import base64
import json
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.session import get_session

import avskrift.doctor
from avskrift.doctor.check import Level
from avskrift.doctor.permissions import ACTIONS
from tests.doctor.account import (
    NO_STACK,
    SETTINGS,
    WELL,
    ZONES,
    Account,
    Refusal,
    by_name,
    function,
    kinds,
    offers,
    queue,
    quota,
    stack,
    statement,
)

KEY_24 = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Base64 of 24 bytes."""


def test_a_deployment_that_is_well_is_green_in_every_line(account: Account) -> None:
    checks = account.examine()

    assert [check for check in checks if check.level != Level.GREEN] == []
    assert {"credentials", "stack", "quota spot G and VT", "image", "bucket", "λ capacity", "alarms"} <= set(
        by_name(checks)
    )


@pytest.mark.parametrize(
    ("spot", "on_demand", "levels"),
    [
        (8, 8, (Level.GREEN, Level.GREEN)),
        (4, 8, (Level.YELLOW, Level.GREEN)),
        (8, 0, (Level.GREEN, Level.YELLOW)),
        (0, 8, (Level.RED, Level.GREEN)),
        (0, 0, (Level.RED, Level.RED)),
        (3, 3, (Level.RED, Level.RED)),
    ],
)
def test_quotas_are_held_against_what_the_instances_need(
    account: Account, spot: int, on_demand: int, levels: tuple[Level, Level]
) -> None:
    values = {"L-3819A6DF": spot, "L-DB2E81BA": on_demand}
    account.answers["GetServiceQuota"] = lambda request: quota(values[request["QuotaCode"]])

    found = by_name(account.examine())
    lines = [found[f"quota {market} G and VT"] for market in ("spot", "on-demand")]

    assert tuple(line.level for line in lines) == levels
    for line, code in zip(lines, values, strict=True):
        assert line.mend == "" or f"--quota-code {code} --desired-value 8 --region eu-north-1" in line.mend


def test_a_quota_that_was_never_changed_is_aws_default(account: Account) -> None:
    account.answers["GetServiceQuota"] = Refusal("NoSuchResourceException")
    account.answers["GetAWSDefaultServiceQuota"] = quota(0)

    assert by_name(account.examine())["quota spot G and VT"].level == Level.RED


def test_a_region_without_the_types_is_answered_with_those_it_has(account: Account) -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        wanted = request["Filters"][0]["Values"]
        return offers(*((kind, ZONES[0]) for kind in ("g6.xlarge", "g5.xlarge") if kind in wanted))

    account.answers["DescribeInstanceTypeOfferings"] = answer
    account.answers["DescribeInstanceTypes"] = {"InstanceTypes": []}
    account.answers["DescribeStacks"] = NO_STACK
    found = by_name(account.examine_plan(replace(SETTINGS, instance_types=("g4dn.xlarge",))))

    assert found["instance types"].level == Level.RED
    assert found["instance types"].mend == "scripts/deploy -c name=press -c instance_types=g6.xlarge,g5.xlarge"


@pytest.mark.parametrize(
    ("device", "gpus", "level", "told"),
    [
        ("auto", {}, Level.GREEN, "in each of g4dn.xlarge, g5.xlarge"),
        ("auto", {"g5": ""}, Level.YELLOW, "g5.xlarge without one of NVIDIA's: the model runs on the CPU there"),
        ("auto", {"g5": "AMD"}, Level.YELLOW, "g5.xlarge without one of NVIDIA's"),
        ("cuda", {"g5": ""}, Level.RED, "no job can run there"),
        ("cuda", {"g4dn": "", "g5": ""}, Level.RED, "g4dn.xlarge, g5.xlarge without"),
        ("cpu", {"g4dn": "", "g5": ""}, Level.GREEN, "None needed"),
    ],
)
def test_types_have_the_processor_that_the_model_is_told_to_run_on(
    account: Account, device: str, gpus: dict[str, str], level: Level, told: str
) -> None:
    account.answers.update({"DescribeStacks": NO_STACK, "DescribeInstanceTypes": kinds(**gpus)})

    found = by_name(account.examine_plan(replace(SETTINGS, device=device)))["GPU"]

    assert found.level == level
    assert told in found.detail
    others = "g4dn.xlarge,g6.xlarge,g5.xlarge" if len(gpus) == 2 else "g4dn.xlarge"
    assert level == Level.GREEN or f"-c instance_types={others}; or, if it is meant so: -c device=cpu" in found.mend


@pytest.mark.parametrize(
    ("user_data", "level"),
    [('{"device": "cpu"}', Level.GREEN), ('{"device": "cuda"}', Level.RED), ("[]", Level.YELLOW)],
)
def test_where_the_model_runs_is_what_deployed_agents_are_told(account: Account, user_data: str, level: Level) -> None:
    data = {"UserData": base64.b64encode(user_data.encode()).decode()}
    account.answers["DescribeLaunchTemplateVersions"] = {"LaunchTemplateVersions": [{"LaunchTemplateData": data}]}
    account.answers["DescribeInstanceTypes"] = kinds(g4dn="", g5="")

    assert by_name(account.examine())["GPU"].level == level


@pytest.mark.parametrize(
    ("answer", "level", "told"),
    [
        (Refusal("404", "Not Found", HTTPStatus.NOT_FOUND), Level.GREEN, "is free"),
        (Refusal("403", "Forbidden", HTTPStatus.FORBIDDEN), Level.RED, "taken, by another account"),
        (Refusal("301", "Moved", HTTPStatus.MOVED_PERMANENTLY), Level.RED, "in another region"),
        ({}, Level.RED, "exists in this account already"),
        (Refusal("400", "Bad Request"), Level.YELLOW, "S3 answers 400"),
    ],
)
def test_a_bucket_name_is_tried_before_it_is_deployed(account: Account, answer: Any, level: Level, told: str) -> None:
    account.answers.update({"DescribeStacks": NO_STACK, "HeadBucket": answer})

    found = by_name(account.examine_plan(replace(SETTINGS, bucket_name="talks")))["bucket name"]

    assert found.level == level
    assert told in found.detail
    assert level != Level.RED or found.mend == "scripts/deploy -c name=press -c bucket_name=…"


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        ("UPDATE_IN_PROGRESS", "describe-stacks"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name press"),
        ("DELETE_FAILED", "scripts/destroy -c name=press"),
    ],
)
def test_a_stack_that_takes_no_update_is_told_before_it_is_tried(account: Account, status: str, mend: str) -> None:
    account.answers["DescribeStacks"] = stack(status)

    found = by_name(account.examine_plan())["stack"]

    assert found.level == Level.RED
    assert mend in found.mend


def test_a_network_needs_room_for_its_first_deployment_only(account: Account) -> None:
    account.answers["DescribeVpcs"] = {"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(8)]}
    assert "quota VPCs" not in by_name(account.examine_plan())

    account.answers["DescribeStacks"] = NO_STACK
    found = by_name(account.examine_plan())["quota VPCs"]

    assert (found.level, found.detail) == (Level.RED, "8 of 8 in eu-north-1: none is left for the deployment's.")
    assert "--service-code vpc --quota-code L-F678F1CE --desired-value 9" in found.mend


def test_a_shell_in_another_region_is_warned(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    found = by_name(account.examine())["region"]

    assert (found.level, found.detail) == (Level.YELLOW, "eu-north-1; other commands look in us-east-1.")
    assert found.mend == "export AWS_REGION=eu-north-1 AWS_DEFAULT_REGION=eu-north-1"


def test_the_deployments_own_bucket_name_is_not_taken(account: Account) -> None:
    assert "bucket name" not in by_name(account.examine_plan(replace(SETTINGS, bucket_name="press-recordings")))


def test_before_the_first_deployment_what_it_makes_is_no_fault(account: Account) -> None:
    account.answers.update(
        {"DescribeStacks": NO_STACK, "ListRoles": {"Roles": []}, "GetParameter": Refusal("ParameterNotFound")}
    )

    checks = account.examine()
    yellow = {check.name: check.mend for check in checks if check.level == Level.YELLOW}

    assert all(check.ok for check in checks)
    assert yellow == {
        "stack": "scripts/deploy -c name=press",
        "spot role": "scripts/deploy -c name=press makes it",
        "image": "scripts/deploy -c name=press makes it",
        "CDK bootstrap": "scripts/deploy -c name=press makes them",
    }


def test_a_deployment_is_judged_by_what_it_was_told_not_by_the_checkout(account: Account) -> None:
    planned = replace(SETTINGS, instance_types=("p5.48xlarge",), availability_zones=("eu-north-1z",), max_instances=50)

    assert all(check.level == Level.GREEN for check in account.examine(planned))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Refusal("InvalidClientTokenId"), "has not enabled it"),
        (Refusal("ExpiredToken", "The security token is expired"), "expired"),
    ],
)
def test_with_credentials_that_fail_nothing_else_is_looked_at(account: Account, answer: Refusal, told: str) -> None:
    account.answers["GetCallerIdentity"] = answer

    (line,) = account.examine()

    assert (line.name, line.level) == ("credentials", Level.RED)
    assert told in line.detail
    assert "aws sso login" in line.mend


def test_another_account_than_configured_and_a_region_that_is_none_end_the_look(account: Account) -> None:
    (line,) = account.examine(replace(SETTINGS, account="999999999999"))
    assert "says 999999999999" in line.detail

    for region in ("eu-north-9", "xx-west-1"):
        (line,) = account.examine(replace(SETTINGS, region=region))
        assert (line.name, line.level) == ("region", Level.RED)


@pytest.mark.parametrize(
    "operation", sorted(ACTIONS.keys() - {"GetCallerIdentity", "GetAWSDefaultServiceQuota", "DescribeVpcs"})
)
def test_a_call_that_may_not_be_made_names_the_permission(account: Account, operation: str) -> None:
    refusal = Refusal("AccessDenied", "Access Denied", HTTPStatus.FORBIDDEN)
    account.answers[operation] = refusal

    checks = account.examine()
    told = [check for check in checks if check.level == Level.YELLOW]

    assert all(check.ok for check in checks)
    if operation == "HeadBucket":
        assert told == []  # what else is asked says enough
    else:
        assert {f"lack the permission {ACTIONS[operation]}." in check.detail for check in told} == {True}


@pytest.mark.parametrize("operation", sorted(WELL.keys() - {"GetCallerIdentity", "DescribeVpcs"}))
def test_a_service_that_can_not_be_reached_is_a_line_and_ends_nothing(account: Account, operation: str) -> None:
    def silent(_: object) -> Any:
        raise EndpointConnectionError(endpoint_url="https://aws.example")

    account.answers[operation] = silent

    checks = account.examine()

    assert {check.level for check in checks if "could not be" in check.detail} == {Level.YELLOW}
    assert checks[-1].name in ("alarms", "callback", "alarm")


def test_a_deployment_whose_functions_can_not_be_read_is_judged_by_the_checkout_and_that_is_said(
    account: Account,
) -> None:
    account.answers["GetFunctionConfiguration"] = lambda request: function(request, Environment={"Variables": {}})

    found = by_name(account.examine(replace(SETTINGS, availability_zones=("eu-north-1z",))))

    assert "Those of the checkout" in found["settings"].detail
    assert "eu-north-1z" in found["zones"].detail


def test_the_permission_that_aws_itself_names_is_told(account: Account) -> None:
    words = (
        "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: ec2:DescribeImages because no policy"
    )
    account.answers["DescribeImages"] = Refusal("UnauthorizedOperation", words, HTTPStatus.FORBIDDEN)

    assert by_name(account.examine())["image"].detail.endswith("lack the permission ec2:DescribeImages.")


def test_every_call_of_the_doctor_has_its_permission_listed() -> None:
    calls = set()
    for path in Path(avskrift.doctor.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        calls |= {
            str(node.args[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get_paginator"
            if isinstance(node.args[0], ast.Constant)
        }
    session = get_session()
    services = {action.partition(":")[0] for action in ACTIONS.values()}
    models = [session.get_service_model({"servicequotas": "service-quotas"}.get(name, name)) for name in services]
    known = {operation.lower(): operation for model in models for operation in model.operation_names}
    made = {known[name] for call in calls if (name := call.replace("_", "")) in known}

    assert made == set(ACTIONS)


def test_the_doctor_only_reads(account: Account) -> None:
    account.examine()

    assert {name.startswith(("Get", "List", "Describe", "Head")) for name, _ in account.asked} == {True}


@pytest.mark.parametrize(
    ("stored", "level"),
    [
        ({"current": KEY_24}, Level.GREEN),
        ({"current": KEY_24, "previous": KEY_24}, Level.GREEN),
        ({"current": KEY_24, "previous": ""}, Level.GREEN),
        ({"current": KEY_24, "previous": KEY_24[:28]}, Level.RED),
        ({"current": KEY_24[:28]}, Level.RED),
        ({"current": 3 * KEY_24}, Level.RED),
        ({"current": f"whsec_{KEY_24}"}, Level.RED),
        ({"previous": KEY_24}, Level.RED),
        ([KEY_24], Level.RED),
        (KEY_24, Level.RED),
    ],
)
def test_a_secret_has_the_size_that_standard_webhooks_ask_for(account: Account, stored: Any, level: Level) -> None:
    account.answers["GetSecretValue"] = {"SecretString": json.dumps(stored)}

    assert by_name(account.examine())["webhook secret"].level == level


def test_a_queues_policy_may_have_one_statement_without_a_list(account: Account) -> None:
    account.answers["GetQueueAttributes"] = queue(Policy=json.dumps({"Statement": statement()}))

    assert by_name(account.examine())["upload rule"].level == Level.GREEN


def test_an_answer_without_stacks_is_none(account: Account) -> None:
    account.answers["DescribeStacks"] = {"Stacks": []}

    assert "is not deployed" in by_name(account.examine())["stack"].detail


def test_an_endpoint_that_is_no_address_is_a_line(account: Account) -> None:
    def invalid(_: object) -> Any:
        raise ValueError("Invalid endpoint: nonsense")  # as botocore does when it makes the client

    account.answers["GetCallerIdentity"] = invalid

    (line,) = account.examine()

    assert (line.name, line.level) == ("credentials", Level.RED)
    assert "Invalid endpoint: nonsense" in line.detail


def test_alarms_of_another_deployment_are_not_this_ones(account: Account) -> None:
    account.answers["DescribeAlarms"] = {"MetricAlarms": [{"AlarmName": "press-two-no-beat"}]}

    assert [check for check in account.examine() if check.level != Level.GREEN] == []


def test_no_line_holds_the_secret(account: Account) -> None:
    canary = "hunter2hunter2"
    for text in (f'{{"current": "{canary}"}}', canary, f'["{canary}"]'):
        account.answers["GetSecretValue"] = {"SecretString": text}
        checks = account.examine()
        assert by_name(checks)["webhook secret"].level == Level.RED
        assert canary not in repr(checks)
