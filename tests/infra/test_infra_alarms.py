"""What somebody must hear of sets off an alarm; whom it tells is a setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from aws_cdk.assertions import Template

TOPIC_ARN = "arn:aws:sns:eu-north-1:123456789012:on-call"


def alarms(resources: Mapping[str, Any]) -> list[Any]:
    return [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]


@pytest.mark.parametrize(
    ("metric", "part"),
    [
        ("SpendLimitReached", "capacity"),
        ("MalformedRows", "capacity"),
        ("MalformedRows", "reconcile"),
        ("MalformedRows", "deliver"),
    ],
)
def test_what_a_function_counted_sets_off_an_alarm(resources: Mapping[str, Any], metric: str, part: str) -> None:
    """Namespace and dimension as Powertools writes them: those of the function's environment."""
    (function,) = [
        each["Properties"]
        for name, each in resources.items()
        if each["Type"] == "AWS::Lambda::Function" and part.capitalize() in name
    ]
    variables = function["Environment"]["Variables"]
    dimensions = [{"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}]

    (alarm,) = [
        each for each in alarms(resources) if (each["MetricName"], each.get("Dimensions")) == (metric, dimensions)
    ]

    assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
    assert alarm["Statistic"] == "Sum"
    assert sets_off_at_one(alarm)


@pytest.mark.parametrize("queue", ["Uploads", "Jobs", "Outbox"])
def test_a_dead_letter_sets_off_an_alarm(resources: Mapping[str, Any], queue: str) -> None:
    found = [each for each in alarms(resources) if each["Namespace"] == "AWS/SQS"]

    (alarm,) = [each for each in found if f"{queue}Dlq" in each["Dimensions"][0]["Value"]["Fn::GetAtt"][0]]

    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert sets_off_at_one(alarm)


def sets_off_at_one(alarm: Mapping[str, Any]) -> bool:
    """Whether the first one in five minutes does it, and silence does not."""
    return (
        alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        and (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (1, 1, 300)
        and alarm["TreatMissingData"] == "notBreaching"
    )


def test_alarms_tell_nobody_unless_a_topic_is_named(resources: Mapping[str, Any], synthesize: Any) -> None:
    told: Template = synthesize(alarm_topic_arn=TOPIC_ARN)

    assert len(alarms(resources)) == 7
    assert not [each for each in alarms(resources) if "AlarmActions" in each]
    assert [each["AlarmActions"] for each in alarms(told.to_json()["Resources"])] == [[TOPIC_ARN]] * 7
