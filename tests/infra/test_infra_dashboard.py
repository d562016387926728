"""The dashboard shows every metric that no alarm rings for at once, and stays one of the free ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aws_cdk.assertions import Template

from avskrift.jobs.metrics import DIMENSION, NAMESPACE
from tests.infra.catalog_use import catalog

FREE_METRICS = 50


def body_of(template: Template) -> dict[str, Any]:
    """The dashboard's JSON, with the text ``token`` for whatever CloudFormation fills in."""
    ((_, dashboard),) = template.find_resources("AWS::CloudWatch::Dashboard").items()
    body = dashboard["Properties"]["DashboardBody"]
    parts = [body] if isinstance(body, str) else body["Fn::Join"][1]
    return dict(json.loads("".join(part if isinstance(part, str) else "token" for part in parts)))


def metrics_on(body: Mapping[str, Any]) -> Iterator[list[Any]]:
    for widget in body["widgets"]:
        yield from widget["properties"].get("metrics", [])


@pytest.fixture(scope="module")
def body(template: Template) -> dict[str, Any]:
    return body_of(template)


def ringing_by_themselves(template: Template) -> set[str]:
    """Metrics that ring an alarm as soon as they count anything: the list of alarms shows these."""
    alarms = [each["Properties"] for each in template.find_resources("AWS::CloudWatch::Alarm").values()]
    return {
        alarm["MetricName"]
        for alarm in alarms
        if alarm["Threshold"] == 1 and alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    }


def test_every_metric_that_rings_no_alarm_by_itself_is_shown_once_as_it_is_put_together(
    template: Template, body: Mapping[str, Any]
) -> None:
    shown = [one for one in metrics_on(body) if one[0] == NAMESPACE]
    every = {metric.name: metric.statistic for family in catalog().values() for metric in family}

    assert sorted(one[1] for one in shown) == sorted(every.keys() - ringing_by_themselves(template))
    for one in shown:
        assert one[2:4] == [DIMENSION, "avskrift"], one
        assert (one[4:] or [{}])[0].get("stat", "Average") == every[one[1]], one


def test_queues_and_functions_are_shown(body: Mapping[str, Any]) -> None:
    labels = [(one[1], one[4]["label"]) for one in metrics_on(body) if one[0] != NAMESPACE]
    parts = ("register", "reconcile", "capacity", "deliver")
    assert sorted(labels) == sorted(
        [
            *(("ApproximateAgeOfOldestMessage", name) for name in ("uploads", "outbox")),
            *(("Errors", name) for name in parts),
        ]
    )


def test_it_has_no_more_metrics_than_a_free_one(body: Mapping[str, Any]) -> None:
    assert len(list(metrics_on(body))) <= FREE_METRICS


def test_every_alarm_is_on_it(template: Template, body: Mapping[str, Any]) -> None:
    (status,) = [widget for widget in body["widgets"] if widget["type"] == "alarm"]
    assert len(status["properties"]["alarms"]) == len(template.find_resources("AWS::CloudWatch::Alarm"))


def test_limits_are_drawn(synthesize: Any) -> None:
    body = body_of(synthesize(max_usd_per_day=7, max_instances=3, oldest_wait_alarm_s=99))
    drawn = [widget["properties"].get("annotations", {}).get("horizontal", []) for widget in body["widgets"]]
    assert {(line["label"], line["value"]) for lines in drawn for line in lines} == {
        ("max_usd_per_day", 7),
        ("max_instances", 3),
        ("alarm", 99),
    }


def test_it_can_be_left_out(synthesize: Any) -> None:
    synthesize(dashboard=False).resource_count_is("AWS::CloudWatch::Dashboard", 0)


def test_it_is_named_after_the_deployment_and_the_region_as_all_regions_share_dashboards(synthesize: Any) -> None:
    named = {"DashboardName": "staging-eu-north-1"}
    synthesize(name="staging").has_resource_properties("AWS::CloudWatch::Dashboard", named)
