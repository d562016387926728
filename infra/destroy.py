"""Remove a deployment (``scripts/destroy``), and say what stays and how to remove that too."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from avskrift.doctor.stack import find_stack
from avskrift.errors import ConfigurationError
from avskrift.jobs.fleet import DEPLOYMENT_TAG
from infra.checkout import add_context, config_of
from infra.leftovers import images_of, live_instances, snapshots_of
from infra.operator import Stack, Target, budgets_region, confirm, reach_account, run, say, tags_of

HELP = """\
Removes the deployment that cdk.json or -c name=... names: its queues, functions, network, alarms, roles and secret.
Recordings, transcripts and job rows stay (unless it was deployed with retain_data=false), and so do the AMI parameter
and the images; it says at the end what stays, and the commands that remove it.

examples:
  scripts/destroy
  scripts/destroy -c name=press -c region=eu-west-1
"""
#: Kept resources by type, and what removes them; ``{id}`` is the resource's name or ARN, ``{python}`` this one's.
REMOVERS: Mapping[str, tuple[str, ...]] = {
    "AWS::S3::Bucket": (
        """.venv/bin/python -c 'import boto3; boto3.resource("s3").Bucket("{id}").object_versions.delete()'""",
        "aws s3 rb s3://{id}",
    ),
    "AWS::DynamoDB::Table": (
        "aws dynamodb update-table --table-name {id} --no-deletion-protection-enabled",
        "aws dynamodb delete-table --table-name {id}",
    ),
    "AWS::KMS::Key": ("aws kms schedule-key-deletion --key-id {id} --pending-window-in-days 30",),
    "AWS::Logs::LogGroup": ("aws logs delete-log-group --log-group-name {id}",),
}
#: "Point-in-time recovery: how it works", DynamoDB's developer guide, read 2026-11.
DELETED_TABLE = (
    "Of a table that is deleted, DynamoDB itself keeps the last state for 35 days (aws dynamodb list-backups "
    "--backup-type SYSTEM), unless its point-in-time recovery was switched off before."
)
_KEPT_POLICIES = frozenset({"Retain", "RetainExceptOnCreate"})
_POLL_S, _POLLS = 5, 240


@dataclass(frozen=True)
class Kept:
    """A resource that outlives its stack."""

    kind: str
    """CloudFormation's name of its type."""
    name: str

    def commands(self, region: str) -> list[str]:
        generic = f"aws cloudcontrol delete-resource --type-name {self.kind} --identifier {{id}}"
        found = REMOVERS.get(self.kind, (generic,))
        return [_in_region(command.format(id=self.name), region) for command in found]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``scripts/destroy``."""
    parser = argparse.ArgumentParser(
        prog="scripts/destroy", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_context(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask")
    options = parser.parse_args(arguments)
    context = dict(options.context)
    run(lambda: destroy(reach_account(config_of(context), context), options.yes))


def destroy(target: Target, sure: bool) -> None:
    """Remove what CloudFormation made. Raises :class:`ConfigurationError` while something is in its way."""
    _refuse_foreign(target)
    _refuse_running(target)
    kept = kept_resources(target, target.config.name)
    _refuse_full_bucket(target, kept)
    for resource in kept:
        say(f"Stays: {resource.name}")
    confirm(f"Remove {target.config.name} from account {target.account}, {target.config.region}?", sure)
    going = [*([target.budget] if budgets_region(target) == target.config.region else []), target.stack]
    for one in going:
        delete_stack(one)
    say(f"Removed {' and '.join(one.name for one in going)}.")
    for line in what_stays(target, kept):
        say(line)


def kept_resources(target: Target, stack: str) -> list[Kept]:
    """What the deployed template, not the checkout, says to keep."""
    cloudformation = target.session.client("cloudformation")
    body: Any = cloudformation.get_template(StackName=stack)["TemplateBody"]
    template = json.loads(body) if isinstance(body, str) else body
    keeps = {
        logical_id
        for logical_id, resource in template["Resources"].items()
        if resource.get("DeletionPolicy") in _KEPT_POLICIES
    }
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [
        Kept(one["ResourceType"], one["PhysicalResourceId"])
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["LogicalResourceId"] in keeps and "PhysicalResourceId" in one
    ]


def delete_stack(stack: Stack) -> None:
    """Delete and wait. Raises :class:`ConfigurationError` with what CloudFormation says if it can't."""
    cloudformation, name = stack.session.client("cloudformation"), stack.name
    say(f"Removing {name} …")
    cloudformation.update_termination_protection(EnableTerminationProtection=False, StackName=name)
    cloudformation.delete_stack(StackName=name)
    try:
        waiter = cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": _POLL_S, "MaxAttempts": _POLLS})
    except WaiterError as error:
        raise ConfigurationError(f"{name} could not be removed. {_why(stack)}") from error


def what_stays(target: Target, kept: Sequence[Kept]) -> list[str]:
    """Lines that name what is left and what removes it."""
    region, ec2 = target.config.region, target.session.client("ec2")
    lines = []
    for one in kept:
        lines += [f"Still there: {one.kind} {one.name}", *(f"  {command}" for command in one.commands(region))]
    parameter = target.config.ami_parameter
    delete = _in_region(f"aws ssm delete-parameter --name {parameter}", region)
    lines += [f"Still there: the parameter {parameter}", f"  {delete}"]
    for image in images_of(ec2, target.config.name):
        deregister = _in_region(f"aws ec2 deregister-image --image-id {image['ImageId']}", region)
        lines += [f"Still there: the image {image['ImageId']}", f"  {deregister}"]
    for snapshot in snapshots_of(ec2, target.config.name):
        delete = _in_region(f"aws ec2 delete-snapshot --snapshot-id {snapshot['SnapshotId']}", region)
        lines += [f"Still there: the snapshot {snapshot['SnapshotId']}", f"  {delete}"]
    shared = "the CDK's stack CDKToolkit and EC2's role for spot instances, which others in this account may use"
    return [*lines, f"Still there: {shared}.", DELETED_TABLE]


def _refuse_foreign(target: Target) -> None:
    """A stack is ours by its tag: others may have one of that name."""
    name, region, tags = target.config.name, target.config.region, tags_of(target.stack)
    if tags is None:
        raise ConfigurationError(f"There is no deployment {name} in {region}.")
    if tags.get(DEPLOYMENT_TAG) != name:
        raise ConfigurationError(
            f"The stack {name} in {region} is no deployment of avskrift: it lacks the tag {DEPLOYMENT_TAG}={name}."
        )


def _refuse_running(target: Target) -> None:
    """A network can't be removed under its instances, and jobs would be lost."""
    outputs = find_stack(target.session, target.config.name)[1]
    ec2 = target.session.client("ec2")
    running = live_instances(ec2, target.config.name, outputs.get("LaunchTemplateId", ""))
    if running:
        ids = " ".join(one["InstanceId"] for one in running)
        end = _in_region(f"aws ec2 terminate-instances --instance-ids {ids}", target.config.region)
        raise ConfigurationError(
            f"{len(running)} instances of it still run. They end by themselves when their jobs are done (avskrift jobs "
            f"list --status running); to end them now: {end}"
        )


def _refuse_full_bucket(target: Target, kept: Sequence[Kept]) -> None:
    """CloudFormation can't delete a bucket with anything in it, and would stop half-way."""
    bucket = find_stack(target.session, target.config.name)[1].get("BucketName", "")
    if not bucket or bucket in [one.name for one in kept]:
        return
    try:
        versions = target.session.client("s3").list_object_versions(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return
        raise
    if versions.get("Versions") or versions.get("DeleteMarkers"):
        empty, _ = Kept("AWS::S3::Bucket", bucket).commands(target.config.region)
        raise ConfigurationError(
            f"The bucket {bucket} would be removed with the deployment (retain_data is false), but it is not empty. "
            f"To delete every recording and transcript in it for good: {empty}"
        )


def _why(stack: Stack) -> str:
    events = stack.session.client("cloudformation").describe_stack_events(StackName=stack.name)["StackEvents"]
    reasons = [
        f"{one.get('LogicalResourceId', '')}: {one.get('ResourceStatusReason', '')}"
        for one in events
        if one.get("ResourceStatus") == "DELETE_FAILED"
    ]
    return reasons[0] if reasons else "The CloudFormation console says why."


def _in_region(command: str, region: str) -> str:
    return f"{command} --region {region}" if command.startswith("aws ") else f"AWS_DEFAULT_REGION={region} {command}"


if __name__ == "__main__":
    main()
