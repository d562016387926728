"""Queues, what sets a message aside, and what wakes whom."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from avskrift.client import REGISTRATION_TIMEOUT_S
from tests.infra.template_reading import Resources, of_type, only


@pytest.mark.parametrize(("name", "max_receives"), [("Uploads", 5), ("Jobs", 50), ("Outbox", 5)])
def test_each_queue_is_encrypted_and_sets_aside_what_nobody_could_process(
    resources: Resources, name: str, max_receives: int
) -> None:
    queues = {key: each for key, each in of_type(resources, "AWS::SQS::Queue").items() if name in key}
    (dead_letters,) = [key for key in queues if "Dlq" in key]
    (queue,) = [each for key, each in queues.items() if "Dlq" not in key]

    assert queue["RedrivePolicy"]["maxReceiveCount"] == max_receives
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [dead_letters, "Arn"]}
    assert all(each["SqsManagedSseEnabled"] for each in queues.values())
    assert queues[dead_letters]["MessageRetentionPeriod"] == 14 * 86400


def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(resources: Resources) -> None:
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 2
    for mapping in mappings:
        function = resources[mapping["FunctionName"]["Ref"]]["Properties"]
        queue = resources[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_client_waits_for_a_registration_that_is_tried_again(resources: Resources) -> None:
    (uploads,) = [
        each for name, each in of_type(resources, "AWS::SQS::Queue").items() if "Uploads" in name and "Dlq" not in name
    ]

    assert uploads["VisibilityTimeout"] + 60 <= REGISTRATION_TIMEOUT_S


def test_together_the_queue_functions_leave_room_in_an_account_with_ten_executions(resources: Resources) -> None:
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping").values()

    assert sum(each["ScalingConfig"]["MaximumConcurrency"] for each in mappings) < 10
    assert not [
        each for each in of_type(resources, "AWS::Lambda::Function").values() if "ReservedConcurrentExecutions" in each
    ]


def test_only_objects_under_uploads_become_events(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"bucket": {"name": [Match.any_value()]}, "object": {"key": [{"prefix": "uploads/"}]}},
            }
        },
    )


def test_capacity_is_woken_by_the_clock_and_by_spot_notices(template: Template) -> None:
    template.has_resource_properties("AWS::Events::Rule", {"ScheduleExpression": "rate(1 minute)"})
    notices = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
    template.has_resource_properties(
        "AWS::Events::Rule", {"EventPattern": {"source": ["aws.ec2"], "detail-type": notices}}
    )


def rule_that_wakes(resources: Resources, part: str, **pattern: Any) -> Any:
    """The one rule with these properties whose only target is the function, which it may call."""
    (name,) = [name for name in of_type(resources, "AWS::Lambda::Function") if part in name]
    arn = {"Fn::GetAtt": [name, "Arn"]}
    ((rule_name, rule),) = [
        (key, each)
        for key, each in of_type(resources, "AWS::Events::Rule").items()
        if pattern.items() <= each.items() and [target["Arn"] for target in each["Targets"]] == [arn]
    ]
    callers = [
        each["SourceArn"]
        for each in of_type(resources, "AWS::Lambda::Permission").values()
        if each["FunctionName"] == arn and each["Principal"] == "events.amazonaws.com"
    ]
    assert {"Fn::GetAtt": [rule_name, "Arn"]} in callers
    return rule


def test_a_spot_notice_reaches_capacity_as_ec2_wrote_it(resources: Resources) -> None:
    notices = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
    rule = rule_that_wakes(resources, "Capacity", EventPattern={"source": ["aws.ec2"], "detail-type": notices})

    assert not {"Input", "InputPath", "InputTransformer"} & set(rule["Targets"][0])


def test_reconcile_looks_every_ten_minutes_and_is_not_repeated(template: Template, resources: Resources) -> None:
    rule = rule_that_wakes(resources, "Reconcile", ScheduleExpression="rate(10 minutes)")

    assert rule["Targets"][0]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert only(resources, "AWS::Lambda::Function", "Reconcile")["Timeout"] < 600
    (function,) = [name for name in of_type(resources, "AWS::Lambda::Function") if "Reconcile" in name]
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig", {"FunctionName": {"Ref": function}, "MaximumRetryAttempts": 0}
    )


def test_deliver_may_send_to_the_queue_that_wakes_it(resources: Resources) -> None:
    assert only(resources, "AWS::Lambda::Function", "Deliver")["RecursiveLoop"] == "Allow"
    assert "RecursiveLoop" not in only(resources, "AWS::Lambda::Function", "Capacity")
