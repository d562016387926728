"""The stack itself: its state, its version, and who is told of its alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from avskrift import __version__
from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Subject

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

PENDING = "PendingConfirmation"
_SOUND = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})


def find_stack(session: Session, name: str) -> tuple[str, Mapping[str, str]]:
    """State and outputs of a deployment's stack; empty when there is none. Raises ``ClientError``."""
    found = describe_stack(session, name)
    if found is None:
        return "", {}
    return found["StackStatus"], {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def describe_stack(session: Session, name: str) -> StackTypeDef | None:
    """A stack as CloudFormation describes it; None if there is none of that name. Raises ``ClientError``."""
    try:
        found = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return found[0] if found else None


def stack(subject: Subject) -> Iterator[Check]:
    """Whether the last deployment of it went well, and whether it is of this version."""
    name, status = subject.settings.name, subject.status
    if not status:
        yield yellow("stack", f"{name} is not deployed in {subject.settings.region}.", subject.settings.deploy())
    elif status in _SOUND:
        yield _version(subject)
    elif status.endswith("_IN_PROGRESS"):
        yield yellow("stack", f"{name} is being changed: {status}.")
    elif status == "UPDATE_ROLLBACK_COMPLETE":
        yield yellow("stack", f"The last update of {name} failed and was undone.", _reasons(subject))
    elif status == "ROLLBACK_COMPLETE":
        yield red(
            "stack", f"{name} could not be made; remove what is left, then deploy.", subject.settings.script("destroy")
        )
    else:
        yield red("stack", f"{name} is in state {status}.", _reasons(subject))


def readiness(subject: Subject) -> Iterator[Check]:
    """Whether CloudFormation would take another update now."""
    name, status = subject.settings.name, subject.status
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        wait = subject.aws(f"cloudformation describe-stacks --stack-name {name}")
        yield red("stack", f"{name} is being changed ({status}): wait until that has ended.", wait)
    elif status == "UPDATE_ROLLBACK_FAILED":
        undo = subject.aws(f"cloudformation continue-update-rollback --stack-name {name}")
        yield red("stack", f"The last update of {name} failed and could not be undone.", undo)
    elif status in ("DELETE_FAILED", "ROLLBACK_FAILED"):
        yield red("stack", f"{name} is half there ({status}).", subject.settings.script("destroy"))


def alarms(subject: Subject) -> Iterator[Check]:
    """Which alarms of the deployment are on, each with its paragraph of the runbook."""
    name, own = subject.settings.name, _own(subject, "AWS::CloudWatch::Alarm")
    pages = subject.session.client("cloudwatch").get_paginator("describe_alarms")
    for page in pages.paginate(AlarmNamePrefix=f"{name}-", StateValue="ALARM"):
        for alarm in page["MetricAlarms"]:
            if alarm["AlarmName"] in own:
                anchor = alarm["AlarmName"].removeprefix(f"{name}-")
                yield yellow("alarm", f"{alarm['AlarmName']} is on.", f"see docs/operations.md#{anchor}")


def key(subject: Subject) -> Iterator[Check]:
    """With ``customer_key``: whether what is encrypted can still be read."""
    for key_id in sorted(_own(subject, "AWS::KMS::Key")):
        state = subject.session.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"]
        if state == "Enabled":
            yield green("key", f"{key_id} is enabled.")
        elif state == "PendingDeletion":
            cancel = f"kms cancel-key-deletion --key-id {key_id}"
            yield red("key", f"{key_id} is about to be deleted, and all data with it.", subject.aws(cancel))
        else:
            enable = f"kms enable-key --key-id {key_id}"
            yield red("key", f"{key_id} is {state}: no data can be read.", subject.aws(enable))


def _own(subject: Subject, kind: str) -> set[str]:
    """The stack's resources of one type, by their names or ids."""
    pages = subject.session.client("cloudformation").get_paginator("list_stack_resources")
    return {
        one["PhysicalResourceId"]
        for page in pages.paginate(StackName=subject.settings.name)
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == kind and "PhysicalResourceId" in one
    }


def _reasons(subject: Subject) -> str:
    return subject.aws(f"cloudformation describe-stack-events --stack-name {subject.settings.name}")


def _version(subject: Subject) -> Check:
    deployed = subject.outputs.get("Version", "")
    if deployed == __version__:
        return green("stack", f"{subject.settings.name}, version {deployed}.")
    told = f"The stack is of version {deployed or 'unknown'}, this command of {__version__}."
    return yellow("stack", told, f"{subject.settings.deploy()}, or use the command of that version")


def alarm_topic(subject: Subject) -> Iterator[Check]:
    """Whether anybody is told when an alarm goes off."""
    name, topic = "alarms", subject.output("AlarmTopicArn")
    topics = subject.session.client("sns")
    subscribe = subject.aws(f"sns subscribe --topic-arn {topic} --protocol email --notification-endpoint …")
    try:
        found = topics.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    except topics.exceptions.NotFoundException:
        yield red(name, f"The topic {topic} is gone.", subject.settings.repair())
        return
    confirmed = [one for one in found if one["SubscriptionArn"] != PENDING]
    if confirmed:
        yield green(name, f"Told to {len(confirmed)} {'subscriber' if len(confirmed) == 1 else 'subscribers'}.")
    elif found:
        yield yellow(name, "The subscription waits to be confirmed: follow the link in the mail from AWS.", subscribe)
    else:
        yield yellow(name, "Nobody is told when an alarm goes off.", subscribe)
