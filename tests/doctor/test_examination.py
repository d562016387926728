"""The doctor's report: each fault is one red or yellow line, with the command that mends it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.session import get_session

import avskrift.doctor
from avskrift.doctor.check import Check, Level
from avskrift.doctor.permissions import ACTIONS
from tests.doctor.account import (
    MAPPING,
    NO_STACK,
    SETTINGS,
    TYPES,
    WELL,
    ZONES,
    Account,
    Refusal,
    function,
    image,
    key,
    kinds,
    offers,
    queue,
    quota,
    rule,
    stack,
    statement,
)

KEY_24 = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Base64 of 24 bytes."""


def by_name(checks: list[Check]) -> dict[str, Check]:
    """The worst line of each name."""
    order = [Level.GREEN, Level.YELLOW, Level.RED]
    worst: dict[str, Check] = {}
    for check in checks:
        if check.name not in worst or order.index(check.level) > order.index(worst[check.name].level):
            worst[check.name] = check
    return worst


def test_a_deployment_that_is_well_is_green_in_every_line(account: Account) -> None:
    checks = account.examine()

    assert [check for check in checks if check.level != Level.GREEN] == []
    assert {"credentials", "stack", "quota spot G and VT", "image", "bucket", "λ capacity", "alarms"} <= set(
        by_name(checks)
    )


def changed(make: Callable[..., Any], **values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda request: make(request, **values)


FAULTS = {
    # what AWS answers instead → which line, how bad, what it says, what mends it
    "a zone of another account": (
        {"DescribeAvailabilityZones": {"AvailabilityZones": [{"ZoneName": zone} for zone in ZONES[:2]]}},
        ("zones", Level.RED, "eu-north-1c can't be used", "availability_zones=eu-north-1a,eu-north-1b"),
    ),
    "a zone without the types": (
        {"DescribeInstanceTypeOfferings": offers(*((kind, zone) for kind in TYPES for zone in ZONES[:2]))},
        ("instance types", Level.YELLOW, "eu-north-1c offers none", "availability_zones=eu-north-1a,eu-north-1b"),
    ),
    "a type that the region has not": (
        {"DescribeInstanceTypeOfferings": offers(*(("g5.xlarge", zone) for zone in ZONES))},
        ("instance types", Level.YELLOW, "g4dn.xlarge: not in eu-north-1", "instance_types=g5.xlarge"),
    ),
    "an image of another architecture": (
        {"DescribeImages": image(Architecture="arm64")},
        ("image", Level.RED, "is for arm64, which none of g4dn.xlarge, g5.xlarge runs", "ssm put-parameter"),
    ),
    "types of another architecture": (
        {"DescribeInstanceTypes": kinds("arm64")},
        ("image", Level.RED, "is for x86_64", "ssm put-parameter"),
    ),
    "somebody else's image": (
        {"DescribeImages": image(OwnerId="999999999999")},
        ("image", Level.RED, "belongs to account 999999999999", "copy-image"),
    ),
    "an image that is not ready": (
        {"DescribeImages": image(State="pending")},
        ("image", Level.RED, "is pending", "ssm put-parameter"),
    ),
    "an image that is gone": (
        {"DescribeImages": Refusal("InvalidAMIID.NotFound")},
        ("image", Level.RED, "does not exist in eu-north-1", "ssm put-parameter"),
    ),
    "an image larger than the volume": (
        {"DescribeImages": image(BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 64}}])},
        ("image", Level.RED, "needs 64 GiB, the root volume has 50", "root_volume_gib=64"),
    ),
    "an image with another root device": (
        {"DescribeImages": image(RootDeviceName="/dev/xvda")},
        ("image", Level.RED, "boots from /dev/xvda", "ssm put-parameter"),
    ),
    "no image named": (
        {"GetParameter": lambda request: {"Parameter": {"Value": "none" if "ami" in request["Name"] else "33"}}},
        ("image", Level.RED, "jobs end as no_capacity", "--name /avskrift/press/ami --overwrite"),
    ),
    "no spot role": (
        {"ListRoles": {"Roles": []}},
        ("spot role", Level.RED, "no spot instance can be launched", "iam create-service-linked-role"),
    ),
    "a bucket that tells nobody": (
        {"GetBucketNotificationConfiguration": {}},
        ("bucket", Level.RED, "tells nobody", "put-bucket-notification-configuration --bucket press-recordings"),
    ),
    "a bucket that is gone": (
        {"HeadBucket": Refusal("404", "Not Found", HTTPStatus.NOT_FOUND)},
        ("bucket", Level.RED, "is gone", "scripts/deploy"),
    ),
    "a table that is gone": (
        {"DescribeTable": Refusal("ResourceNotFoundException")},
        ("table", Level.RED, "is gone", "dynamodb list-backups --table-name press-jobs"),
    ),
    "a table that does not answer": (
        {"DescribeTable": {"Table": {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"}}},
        ("table", Level.RED, "INACCESSIBLE", "describe-table"),
    ),
    "a key that is switched off": (
        {"DescribeKey": key("Disabled")},
        ("key", Level.RED, "no data can be read", "kms enable-key --key-id key-1"),
    ),
    "a key marked for deletion": (
        {"DescribeKey": key("PendingDeletion")},
        ("key", Level.RED, "about to be deleted", "kms cancel-key-deletion --key-id key-1"),
    ),
    "an alarm that is on": (
        {"DescribeAlarms": {"MetricAlarms": [{"AlarmName": "press-no-beat"}, {"AlarmName": "press-two-no-beat"}]}},
        ("alarm", Level.YELLOW, "press-no-beat is on", "docs/operations.md#no-beat"),
    ),
    "a disabled rule": (
        {"DescribeRule": changed(rule, State="DISABLED")},
        ("upload rule", Level.RED, "uploads is disabled", "events enable-rule --name uploads"),
    ),
    "a rule for another bucket": (
        {"DescribeRule": changed(rule, EventPattern=json.dumps({"detail": {"bucket": {"name": ["other"]}}}))},
        ("upload rule", Level.RED, "No EventBridge rule", "scripts/deploy"),
    ),
    "a queue that lets no rule in": (
        {"GetQueueAttributes": queue(Policy="")},
        ("upload rule", Level.RED, "policy", "scripts/deploy"),
    ),
    "a queue that lets another rule in": (
        {"GetQueueAttributes": queue(Policy=json.dumps({"Statement": [statement(rule_name="other")]}))},
        ("upload rule", Level.RED, "policy", "--repair"),
    ),
    "a queue that may be read only": (
        {"GetQueueAttributes": queue(Policy=json.dumps({"Statement": [statement(action="sqs:ReceiveMessage")]}))},
        ("upload rule", Level.RED, "policy", "--repair"),
    ),
    "a queue that keeps the rule out": (
        {"GetQueueAttributes": queue(Policy=json.dumps({"Statement": [statement("Deny")]}))},
        ("upload rule", Level.RED, "policy", "--repair"),
    ),
    "a disabled clock": (
        {"DescribeRule": lambda request: rule(request, State="DISABLED" if request["Name"] == "clock" else "ENABLED")},
        ("λ capacity", Level.RED, "rule clock that wakes it is disabled", "events enable-rule --name clock"),
    ),
    "dead letters": (
        {"GetQueueAttributes": queue(ApproximateNumberOfMessages="3")},
        ("dead letters", Level.YELLOW, "3 in the dead-letter queue", "sqs receive-message"),
    ),
    "a function that is gone": (
        {"GetFunctionConfiguration": Refusal("ResourceNotFoundException", status=HTTPStatus.NOT_FOUND)},
        ("λ capacity", Level.RED, "is gone", "scripts/deploy"),
    ),
    "a function that failed": (
        {"GetFunctionConfiguration": changed(function, State="Failed", StateReason="no code")},
        ("λ deliver", Level.RED, "It is Failed: no code", "scripts/deploy"),
    ),
    "a clock that stands still": (
        {"ListRuleNamesByTarget": lambda request: {"RuleNames": ["uploads"] if "sqs" in request["TargetArn"] else []}},
        ("λ capacity", Level.RED, "No clock", "scripts/deploy"),
    ),
    "a disabled mapping": (
        {"ListEventSourceMappings": {"EventSourceMappings": [{"UUID": MAPPING, "State": "Disabled"}]}},
        ("λ register", Level.RED, "disabled", f"update-event-source-mapping --uuid {MAPPING} --enabled"),
    ),
    "no mapping": (
        {"ListEventSourceMappings": {"EventSourceMappings": []}},
        ("λ deliver", Level.RED, "No queue feeds it", "scripts/deploy"),
    ),
    "a secret that is no key": (
        {"GetSecretValue": {"SecretString": '{"current": "hunter2"}'}},
        ("webhook secret", Level.RED, '"current" is not base64 of 24 to 64 bytes', "openssl rand -base64 24"),
    ),
    "a secret marked for deletion": (
        {"GetSecretValue": Refusal("InvalidRequestException")},
        ("webhook secret", Level.RED, "marked for deletion", "restore-secret"),
    ),
    "a secret that is gone": (
        {"GetSecretValue": Refusal("ResourceNotFoundException")},
        ("webhook secret", Level.RED, "no webhook can be signed", "scripts/deploy"),
    ),
    "nobody told of alarms": (
        {"ListSubscriptionsByTopic": {"Subscriptions": []}},
        ("alarms", Level.YELLOW, "Nobody is told", "sns subscribe"),
    ),
    "an unconfirmed subscription": (
        {"ListSubscriptionsByTopic": {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}},
        ("alarms", Level.YELLOW, "waits to be confirmed", "sns subscribe"),
    ),
    "a topic that is gone": (
        {"ListSubscriptionsByTopic": Refusal("NotFound", status=HTTPStatus.NOT_FOUND)},
        ("alarms", Level.RED, "is gone", "scripts/deploy"),
    ),
    "another version": (
        {"DescribeStacks": stack(Version="0.0.1")},
        ("stack", Level.YELLOW, "of version 0.0.1", "scripts/deploy"),
    ),
    "an update that failed": (
        {"DescribeStacks": stack("UPDATE_ROLLBACK_FAILED")},
        ("stack", Level.RED, "UPDATE_ROLLBACK_FAILED", "describe-stack-events"),
    ),
    "an old bootstrap": (
        {
            "GetParameter": lambda request: {
                "Parameter": {"Value": "ami-0123456789abcdef0" if "ami" in request["Name"] else "4"}
            }
        },
        ("CDK bootstrap", Level.YELLOW, "older than 6", "cdk bootstrap aws://123456789012/eu-north-1"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_what_mends_it_and_changes_no_other_line(account: Account, fault: str) -> None:
    answers, (name, level, told, mend) = FAULTS[fault]
    account.answers.update(answers)

    found = by_name(account.examine())

    assert (found[name].level, found[name].ok) == (level, level != Level.RED)
    assert told in found[name].detail
    assert mend in found[name].mend
    ill = {check.name for check in found.values() if check.level != Level.GREEN}
    kin = {one for one in ill if one.startswith("λ")} | {"upload rule", "settings"}
    assert ill - {name} <= kin


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
