"""scripts/destroy through its entry point: it refuses what would stop half-way, and says what stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra import destroy
from infra.limits import BILLING_REGION
from tests.doctor.account import NO_STACK, Account, Refusal, open_account, stack

MADE = "2026-11-21T12:00:00Z"
DATA = {"Table": "AWS::DynamoDB::Table", "Key": "AWS::KMS::Key", "Store": "AWS::S3::Bucket"}
PHYSICAL = {"Table": "press-jobs", "Key": "0123-key", "Store": "press-recordings", "Queue": "press-uploads"}


def template(policy: str = "Retain") -> dict[str, Any]:
    kept = {name: {"Type": kind, "DeletionPolicy": policy} for name, kind in DATA.items()}
    return {"TemplateBody": json.dumps({"Resources": {**kept, "Queue": {"Type": "AWS::SQS::Queue"}}})}


def resources() -> dict[str, Any]:
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": physical,
                "ResourceType": DATA.get(name, "AWS::SQS::Queue"),
                "LastUpdatedTimestamp": MADE,
                "ResourceStatus": "CREATE_COMPLETE",
            }
            for name, physical in PHYSICAL.items()
        ]
    }


class Stacks:
    """CloudFormation's word on stacks that are there until they are deleted."""

    def __init__(self, account: Account, *names: str) -> None:
        self.account = account
        self.there = set(names)
        self.refuses = False
        self.tags: dict[str, str] = {}
        """Of the budget's stack."""
        self.own_tags = {"avskrift:deployment": "press"}

    def describe(self, request: dict[str, Any]) -> Any:
        name = request["StackName"]
        if name not in self.there:
            return NO_STACK
        found = stack("DELETE_FAILED") if self.refuses and "DeleteStack" in self.called else stack()
        tags = self.own_tags if name == "press" else self.tags
        found["Stacks"][0]["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        return found

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self.refuses:
            self.there.discard(request["StackName"])
        return {}

    @property
    def called(self) -> list[str]:
        return [name for name, _ in self.account.asked]

    def arguments(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.account.asked if name == operation]


@pytest.fixture(scope="module")
def opened() -> Account:
    return open_account()


@pytest.fixture
def stacks(opened: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stacks]:
    found = Stacks(opened, "press")
    opened.asked = []
    opened.answers = {
        "GetCallerIdentity": {"Account": "123456789012"},
        "DescribeStacks": found.describe,
        "DeleteStack": found.delete,
        "UpdateTerminationProtection": {},
        "GetTemplate": template(),
        "ListStackResources": resources(),
        "ListObjectVersions": {},
        "DescribeInstances": {"Reservations": []},
        "DescribeImages": {"Images": [{"ImageId": "ami-1"}]},
        "DescribeSnapshots": {"Snapshots": [{"SnapshotId": "snap-1"}]},
    }
    monkeypatch.setattr("infra.operator.session_for", lambda _: opened.session)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    return found


def run(*arguments: str) -> None:
    destroy.main(["-c", "name=press", *arguments])


def test_it_says_what_stays_and_what_removes_it(stacks: Stacks, capsys: pytest.CaptureFixture[str]) -> None:
    run("--yes")

    printed = capsys.readouterr().out
    assert stacks.arguments("DeleteStack") == [{"StackName": "press"}]
    for command in (
        "AWS_DEFAULT_REGION=eu-north-1 .venv/bin/python -c "
        """'import boto3; boto3.resource("s3").Bucket("press-recordings").object_versions.delete()'""",
        "aws s3 rb s3://press-recordings --region eu-north-1",
        "aws dynamodb update-table --table-name press-jobs --no-deletion-protection-enabled --region eu-north-1",
        "aws dynamodb delete-table --table-name press-jobs --region eu-north-1",
        "aws kms schedule-key-deletion --key-id 0123-key --pending-window-in-days 30 --region eu-north-1",
        "aws ssm delete-parameter --name /avskrift/press/ami --region eu-north-1",
        "aws ec2 deregister-image --image-id ami-1 --region eu-north-1",
        "aws ec2 delete-snapshot --snapshot-id snap-1 --region eu-north-1",
    ):
        assert f"\n  {command}\n" in printed
    assert "CDKToolkit" in printed
    assert "DynamoDB itself keeps the last state for 35 days" in printed
    assert "press-uploads" not in printed


def test_what_stays_is_what_the_deployed_template_keeps(stacks: Stacks, capsys: pytest.CaptureFixture[str]) -> None:
    stacks.account.answers["GetTemplate"] = template("Delete")

    run("--yes", "-c", "retain_data=true")

    assert "press-recordings" not in capsys.readouterr().out


def test_the_budgets_stack_goes_too_in_its_own_region_before_the_deployments_own(
    stacks: Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = []
    monkeypatch.setattr("infra.operator.session_for", lambda region: regions.append(region) or stacks.account.session)
    stacks.there.add("press-account")
    stacks.tags = {"avskrift:deployment": "press", "avskrift:region": "eu-north-1"}

    run("--yes")

    assert regions == ["eu-north-1", BILLING_REGION]

    assert [one["StackName"] for one in stacks.arguments("DeleteStack")] == ["press-account", "press"]


@pytest.mark.parametrize(
    "tags",
    [
        {"avskrift:deployment": "press", "avskrift:region": "eu-west-1"},
        {"avskrift:deployment": "radio", "avskrift:region": "eu-north-1"},
        {},
    ],
    ids=["the same name in another region", "another deployment", "nobody's known"],
)
def test_a_budgets_stack_that_is_not_its_own_is_left_alone(stacks: Stacks, tags: dict[str, str]) -> None:
    stacks.there.add("press-account")
    stacks.tags = tags

    run("--yes")

    assert stacks.there == {"press-account"}


def test_termination_protection_is_lifted_only_after_the_question(
    stacks: Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(SystemExit, match="Nothing was changed"):
        run()
    assert "UpdateTerminationProtection" not in stacks.called

    run("--yes")
    assert stacks.called.index("UpdateTerminationProtection") < stacks.called.index("DeleteStack")


@pytest.mark.parametrize("full", ["Versions", "DeleteMarkers"])
def test_a_bucket_that_would_go_is_emptied_by_hand_first(stacks: Stacks, full: str) -> None:
    stacks.account.answers["GetTemplate"] = template("Delete")
    stacks.account.answers["ListObjectVersions"] = {full: [{"Key": "uploads/a.mp3"}]}

    with pytest.raises(SystemExit, match=r"not empty\. To delete every recording .*object_versions\.delete"):
        run("--yes")

    assert "DeleteStack" not in stacks.called


def test_a_bucket_that_is_gone_is_in_nobodys_way(stacks: Stacks) -> None:
    stacks.account.answers["GetTemplate"] = template("Delete")
    stacks.account.answers["ListObjectVersions"] = Refusal("NoSuchBucket", status=404)

    run("--yes")

    assert stacks.there == set()


def test_instances_that_still_run_are_named_with_what_ends_them(stacks: Stacks) -> None:
    running = {"InstanceId": "i-1", "State": {"Name": "running"}}
    ended = {"InstanceId": "i-2", "State": {"Name": "terminated"}}
    stacks.account.answers["DescribeInstances"] = {"Reservations": [{"Instances": [running, ended]}]}

    with pytest.raises(SystemExit, match="terminate-instances --instance-ids i-1 --region eu-north-1"):
        run("--yes")

    assert "DeleteStack" not in stacks.called


def test_a_deployment_that_is_not_there_is_one_sentence(stacks: Stacks) -> None:
    stacks.there.clear()

    with pytest.raises(SystemExit, match=r"^There is no deployment press in eu-north-1\.$"):
        run("--yes")


def test_nobody_to_ask_changes_nothing(stacks: Stacks) -> None:
    with pytest.raises(SystemExit, match="--yes"):
        run()

    assert "DeleteStack" not in stacks.called


def test_a_removal_that_fails_says_why(stacks: Stacks) -> None:
    stacks.refuses = True
    event = {"StackId": "press", "EventId": "1", "StackName": "press", "Timestamp": MADE}
    failed = {"LogicalResourceId": "Network", "ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": "in use"}
    stacks.account.answers["DescribeStackEvents"] = {"StackEvents": [{**event, **failed}]}

    with pytest.raises(SystemExit, match=r"press could not be removed\. Network: in use"):
        run("--yes")


@pytest.mark.parametrize("tags", [{}, {"avskrift:deployment": "archive"}, {"Name": "press"}], ids=str)
def test_a_stack_of_that_name_that_is_no_deployment_is_left_alone(stacks: Stacks, tags: dict[str, str]) -> None:
    stacks.own_tags = tags

    with pytest.raises(SystemExit, match="is no deployment of avskrift: it lacks the tag avskrift:deployment=press"):
        run("--yes")

    assert "DeleteStack" not in stacks.called
