"""λ reconcile as its schedule calls it: what it makes, what it tells, and what it never tells."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.lambdas.invoking import Context, log_lines, metrics_in

SECRET_NAME = "intervju med källan"


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


def test_an_upload_that_cannot_be_looked_after_is_counted(
    deployment: Any, function: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="s3")

    deployment.put("uploads/a.mp3")
    monkeypatch.setattr(function._reconciler().registrar.s3, "head_object", refuse)

    assert function.handler({}, Context()) == {"looked": 1, "registered": 0, "faults": 1}
    assert metrics_in(capsys.readouterr().out) == {"ReconcileFaults": 1}


def test_logs_and_metrics_name_ids_and_never_keys(
    deployment: Any,
    function: ModuleType,
    nudges: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployment.put(f"uploads/{SECRET_NAME}.mp3")
    deployment.put(f"uploads/{SECRET_NAME} 2.mp3", **{"avskrift-colour": "blue"})
    spoilt = deployment.registrar().register(deployment.put(f"uploads/{SECRET_NAME} 3.mp3"), time.time())
    deployment.table.put_values({**spoilt.to_dict(), "pk": f"job#{spoilt.job_id}", "attempt": "many"})

    function.handler({}, Context())

    printed = capsys.readouterr().out
    assert metrics_in(printed)["MalformedRows"] == 1
    assert [line["job_id"] for line in log_lines(printed) if line["level"] == "ERROR"] == [spoilt.job_id]
    assert "intervju" not in printed
    assert "uploads/" not in printed
