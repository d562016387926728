"""Each fault is one red or yellow line of the report, with the command that mends it, and changes no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from avskrift.doctor.check import Level
from tests.doctor.account import (
    MAPPING,
    TYPES,
    ZONES,
    Account,
    Refusal,
    by_name,
    function,
    image,
    key,
    kinds,
    offers,
    queue,
    rule,
    stack,
    statement,
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
    "a type without a GPU": (
        {"DescribeInstanceTypes": kinds(g5="")},
        ("GPU", Level.YELLOW, "g5.xlarge without one of NVIDIA's", "instance_types=g4dn.xlarge"),
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
    "a queue with a policy that is none": (
        {"GetQueueAttributes": queue(Policy="nonsense")},
        ("upload rule", Level.RED, "policy", "--repair"),
    ),
    "a rule that listens to something else": (
        {"DescribeRule": changed(rule, EventPattern='{"detail": ["bucket"]}')},
        ("upload rule", Level.RED, "No EventBridge rule", "scripts/deploy"),
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
    "a secret that is binary": (
        {"GetSecretValue": {"SecretBinary": b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},
        ("webhook secret", Level.RED, "It is stored as binary, not as text", "openssl rand -base64 24"),
    ),
    "a secret without end": (
        {"GetSecretValue": {"SecretString": 100_000 * "["}},
        ("webhook secret", Level.RED, "It is no JSON", "openssl rand -base64 24"),
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
