"""``customer_key``: everything that is kept is under one key, and each role can use it only through its services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.infra.template_reading import Resources, listed, of_type, only, statements

PARTS = ("AgentRole", "CapacityRole", "RegisterRole", "ReconcileRole", "DeliverRole")


@pytest.fixture(scope="module")
def encrypted(synthesize: Any) -> Resources:
    """The stack with a key of its own."""
    resources: Resources = synthesize(customer_key=True).to_json()["Resources"]
    return resources


def key_uses(resources: Resources, part: str) -> dict[str, set[str]]:
    """What a role may do with the key, by service, each statement checked to be bound to key and service."""
    (key,) = of_type(resources, "AWS::KMS::Key")
    uses: dict[str, set[str]] = {}
    for each in statements(only(resources, "AWS::IAM::Role", part)):
        if "kms:" in json.dumps(each["Action"]):
            assert each["Resource"] == {"Fn::GetAtt": [key, "Arn"]}
            through = each["Condition"]["StringEquals"]["kms:ViaService"]["Fn::Join"][1][0]
            uses.setdefault(through.split(".")[0], set()).update(listed(each["Action"]))
    return uses


def key_policy(resources: Resources) -> dict[str, list[Mapping[str, Any]]]:
    """The statements of the key's policy by who they are for."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in only(resources, "AWS::KMS::Key")["KeyPolicy"]["Statement"]:
        found.setdefault(json.dumps(each["Principal"]), []).append(each)
    return found


def for_principal(resources: Resources, word: str) -> list[Mapping[str, Any]]:
    (found,) = [each for principal, each in key_policy(resources).items() if word in principal]
    return found


def test_there_is_no_key_and_no_use_of_one_unless_asked_for(resources: Resources) -> None:
    assert not of_type(resources, "AWS::KMS::Key")
    assert '"kms:' not in json.dumps(resources)


def test_the_key_rotates_and_stays_with_the_data_it_encrypts(synthesize: Any) -> None:
    kept = {"Properties": {"EnableKeyRotation": True}, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}

    synthesize(customer_key=True).has_resource("AWS::KMS::Key", kept)
    synthesize(customer_key=True, retain_data=False).has_resource("AWS::KMS::Key", {"DeletionPolicy": "Delete"})


def test_everything_that_keeps_data_is_under_the_key(encrypted: Resources) -> None:
    (key,) = of_type(encrypted, "AWS::KMS::Key")
    arn = {"Fn::GetAtt": [key, "Arn"]}
    bucket = only(encrypted, "AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    (disk,) = only(encrypted, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["BlockDeviceMappings"]

    assert bucket["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
    assert bucket["BucketKeyEnabled"] is True
    assert only(encrypted, "AWS::DynamoDB::Table")["SSESpecification"]["KMSMasterKeyId"] == arn
    assert only(encrypted, "AWS::SecretsManager::Secret")["KmsKeyId"] == arn
    assert disk["Ebs"]["KmsKeyId"] == arn
    queues = of_type(encrypted, "AWS::SQS::Queue").values()
    assert [each["KmsMasterKeyId"] for each in queues] == [arn] * 6
    assert not [each for each in queues if "SqsManagedSseEnabled" in each]
    assert {each["KmsKeyId"]["Fn::GetAtt"][0] for each in of_type(encrypted, "AWS::Logs::LogGroup").values()} == {key}


def test_nobody_can_put_an_object_under_another_key(encrypted: Resources) -> None:
    (key,) = of_type(encrypted, "AWS::KMS::Key")
    refusals = [
        each["Condition"]
        for each in only(encrypted, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        if each["Action"] == "s3:PutObject" and each["Effect"] == "Deny"
    ]

    sse = "s3:x-amz-server-side-encryption"
    assert refusals == [
        {"Null": {sse: "false"}, "StringNotEquals": {sse: "aws:kms"}},
        {
            "Null": {f"{sse}-aws-kms-key-id": "false"},
            "StringNotEquals": {f"{sse}-aws-kms-key-id": {"Fn::GetAtt": [key, "Arn"]}},
        },
    ]


def test_each_role_uses_the_key_only_through_the_services_it_works_with(encrypted: Resources) -> None:
    services = {part: set(key_uses(encrypted, part)) for part in PARTS}

    assert services == {
        "AgentRole": {"s3", "dynamodb", "sqs", "secretsmanager"},
        "CapacityRole": {"dynamodb", "sqs", "ec2"},
        "RegisterRole": {"s3", "dynamodb", "sqs"},
        "ReconcileRole": {"s3", "dynamodb", "sqs"},
        "DeliverRole": {"dynamodb", "sqs", "secretsmanager"},
    }


def test_who_only_reads_recordings_can_encrypt_none(encrypted: Resources) -> None:
    assert key_uses(encrypted, "RegisterRole")["s3"] == {"kms:Decrypt"}
    assert key_uses(encrypted, "ReconcileRole")["s3"] == {"kms:Decrypt"}
    assert key_uses(encrypted, "AgentRole")["s3"] == {"kms:Decrypt", "kms:GenerateDataKey"}


def test_a_grant_is_made_only_by_ec2_and_only_for_volumes(encrypted: Resources) -> None:
    granting = [
        (part, each)
        for part in PARTS
        for each in statements(only(encrypted, "AWS::IAM::Role", part))
        if "kms:CreateGrant" in listed(each["Action"])
    ]
    (spot,) = [each for each in for_principal(encrypted, '"*"') if "kms:CreateGrant" in listed(each["Action"])]

    assert [part for part, _ in granting] == ["CapacityRole"]
    for statement in (granting[0][1], spot):
        assert statement["Action"] == "kms:CreateGrant"
        assert statement["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


@pytest.mark.parametrize(
    ("principal", "condition", "bound_to"),
    [
        ("logs.", "kms:EncryptionContext:aws:logs:arn", ":log-group:/avskrift/avskrift/*"),
        ("events.", "kms:EncryptionContext:aws:sqs:arn", ":avskrift-*"),
        ("cloudwatch.", "aws:SourceArn", ":alarm:avskrift-*"),
        ('"*"', "aws:PrincipalArn", "/spot.amazonaws.com/AWSServiceRoleForEC2Spot"),
    ],
)
def test_a_service_uses_the_key_only_for_what_is_ours(
    encrypted: Resources, principal: str, condition: str, bound_to: str
) -> None:
    for statement in for_principal(encrypted, principal):
        bounds = {key: value for test in statement["Condition"].values() for key, value in test.items()}
        assert bounds[condition]["Fn::Join"][1][-1].endswith(bound_to)
        assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_nobody_else_is_in_the_keys_policy_but_the_account_itself(encrypted: Resources) -> None:
    unbound = [each for each in only(encrypted, "AWS::KMS::Key")["KeyPolicy"]["Statement"] if "Condition" not in each]

    assert len(key_policy(encrypted)) == 5
    assert [each["Principal"]["AWS"]["Fn::Join"][1][-1] for each in unbound] == [":root"]


def test_a_queue_still_takes_events_of_our_rule_only(encrypted: Resources) -> None:
    sending = [
        each
        for policy in of_type(encrypted, "AWS::SQS::QueuePolicy").values()
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    ]

    assert len(sending) == 2
    assert all("aws:SourceArn" in each["Condition"]["ArnEquals"] for each in sending)
