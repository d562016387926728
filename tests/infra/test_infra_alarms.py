"""What somebody must hear of sets off an alarm, which reads what the code really says and has a page in the runbook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from aws_cdk.assertions import Template

from avskrift.jobs.metrics import DIMENSION, LAUNCH_FAULTS, NAMESPACE
from tests.infra.catalog_use import CHECKOUT, catalog, emitted, emitted_by
from tests.lambdas.watching import NEW, CloudWatch

TOPIC_ARN = "arn:aws:sns:eu-north-1:123456789012:on-call"
RUNBOOK = (CHECKOUT / "docs" / "operations.md").read_text()


def alarms_of(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Every alarm's properties, by its name without the deployment's."""
    found = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return {each["AlarmName"].removeprefix("avskrift-"): each for each in found}


@pytest.fixture(scope="session")
def alarms(resources: Mapping[str, Any]) -> dict[str, Any]:
    return alarms_of(resources)


def test_alarms_on_our_metrics_read_what_the_code_emits(alarms: Mapping[str, Any]) -> None:
    said = {metric.name: metric for metric in emitted()}
    ours = {name: alarm for name, alarm in alarms.items() if alarm["Namespace"] == NAMESPACE}

    for name, alarm in ours.items():
        assert alarm["MetricName"] in said, name
        assert alarm["Statistic"] == said[alarm["MetricName"]].statistic, name
        assert alarm["Dimensions"] == [{"Name": DIMENSION, "Value": "avskrift"}], name
    assert ours.keys() == {
        *("oldest-wait", "jobs-unserved", "malformed-rows", "webhooks-failing", "webhooks-abandoned"),
        *("launch-failures", "overdue-instances", "spend-warning", "spend-limit"),
    }


def test_every_metric_of_the_catalog_is_emitted_by_somebody() -> None:
    unsaid = {metric.name for family in catalog().values() for metric in family} - {one.name for one in emitted()}
    assert unsaid == set()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("counts.count(metrics.LOST_BEATS, 2)", {"LostBeats"}),
        ("told = {metrics.BOOT: 1.0}", {"Boot"}),
        ("told[metrics.AUDIO] = 2.0", {"Audio"}),
        ("from avskrift.jobs.metrics import BOOT as B\nservices.measure({B: 1.0}, job)", {"Boot"}),
        ("told[metrics.PHASES['stored']] = 1.0", {"PhaseStored"}),
        ("counts.measure(metrics.LAUNCH_FAULTS[kind], n)", {one.name for one in LAUNCH_FAULTS.values()}),
        ("is_busy = metric is not metrics.SPENT_TODAY", set()),
        ("value = told[metrics.AUDIO]", set()),
        ("value = told.get(metrics.PHASES['stored'])", set()),
        ("from avskrift.jobs.metrics import BOOT", set()),
        ("counts.count(BOOT)", set()),
    ],
)
def test_only_what_is_emitted_counts_as_such(code: str, names: set[str]) -> None:
    assert {metric.name for metric in emitted_by(code)} == names


def test_a_metric_that_nobody_emits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.infra.catalog_use.EMITTERS", ("avskrift/webhooks",))
    assert emitted() == set()


@pytest.mark.parametrize("queue", ["uploads", "jobs", "outbox"])
def test_a_dead_letter_sets_off_an_alarm(alarms: Mapping[str, Any], queue: str) -> None:
    alarm = alarms[f"{queue}-dlq"]
    assert f"{queue.capitalize()}Dlq" in alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateNumberOfMessagesVisible", "Maximum")
    assert sets_off_at(alarm, 1, periods=1)


@pytest.mark.parametrize(("queue", "age_s"), [("uploads", 600), ("outbox", 1_800)])
def test_messages_that_nobody_takes_set_off_an_alarm(alarms: Mapping[str, Any], queue: str, age_s: int) -> None:
    alarm = alarms[f"{queue}-age"]
    (dimension,) = alarm["Dimensions"]
    assert f"{queue.capitalize()}" in dimension["Value"]["Fn::GetAtt"][0]
    assert "Dlq" not in dimension["Value"]["Fn::GetAtt"][0]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateAgeOfOldestMessage", "Maximum")
    assert sets_off_at(alarm, age_s, periods=1)


@pytest.mark.parametrize(("function", "period_s", "most"), [("capacity", 300, 3), ("reconcile", 1_800, 2)])
def test_no_beat_of_the_control_plane_sets_off_an_alarm(
    alarms: Mapping[str, Any], function: str, period_s: int, most: int
) -> None:
    """Not called at all, which Lambda says by saying nothing; or called, and most runs fail."""
    silent, failing = alarms[f"{function}-no-beat"], alarms[f"{function}-failing"]
    for alarm in (silent, failing):
        (dimension,) = alarm["Dimensions"]
        assert function.capitalize() in dimension["Value"]["Ref"]
        assert (alarm["Namespace"], alarm["Statistic"]) == ("AWS/Lambda", "Sum")
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (period_s, 2)
    assert (silent["MetricName"], silent["Threshold"]) == ("Invocations", 1)
    assert (silent["ComparisonOperator"], silent["TreatMissingData"]) == ("LessThanThreshold", "breaching")
    assert (failing["MetricName"], failing["Threshold"]) == ("Errors", most)
    assert failing["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert failing["TreatMissingData"] == "notBreaching"


DEPLOYED = 1_800_090.0
"""Seconds: in the middle of a period."""
HOURS = 2


def idling(alarms: Mapping[str, Any], beats_end: float = 60.0 * HOURS) -> CloudWatch:
    """The first hours of a deployment to which nothing is uploaded; its functions are called until that minute."""
    watch = CloudWatch(alarms)
    for minute in range(60 * HOURS):
        now = DEPLOYED + 60 * minute
        watch.pass_time(now)
        for name, every_min in (("capacity", 1), ("reconcile", 10)):
            if 0 < minute < beats_end and minute % every_min == 0:
                watch.values[f"{name}-no-beat"].append((now, 1.0))
    return watch


def test_a_fresh_deployment_tells_of_no_more_than_the_beats_that_have_yet_to_come(alarms: Mapping[str, Any]) -> None:
    watch = idling(alarms)
    assert watch.told() == [("capacity-no-beat", "ALARM"), ("reconcile-no-beat", "ALARM")]
    assert {name: watch.states(name)[-1] for name in alarms} == {**dict.fromkeys(alarms, "OK"), "spend-warning": NEW}


def test_alarms_that_told_of_their_end_would_tell_each_time_one_is_made(alarms: Mapping[str, Any]) -> None:
    """Why none does: every one that is fine would say so at the first deployment."""
    talking = {name: {**alarm, "OKActions": [TOPIC_ARN]} for name, alarm in alarms.items()}
    assert {name for name, state in idling(talking).told() if state == "OK"} == alarms.keys() - {"spend-warning"}


def test_functions_that_are_called_no_more_are_told_of(alarms: Mapping[str, Any]) -> None:
    told = idling(alarms, beats_end=40).told()
    assert sorted(told) == [("capacity-no-beat", "ALARM")] * 2 + [("reconcile-no-beat", "ALARM")] * 2


def test_what_a_deployment_mends_by_itself_must_last(alarms: Mapping[str, Any]) -> None:
    assert sets_off_at(alarms["launch-failures"], 1, periods=3)
    assert sets_off_at(alarms["overdue-instances"], 1, periods=3)


def test_thresholds_follow_the_settings(alarms: Mapping[str, Any], synthesize: Any) -> None:
    assert alarms["oldest-wait"]["Threshold"] == 1_800
    assert alarms["spend-warning"]["Threshold"] == 40
    changed = alarms_of(synthesize(oldest_wait_alarm_s=60, max_usd_per_day=5).to_json()["Resources"])
    assert (changed["oldest-wait"]["Threshold"], changed["spend-warning"]["Threshold"]) == (60, 4)


def test_the_days_spend_is_told_once_however_often_work_comes(alarms: Mapping[str, Any]) -> None:
    """It is said while there is work; between two jobs of a day nothing is said, and nothing has changed."""
    assert alarms["spend-warning"]["TreatMissingData"] == "ignore"


def sets_off_at(alarm: Mapping[str, Any], threshold: float, periods: int) -> bool:
    """Whether so much in so many periods of five minutes does it, and silence does not."""
    return (
        alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        and (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (threshold, periods, 300)
        and alarm["TreatMissingData"] == "notBreaching"
    )


def test_every_alarm_has_its_paragraph_and_says_where(alarms: Mapping[str, Any]) -> None:
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].endswith(f"docs/operations.md#{name}")
        paragraph = re.search(rf"^## {name}\n(.+?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE)
        assert paragraph, f"docs/operations.md lacks ## {name}"
        for part in ("**Means.**", "**Look.**", "**Do.**", "```"):
            assert part in paragraph[1], f"{name} lacks {part}"


def test_the_runbook_has_no_alarm_that_is_gone(alarms: Mapping[str, Any]) -> None:
    described = set(re.findall(r"^## ([a-z-]+)$", RUNBOOK, re.MULTILINE))
    assert described == alarms.keys()


def test_alarms_tell_a_topic_of_their_own_over_tls_only(template: Template, alarms: Mapping[str, Any]) -> None:
    ((topic_id, _),) = template.find_resources("AWS::SNS::Topic").items()
    ((_, policy),) = template.find_resources("AWS::SNS::TopicPolicy").items()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]

    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": topic_id}]
    (denied,) = [each for each in statements if each["Effect"] == "Deny"]
    assert (denied["Principal"], denied["Condition"]) == ("*", {"Bool": {"aws:SecureTransport": "false"}})
    (allowed,) = [each for each in statements if each["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert ":alarm:avskrift-*" in str(allowed["Condition"]["ArnLike"])


def test_an_address_is_subscribed_and_the_key_encrypts(synthesize: Any) -> None:
    told: Template = synthesize(alarm_email="ops@example.org", customer_key=True)
    told.has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "ops@example.org"})
    ((key_id, _),) = told.find_resources("AWS::KMS::Key").items()
    told.has_resource_properties("AWS::SNS::Topic", {"KmsMasterKeyId": {"Fn::GetAtt": [key_id, "Arn"]}})


def test_alarms_tell_the_topic_that_is_named(synthesize: Any) -> None:
    told: Template = synthesize(alarm_topic_arn=TOPIC_ARN)
    told.resource_count_is("AWS::SNS::Topic", 0)
    named = alarms_of(told.to_json()["Resources"])
    assert {alarm["AlarmActions"][0] for alarm in named.values()} == {TOPIC_ARN}


def test_the_life_of_a_job_is_asked_of_every_log(template: Template) -> None:
    ((_, query),) = template.find_resources("AWS::Logs::QueryDefinition").items()
    groups = template.find_resources("AWS::Logs::LogGroup")
    assert {each["Ref"] for each in query["Properties"]["LogGroupNames"]} == set(groups)
    assert "job_id" in query["Properties"]["QueryString"]
