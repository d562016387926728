"""λ reconcile as its schedule calls it: what it makes, what it tells, and what it never tells."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SECRET_NAME = "intervju med källan"


@dataclass
class Context:
    """What Lambda hands to a handler."""

    function_name: str = "reconcile"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-north-1:123456789012:function:reconcile"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def function(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, with a clock an hour ahead of the uploads."""
    values = {
        "DEPLOYMENT": "test",
        "TABLE": "jobs",
        "BUCKET": deployment.bucket,
        "JOBS_QUEUE_URL": deployment.jobs_queue_url,
        "OUTBOX_QUEUE_URL": deployment.outbox_queue_url,
        "CAPACITY_FUNCTION": "capacity",
        "MAX_SIZE_BYTES": "1000000",
        "JOB_TTL_DAYS": "90",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"AVSKRIFT_{name}", value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "reconcile")
    module = importlib.import_module("lambdas.reconcile")
    hour_ahead = time.time() + 3_600
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: hour_ahead))
    yield module
    module._reconciler.cache_clear()


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What λ capacity is told."""
    told: list[dict[str, Any]] = []

    class Functions:
        def invoke(self, FunctionName: str, InvocationType: str, Payload: str) -> None:
            assert (FunctionName, InvocationType) == ("capacity", "Event")
            told.append(json.loads(Payload))

    monkeypatch.setattr("lambdas.nudge._lambda_client", Functions)
    return told


def metrics_in(printed: str) -> dict[str, float]:
    """The values of the metrics that were printed in CloudWatch's embedded format."""
    lines = [json.loads(line) for line in printed.splitlines() if '"_aws"' in line]
    names = [metric["Name"] for line in lines for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    return {name: line[name][0] for line in lines for name in names}


def test_a_lost_upload_is_registered_and_capacity_told(
    deployment: Any, function: ModuleType, nudges: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.put("uploads/a.mp3")
    deployment.put("uploads/empty.mp3", b"")

    assert function.handler({}, Context()) == {"looked": 2, "registered": 2, "faults": 0}

    (message,) = deployment.messages(deployment.jobs_queue_url)
    assert nudges == [{"source": "nudge", "job_ids": [message["job_id"]]}]
    counted = metrics_in(capsys.readouterr().out)
    assert counted == {"JobsRegistered": 2, "JobsReconciled": 2, "JobsFailed": 1}


def test_with_nothing_lost_nobody_is_bothered(
    function: ModuleType, nudges: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert function.handler({}, Context()) == {"looked": 0, "registered": 0, "faults": 0}

    assert nudges == []
    assert capsys.readouterr().out == "", "an idle deployment writes and counts nothing"


def test_logs_and_metrics_name_ids_and_never_keys(
    deployment: Any,
    function: ModuleType,
    nudges: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployment.put(f"uploads/{SECRET_NAME}.mp3")
    deployment.put(f"uploads/{SECRET_NAME} 2.mp3", **{"avskrift-colour": "blue"})
    spoilt = deployment.registrar().register(deployment.put(f"uploads/{SECRET_NAME} 3.mp3"), time.time())
    deployment.table.put_values({**spoilt.to_dict(), "pk": f"job#{spoilt.job_id}", "attempt": "many"})

    function.handler({}, Context())

    printed = capsys.readouterr().out
    assert metrics_in(printed)["MalformedRows"] == 1
    logged = "".join(str(vars(record)) for record in caplog.records if record.name == function.logger.name)
    assert spoilt.job_id in logged
    assert "intervju" not in logged + printed
    assert "uploads/" not in logged + printed
