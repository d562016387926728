"""The way of an upload: bucket, EventBridge rule, queue, table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError

from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Subject

EVENTS = "events.amazonaws.com"


def bucket_name(subject: Subject) -> Iterator[Check]:
    """Whether the name that the settings ask for can still be had: bucket names are shared by all of AWS."""
    name, wanted = "bucket name", subject.settings.bucket_name
    if not wanted or wanted == subject.outputs.get("BucketName"):
        return
    status = _head(subject, wanted)
    if status == HTTPStatus.NOT_FOUND:
        yield green(name, f"{wanted} is free.")
        return
    verdicts: dict[int, str] = {
        HTTPStatus.FORBIDDEN: "is taken, by another account or out of reach of these credentials",
        HTTPStatus.OK: "exists in this account already, perhaps kept by a removed deployment",
        HTTPStatus.MOVED_PERMANENTLY: "is taken, in another region",
    }
    whose = verdicts.get(status)
    if whose is None:
        yield yellow(name, f"Not checked: S3 answers {status} to a look at {wanted}.")
        return
    yield red(name, f"{wanted} {whose}.", subject.settings.deploy("bucket_name=…"))


def bucket(subject: Subject) -> Iterator[Check]:
    """That it is there and tells EventBridge of new objects."""
    name, bucket_name = "bucket", subject.output("BucketName")
    if _head(subject, bucket_name) == HTTPStatus.NOT_FOUND:
        yield red(name, f"{bucket_name} is gone.", subject.settings.repair())
        return
    s3 = subject.session.client("s3")
    told: Mapping[str, Any] = s3.get_bucket_notification_configuration(Bucket=bucket_name)
    if "EventBridgeConfiguration" in told:
        yield green(name, f"{bucket_name} tells EventBridge of new objects.")
        return
    settings = """'{"EventBridgeConfiguration": {}}'"""
    command = f"s3api put-bucket-notification-configuration --bucket {bucket_name} --notification-configuration"
    yield red(name, f"{bucket_name} tells nobody of new objects.", subject.aws(f"{command} {settings}"))


def table(subject: Subject) -> Iterator[Check]:
    """That the rows of jobs can be read and written."""
    name, dynamodb = subject.output("TableName"), subject.session.client("dynamodb")
    try:
        status = dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
    except dynamodb.exceptions.ResourceNotFoundException:
        restore = f"dynamodb list-backups --table-name {name}"
        yield red("table", f"{name} is gone, and with it what is known of jobs.", subject.aws(restore))
        return
    if status in ("ACTIVE", "UPDATING"):
        yield green("table", f"{name} is there.")
    else:
        yield red("table", f"{name} is {status}.", subject.aws(f"dynamodb describe-table --table-name {name}"))


def upload_rule(subject: Subject) -> Iterator[Check]:
    """That a rule brings the events to the queue, and that the queue takes them."""
    name = "upload rule"
    told = queue_attributes(subject, "UploadsQueueUrl")
    rules = [rule for rule in rules_to(subject, told["QueueArn"]) if subject.output("BucketName") in _pattern(rule)]
    if not rules:
        yield red(
            name, "No EventBridge rule brings this bucket's events to the queue of uploads.", subject.settings.repair()
        )
        return
    disabled = [rule for rule in rules if rule["State"] == "DISABLED"]
    if disabled:
        rule_name = disabled[0]["Name"]
        yield red(name, f"{rule_name} is disabled.", subject.aws(f"events enable-rule --name {rule_name}"))
    elif not all(_lets_in(told.get("Policy", ""), rule["Arn"]) for rule in rules):
        yield red(name, "The policy of the uploads queue does not let the rule send to it.", subject.settings.repair())
    else:
        yield green(name, "Enabled, and the queue takes its events.")


def dead_letters(subject: Subject) -> Iterator[Check]:
    """Messages that nobody could process."""
    for queue in ("Uploads", "Jobs", "Outbox"):
        url = subject.output(f"{queue}DlqUrl")
        count = int(queue_attributes(subject, f"{queue}DlqUrl").get("ApproximateNumberOfMessages", 0))
        if count:
            read = subject.aws(f"sqs receive-message --queue-url {url} --visibility-timeout 0")
            yield yellow("dead letters", f"{count} in the dead-letter queue of {queue.lower()}.", read)


def queue_attributes(subject: Subject, output: str) -> dict[str, str]:
    answer = subject.session.client("sqs").get_queue_attributes(QueueUrl=subject.output(output), AttributeNames=["All"])
    return {str(name): value for name, value in answer["Attributes"].items()}


def rules_to(subject: Subject, target_arn: str) -> list[Mapping[str, Any]]:
    """EventBridge rules with this target, as ``DescribeRule`` shows them."""
    events = subject.session.client("events")
    names = events.list_rule_names_by_target(TargetArn=target_arn)["RuleNames"]
    return [events.describe_rule(Name=name) for name in names]


def _head(subject: Subject, bucket_name: str) -> int:
    try:
        subject.session.client("s3").head_bucket(Bucket=bucket_name)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return HTTPStatus.OK


def _pattern(rule: Mapping[str, Any]) -> list[str]:
    """The buckets that a rule listens to."""
    found: Any = _json_of(rule.get("EventPattern"))
    for step in ("detail", "bucket", "name"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


def _lets_in(policy: str, rule_arn: str) -> bool:
    """Whether a statement allows EventBridge to send, for all rules or for this one."""
    document = _json_of(policy)
    found = document.get("Statement", []) if isinstance(document, dict) else []
    statements = [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]
    return any(
        one.get("Effect") == "Allow"
        and EVENTS in json.dumps(one.get("Principal", ""))
        and "sqs:sendmessage" in json.dumps(one.get("Action", "")).lower()
        and ("Condition" not in one or rule_arn in json.dumps(one["Condition"]))
        for one in statements
    )


def _json_of(text: str | None) -> Any:
    """What somebody may have written by hand; None where it is no JSON."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
