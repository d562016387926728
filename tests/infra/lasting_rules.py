"""What is kept and for how long, what no message is lost to, and who is told: as in ``security_rules.py``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from avskrift.jobs import metrics
from tests.infra.security_rules import Rule, Template, listed, of_type, role_statements, text

PREFIXES = {"uploads/", "results/", "work/"}
VISIBILITY_PER_TIMEOUT = 6
#: Our own metrics among those that wake a person.
ALARMED_METRICS = (
    metrics.OLDEST_WAIT,
    metrics.JOBS_UNSERVED,
    metrics.MALFORMED_ROWS,
    metrics.BARREN_PASSES,
    metrics.OVERDUE_INSTANCES,
    metrics.WEBHOOK_FAILURES,
    metrics.WEBHOOKS_ABANDONED,
    metrics.SPENT_TODAY,
    metrics.SPEND_LIMIT_REACHED,
)


def logs_are_kept_for_a_time(template: Template) -> list[str]:
    """Every group has a retention, and every function writes to one of these groups instead of making its own."""
    groups = of_type(template, "AWS::Logs::LogGroup")
    forever = [name for name, each in groups.items() if not each.get("RetentionInDays")]
    elsewhere = [
        name
        for name, each in of_type(template, "AWS::Lambda::Function").items()
        if each.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") not in groups
    ]
    making = [name for name, each in role_statements(template) if "logs:CreateLogGroup" in listed(each.get("Action"))]
    return [*forever, *elsewhere, *making]


def every_prefix_expires(template: Template) -> list[str]:
    """With old versions, delete markers and unfinished uploads."""
    wrong = []
    for name, each in of_type(template, "AWS::S3::Bucket").items():
        rules = [
            rule for rule in each.get("LifecycleConfiguration", {}).get("Rules", []) if rule["Status"] == "Enabled"
        ]
        expiring = {
            rule["Prefix"]
            for rule in rules
            if "Prefix" in rule and rule.get("ExpirationInDays") and rule.get("NoncurrentVersionExpiration")
        }
        everywhere = [rule for rule in rules if "Prefix" not in rule and "TagFilters" not in rule]
        wrong += [f"{name}: {prefix}" for prefix in sorted(PREFIXES - expiring)]
        for leftover in ("ExpiredObjectDeleteMarker", "AbortIncompleteMultipartUpload"):
            if not any(rule.get(leftover) for rule in everywhere):
                wrong.append(f"{name}: {leftover}")
    return wrong


def rows_expire_and_can_be_restored(template: Template) -> list[str]:
    """TTL and point-in-time recovery."""
    return [
        name
        for name, each in of_type(template, "AWS::DynamoDB::Table").items()
        if each.get("TimeToLiveSpecification") != {"AttributeName": "expires_at", "Enabled": True}
        or each.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is not True
    ]


def data_outlives_the_stack(template: Template) -> list[str]:
    """Bucket, table and key stay when the stack goes or replaces them; the bucket keeps old versions meanwhile."""
    gone = [
        name
        for name, each in template["Resources"].items()
        if each["Type"] in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key")
        and not each.get("DeletionPolicy") == each.get("UpdateReplacePolicy") == "Retain"
    ]
    deletable = [
        name
        for name, each in of_type(template, "AWS::DynamoDB::Table").items()
        if each.get("DeletionProtectionEnabled") is not True
    ]
    unversioned = [
        name
        for name, each in of_type(template, "AWS::S3::Bucket").items()
        if each.get("VersioningConfiguration", {}).get("Status") != "Enabled"
    ]
    return [*gone, *deletable, *unversioned]


def no_message_is_lost_or_worked_on_twice(template: Template) -> list[str]:
    """Each queue hands what nobody can process to another that keeps it 14 days, and hides what a function works on."""
    queues = of_type(template, "AWS::SQS::Queue")
    set_aside = {
        each["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for each in queues.values()
        if each.get("RedrivePolicy", {}).get("maxReceiveCount")
    }
    bare = [name for name, each in queues.items() if name not in set_aside and "RedrivePolicy" not in each]
    brief = [name for name in set_aside if queues[name].get("MessageRetentionPeriod") != 14 * 86400]
    return [*bare, *brief, *_shown_too_soon(template), *_rules_without_dead_letters(template)]


def _shown_too_soon(template: Template) -> Iterator[str]:
    functions, queues = of_type(template, "AWS::Lambda::Function"), of_type(template, "AWS::SQS::Queue")
    for name, each in of_type(template, "AWS::Lambda::EventSourceMapping").items():
        function = functions[each["FunctionName"]["Ref"]]
        queue = queues[each["EventSourceArn"]["Fn::GetAtt"][0]]
        if queue["VisibilityTimeout"] < VISIBILITY_PER_TIMEOUT * function["Timeout"]:
            yield name


def _rules_without_dead_letters(template: Template) -> Iterable[str]:
    """A rule that feeds a queue loses an event that the queue would not take."""
    return [
        name
        for name, each in of_type(template, "AWS::Events::Rule").items()
        for target in each["Targets"]
        if target["Arn"]["Fn::GetAtt"][0] in of_type(template, "AWS::SQS::Queue") and "DeadLetterConfig" not in target
    ]


def somebody_is_woken(template: Template) -> list[str]:
    """An alarm on each thing that needs a person, and each alarm tells somebody."""
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    mute = [
        name for name, each in alarms.items() if not each.get("AlarmActions") or each.get("ActionsEnabled") is False
    ]
    watched = {_watch(each) for each in alarms.values()}
    return [*mute, *(" ".join(one) for one in _needed(template) if one not in watched)]


Watch = tuple[str, str, str, str]
"""What an alarm reads: metric, what it is of, whether it waits for ``more`` or ``less``, and what no data means."""


def _watch(alarm: Template) -> Watch:
    is_ours = alarm.get("Namespace") == metrics.NAMESPACE
    dimensions = " ".join(text(each["Value"]) for each in alarm.get("Dimensions", []))
    is_floor = alarm["ComparisonOperator"] == "LessThanThreshold"
    silence = "a fault" if alarm.get("TreatMissingData") == "breaching" else "no fault"
    subject = metrics.NAMESPACE if is_ours else dimensions
    return alarm.get("MetricName", ""), subject, "less" if is_floor else "more", silence


def _needed(template: Template) -> Iterator[Watch]:
    """Each count of ours that needs somebody; dead letters and messages that a function does not take; a function that
    runs by the clock, and is not called or fails."""
    for metric in ALARMED_METRICS:
        yield metric.name, metrics.NAMESPACE, "more", "no fault"
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        if "RedrivePolicy" not in queue:
            yield "ApproximateNumberOfMessagesVisible", _queue_name(name), "more", "no fault"
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        source = mapping["EventSourceArn"]["Fn::GetAtt"][0]
        yield "ApproximateAgeOfOldestMessage", _queue_name(source), "more", "no fault"
    for rule in of_type(template, "AWS::Events::Rule").values():
        for target in rule["Targets"] if "ScheduleExpression" in rule else ():
            function = text({"Ref": target["Arn"]["Fn::GetAtt"][0]})
            yield "Invocations", function, "less", "a fault"
            yield "Errors", function, "more", "no fault"


def _queue_name(logical_id: str) -> str:
    return text({"Fn::GetAtt": [logical_id, "QueueName"]})


RULES: tuple[Rule, ...] = (
    logs_are_kept_for_a_time,
    every_prefix_expires,
    rows_expire_and_can_be_restored,
    data_outlives_the_stack,
    no_message_is_lost_or_worked_on_twice,
    somebody_is_woken,
)
