"""One job in the deployed stack as its operator sees it: one id in every log, metrics, alarms and the dashboard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from avskrift.jobs.model import JobStatus
from avskrift.local.aws import REGION
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.xdist_group("cloud")]


def lines_of(chain: Any, part: str) -> list[dict[str, Any]]:
    """What a part wrote: log lines and metrics, without Lambda's own words."""
    logs = chain.cloud.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/avskrift/avskrift/{part}")
    messages = [event["message"] for page in pages for event in page["events"]]
    return [json.loads(message) for message in messages if message.startswith("{")]


def test_one_id_leads_from_the_upload_to_the_webhook_that_arrived(chain: Any, unique: str) -> None:
    chain.receiver.answer_next([500])  # the agent's attempt; the next one is deliver's
    job_id = chain.put(f"uploads/{unique}/secret-name.mp3", b"no audio at all")
    job, reception = chain.await_end(job_id)
    assert job.status is JobStatus.FAILED
    assert reception.event["data"]["job_id"] == job_id

    def told_by(part: str) -> list[dict[str, Any]]:
        return [line for line in lines_of(chain, part) if line.get("job_id") == job_id and "_aws" not in line]

    await_condition(lambda: told_by("deliver"), 30, "deliver's line")
    await_condition(lambda: any(line.get("status") == "failed" for line in told_by("agent")), 30, "the agent's lines")
    assert [line["message"] for line in told_by("register")] == ["registered"]
    assert [(line["state"], line["http_status"]) for line in told_by("deliver")][-1] == ("delivered", 204)
    for part in ("register", "capacity", "deliver", "agent"):
        assert "secret-name" not in json.dumps(lines_of(chain, part)), part
    check_dimensions(chain)
    chain.await_empty()


def check_dimensions(chain: Any) -> None:
    """Every part measures by the deployment alone."""
    directives = [
        directive
        for part in ("register", "capacity", "deliver", "agent")
        for line in lines_of(chain, part)
        if "_aws" in line
        for directive in line["_aws"]["CloudWatchMetrics"]
    ]
    assert directives
    assert {(one["Namespace"], str(one["Dimensions"])) for one in directives} == {("avskrift", "[['deployment']]")}


def test_alarms_and_dashboard_are_there(chain: Any) -> None:
    cloudwatch = chain.cloud.client("cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert "avskrift-capacity-no-beat" in alarms
    topic = chain.cloud.outputs["AlarmTopicArn"]
    assert {tuple(alarm["AlarmActions"]) for alarm in alarms.values()} == {(topic,)}
    body = json.loads(cloudwatch.get_dashboard(DashboardName=f"avskrift-{REGION}")["DashboardBody"])
    assert len(body["widgets"]) > 10
