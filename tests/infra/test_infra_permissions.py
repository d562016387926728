"""What each role may do, and what it may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from avskrift.jobs.instance_prices import INSTANCE_PK
from avskrift.jobs.layout import UPLOADS_PREFIX
from avskrift.jobs.reconcile import CURSOR_PK
from tests.infra.template_reading import Resources, actions, listed, of_type, only, resources_for, statements


@pytest.mark.parametrize("part", ["Register", "Reconcile"])
def test_whoever_registers_waits_for_no_instance(resources: Resources, part: str) -> None:
    role = only(resources, "AWS::IAM::Role", f"{part}Role")

    assert "lambda:InvokeFunction" in actions(role)
    assert not {action for action in actions(role) if action.startswith(("ec2:", "iam:", "ssm:"))}


def test_no_role_has_an_action_with_a_wildcard(resources: Resources) -> None:
    roles = of_type(resources, "AWS::IAM::Role")
    assert len(roles) == 5
    for role in roles.values():
        assert not [action for action in actions(role) if "*" in action]


def test_only_looking_at_instances_and_prices_is_allowed_on_everything(resources: Resources) -> None:
    everywhere = [
        statement["Action"]
        for role in of_type(resources, "AWS::IAM::Role").values()
        for statement in statements(role)
        if "*" in listed(statement["Resource"])
    ]

    assert everywhere == [["ec2:DescribeInstances", "ec2:DescribeSpotPriceHistory"]]


def test_an_instance_can_do_nothing_to_ec2(resources: Resources) -> None:
    assert not {action for action in actions(only(resources, "AWS::IAM::Role", "AgentRole")) if "ec2" in action}


def test_an_instance_may_make_the_calls_its_agent_makes_and_no_other(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "AgentRole")
    of_queue = {action for action in actions(role) if action.startswith("sqs:")}
    of_bucket = {action for action in actions(role) if action.startswith("s3:")}

    consuming = {f"sqs:{verb}" for verb in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")}
    assert of_queue == {*consuming, "sqs:SendMessage"}
    assert of_bucket == {
        f"s3:{verb}" for verb in ("GetObject", "GetObjectVersion", "PutObject", "DeleteObject", "ListBucket")
    }


def test_an_instance_writes_no_uploads_and_deletes_only_checkpoints_and_transcripts(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "AgentRole")
    deletable = json.loads(resources_for(role, "s3:DeleteObject"))[0]

    assert "uploads/" in resources_for(role, "s3:GetObject")
    assert "uploads/" not in resources_for(role, "s3:PutObject")
    assert [each["Fn::Join"][1][-1] for each in deletable] == ["/work/*", "/results/*/transcript.*"]
    assert "s3:DeleteObjectVersion" not in actions(role)


@pytest.mark.parametrize("part", ["Agent", "Register", "Deliver"])
def test_what_meets_strangers_writes_jobs_and_webhooks_but_no_launch_or_lease(resources: Resources, part: str) -> None:
    (items,) = item_statements(resources, part, "dynamodb:PutItem")

    assert items["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["job#*", "outbox#*"]}}
    assert set(items["Action"]) == {f"dynamodb:{verb}" for verb in ("GetItem", "PutItem", "UpdateItem")}


def test_an_agent_reads_what_instances_cost_and_writes_none_of_it(resources: Resources) -> None:
    _, prices = item_statements(resources, "Agent", "dynamodb:GetItem")

    assert prices["Action"] == "dynamodb:GetItem"
    assert prices["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{INSTANCE_PK}*"]}}


def item_statements(resources: Resources, part: str, action: str) -> list[Any]:
    """What lets a role do this to items of the table."""
    role = only(resources, "AWS::IAM::Role", f"{part}Role")
    return [each for each in statements(role) if action in listed(each["Action"])]


def test_reconcile_may_do_what_register_may_and_find_what_lacks_a_row(resources: Resources) -> None:
    register, reconcile = (only(resources, "AWS::IAM::Role", f"{part}Role") for part in ("Register", "Reconcile"))
    consuming = {f"sqs:{verb}" for verb in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")}

    assert actions(reconcile) - actions(register) == {"s3:ListBucketVersions", "dynamodb:BatchGetItem"}
    assert actions(register) - actions(reconcile) == {*consuming, "sqs:GetQueueAttributes"}
    for action in ("s3:GetObject", "sqs:SendMessage", "lambda:InvokeFunction"):
        assert resources_for(reconcile, action) == resources_for(register, action)


def test_reconcile_lists_only_uploads(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "ReconcileRole")
    (listing,) = [each for each in statements(role) if each["Action"] == "s3:ListBucketVersions"]

    assert listing["Condition"] == {"StringEquals": {"s3:prefix": UPLOADS_PREFIX}}


def test_reconcile_writes_jobs_webhooks_and_its_own_cursor_only(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "ReconcileRole")
    (items,) = [each for each in statements(role) if "dynamodb" in json.dumps(each["Action"])]

    keys = ["job#*", "outbox#*", CURSOR_PK]
    assert items["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}


def test_capacity_reads_and_writes_every_item(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    (items,) = [each for each in statements(role) if "dynamodb:PutItem" in listed(each["Action"])]

    assert "Condition" not in items


def test_capacity_ends_only_instances_that_carry_a_mark_of_ours(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    conditions = [
        each["Condition"]["StringEquals"] for each in statements(role) if each["Action"] == "ec2:TerminateInstances"
    ]

    assert {"aws:ResourceTag/avskrift:deployment": "avskrift"} in conditions
    assert "aws:ResourceTag/aws:ec2launchtemplate:id" in conditions[1]
    assert len(conditions) == 2


def test_capacity_launches_only_tagged_instances_in_our_own_network(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    wanted = {"ec2:CreateFleet", "ec2:RunInstances"}
    launching = [each for each in statements(role) if wanted & {*listed(each["Action"])}]
    (parts,) = [each for each in launching if "Condition" not in each]
    tagged = {each["Action"]: each for each in launching if "Condition" in each}

    ours = {"aws:RequestTag/avskrift:deployment": "avskrift"}
    assert set(tagged) == wanted
    assert tagged["ec2:CreateFleet"]["Condition"] == {"StringEquals": ours}
    types = ["g4dn.xlarge", "g6.xlarge", "g5.xlarge"]
    assert tagged["ec2:RunInstances"]["Condition"] == {"StringEquals": {**ours, "ec2:InstanceType": types}}
    assert "instance/*" in json.dumps(tagged["ec2:RunInstances"]["Resource"])
    allowed = json.dumps(parts["Resource"])
    assert not [kind for kind in ("instance/*", "subnet/*", "security-group/*", "launch-template/*") if kind in allowed]


def test_capacity_tags_only_at_launch_and_hands_over_only_the_agents_role(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    by_action = {each["Action"]: each for each in statements(role) if isinstance(each["Action"], str)}

    tagging = by_action["ec2:CreateTags"]["Condition"]["StringEquals"]
    assert tagging["ec2:CreateAction"] == ["CreateFleet", "RunInstances"]
    assert tagging["aws:RequestTag/avskrift:deployment"] == "avskrift"
    assert by_action["iam:PassRole"]["Condition"]["StringEquals"] == {"iam:PassedToService": "ec2.amazonaws.com"}
    assert "AgentRole" in json.dumps(by_action["iam:PassRole"]["Resource"])
