"""What the functions say of their work: metrics by the deployment alone, and the job's id on every line about it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from avskrift.jobs import metrics
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import JobStatus
from lambdas.telemetry import Counts
from tests.lambdas.invoking import Context, log_lines, metric_lines, metrics_in, record, upload_record

Capture = pytest.CaptureFixture[str]
Functions = dict[str, ModuleType]


def test_the_deployment_is_the_only_dimension(functions: Functions, deployment: Any, capsys: Capture) -> None:
    functions["register"].handler({"Records": [upload_record(deployment, "uploads/a.mp3")]}, Context())
    functions["capacity"].handler({}, Context())

    lines = metric_lines(capsys.readouterr().out)

    assert len(lines) == 2
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == ("avskrift", [["deployment"]])
        assert line["deployment"] == "test"
        assert "service" not in line


def test_units_are_those_of_the_catalog(functions: Functions, deployment: Any, capsys: Capture) -> None:
    functions["register"].handler({"Records": [upload_record(deployment, "uploads/a.mp3")]}, Context())
    functions["capacity"].handler({}, Context())

    by_name = {metric.name: metric for metric in vars(metrics).values() if isinstance(metric, metrics.Metric)}
    said = [
        metric
        for line in metric_lines(capsys.readouterr().out)
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    ]
    assert {metric["Name"]: metric["Unit"] for metric in said} == {
        metric["Name"]: by_name[metric["Name"]].unit for metric in said
    }
    assert {"QueuedJobs", "OldestWait", "SpentToday", "JobsRegistered"} <= {metric["Name"] for metric in said}


def test_counts_are_written_when_a_handler_fails(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("AVSKRIFT_DEPLOYMENT", "test")
    counts = Counts()

    @counts.written
    def handler(_event: Any, _context: Any) -> None:
        counts.count(metrics.CAPACITY_FAULTS, 2)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        handler({}, None)
    assert metrics_in(capsys.readouterr().out) == {"CapacityFaults": 2}
    counts.flush()
    assert capsys.readouterr().out == "", "said once"


def test_none_is_not_counted_but_a_measured_zero_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("AVSKRIFT_DEPLOYMENT", "test")
    counts = Counts()
    counts.count(metrics.LOST_BEATS, 0)
    counts.flush()
    assert capsys.readouterr().out == ""
    counts.measure(metrics.QUEUED_JOBS, 0)
    counts.flush()
    assert metrics_in(capsys.readouterr().out) == {"QueuedJobs": 0}


def test_a_duplicate_event_counts_nothing_more(functions: Functions, deployment: Any, capsys: Capture) -> None:
    records = [upload_record(deployment, "uploads/a.mp3"), upload_record(deployment, "uploads/strange.mp3", 1)]
    records.append(upload_record_of_nothing(deployment))
    for _ in range(2):
        functions["register"].handler({"Records": records}, Context())
    assert metrics_in(capsys.readouterr().out) == {"JobsRegistered": 3, "JobsFailed": 1}


def upload_record_of_nothing(deployment: Any) -> dict[str, Any]:
    """An empty file, which fails at once."""
    upload = deployment.put("uploads/empty.mp3", b"")
    item = {"key": upload.key, "size": 0, "version-id": upload.version_id}
    return record(json.dumps({"detail": {"bucket": {"name": upload.bucket}, "object": item}}), 2)


def test_every_line_about_a_job_has_its_id_from_the_event_to_the_webhook(
    functions: Functions, deployment: Any, capsys: Capture
) -> None:
    upload = deployment.put("uploads/empty.mp3", b"")
    job_id = job_id_for(upload.bucket, upload.key, upload.version_id)
    item = {"key": upload.key, "size": 0, "version-id": upload.version_id}
    event = record(json.dumps({"detail": {"bucket": {"name": upload.bucket}, "object": item}}))

    functions["register"].handler({"Records": [event]}, Context())
    (message,) = deployment.messages(deployment.outbox_queue_url)
    functions["deliver"].handler({"Records": [record(json.dumps(message))]}, Context())

    lines = log_lines(capsys.readouterr().out)
    assert [(line["message"], line["job_id"]) for line in lines] == [("registered", job_id), ("attempt", job_id)]
    body = json.loads(deployment.table.outbox_entry(message["outbox_id"]).body)
    assert body["data"]["job_id"] == job_id


@pytest.fixture
def late_message(functions: Functions, deployment: Any, capsys: Capture) -> dict[str, Any]:
    """What λ deliver is sent about the webhook of a job that ended."""
    functions["register"].handler({"Records": [upload_record_of_nothing(deployment)]}, Context())
    (message,) = deployment.messages(deployment.outbox_queue_url)
    capsys.readouterr()
    return dict(message)


def test_a_webhook_that_can_not_be_attempted_names_its_job(
    functions: Functions, late_message: dict[str, Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def deliver(self, *_: Any) -> None:
            raise ConnectionResetError

    monkeypatch.setattr(functions["deliver"], "_outbox", Refusing)
    functions["deliver"].handler({"Records": [record(json.dumps(late_message)), record("none", 1)]}, Context())

    failed, none = log_lines(capsys.readouterr().out)
    assert (failed["fault"], failed["outbox_id"]) == ("ConnectionResetError", late_message["outbox_id"])
    assert failed["job_id"] == late_message["job_id"]
    assert none.keys().isdisjoint({"job_id", "outbox_id"}), "one message's ids do not stick to the next"


def test_a_webhook_put_aside_names_its_job(
    functions: Functions, deployment: Any, late_message: dict[str, Any], capsys: Capture
) -> None:
    entry = deployment.table.outbox_entry(late_message["outbox_id"])
    deployment.table.put_values({**entry.to_dict(), "attempts": "none", "job_id": 7})
    functions["deliver"].handler({"Records": [record(json.dumps(late_message))]}, Context())
    (line,) = log_lines(capsys.readouterr().out)
    assert (line["level"], line["job_id"]) == ("ERROR", late_message["job_id"])


@pytest.mark.parametrize("said", [{}, {"job_id": 7}, {"job_id": "uploads/hemlig.mp3"}], ids=str)
def test_a_message_that_names_no_job_is_delivered_all_the_same(
    functions: Functions, late_message: dict[str, Any], capsys: Capture, said: dict[str, Any]
) -> None:
    message = {"outbox_id": late_message["outbox_id"], "attempt": 0, **said}
    functions["deliver"].handler({"Records": [record(json.dumps(message))]}, Context())
    (line,) = log_lines(capsys.readouterr().out)
    assert (line["message"], line["job_id"]) == ("attempt", late_message["job_id"])


def test_the_id_is_known_where_the_first_call_fails(
    functions: Functions, deployment: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = upload_record(deployment, "uploads/secret name.mp3")

    class Refusing:
        def take(self, upload: Any, _now: float) -> None:
            raise ConnectionResetError(upload.key)

    monkeypatch.setattr(functions["register"], "_registrar", Refusing)
    functions["register"].handler({"Records": [event]}, Context())

    detail = json.loads(event["body"])["detail"]
    expected = job_id_for(detail["bucket"]["name"], detail["object"]["key"], detail["object"]["version-id"])
    printed = capsys.readouterr().out
    (line,) = log_lines(printed)
    assert (line["job_id"], line["fault"], line["level"]) == (expected, "ConnectionResetError", "ERROR")
    assert "secret name" not in printed


def test_the_id_of_one_record_does_not_stick_to_the_next(
    functions: Functions, deployment: Any, capsys: Capture
) -> None:
    records = [upload_record(deployment, "uploads/a.mp3"), record("not json", 1)]
    functions["register"].handler({"Records": records}, Context())
    registered, malformed, _nudge = log_lines(capsys.readouterr().out)
    assert "job_id" in registered
    assert "job_id" not in malformed


def test_what_capacity_does_about_a_job_names_it(functions: Functions, deployment: Any, capsys: Capture) -> None:
    functions["register"].handler({"Records": [upload_record(deployment, "uploads/a.mp3")]}, Context())
    (job,) = deployment.table.with_status(JobStatus.QUEUED)
    deployment.client("ssm").put_parameter(Name="/ami", Value="none", Overwrite=True)
    capsys.readouterr()

    functions["capacity"].handler({}, Context())

    printed = capsys.readouterr().out
    (action,) = [line for line in log_lines(printed) if line["message"] == "action"]
    assert (action["action"], action["job_id"], action["error"]) == ("fail", job.job_id, "no_capacity")
    counted = metrics_in(printed)
    assert (counted["JobsFailed"], counted["ImageMissing"], counted["BarrenPasses"]) == (1, 1, 1)


def test_attempts_are_counted_and_waiting_is_none(functions: Functions, deployment: Any, capsys: Capture) -> None:
    """The receiver is nobody: the first attempt fails, and the message for the second comes too early."""
    functions["register"].handler({"Records": [upload_record_of_nothing(deployment)]}, Context())
    (message,) = deployment.messages(deployment.outbox_queue_url)
    capsys.readouterr()

    functions["deliver"].handler({"Records": [record(json.dumps(message))]}, Context())
    assert metrics_in(capsys.readouterr().out) == {"WebhookAttempts": 1, "WebhookFailures": 1}

    functions["deliver"].handler({"Records": [record(json.dumps({**message, "attempt": 1}))]}, Context())
    printed = capsys.readouterr().out
    assert metrics_in(printed) == {}
    assert [line["message"] for line in log_lines(printed)] == ["not due yet"]


def test_a_webhook_given_up_is_counted(functions: Functions, deployment: Any, capsys: Capture) -> None:
    functions["register"].handler({"Records": [upload_record_of_nothing(deployment)]}, Context())
    (message,) = deployment.messages(deployment.outbox_queue_url)
    entry = deployment.table.outbox_entry(message["outbox_id"])
    spent = [{"at": 1.0, "status": 500, "duration_s": 0.1, "answer": ""}] * 9
    deployment.table.put_values({**entry.to_dict(), "attempts": spent})
    capsys.readouterr()

    functions["deliver"].handler({"Records": [record(json.dumps({**message, "attempt": 9}))]}, Context())

    assert metrics_in(capsys.readouterr().out) == {"WebhookAttempts": 1, "WebhookFailures": 1, "WebhooksAbandoned": 1}


def test_no_function_uses_metrics_of_its_own_making() -> None:
    """Powertools' Metrics adds a dimension and warns of idle invocations."""
    folder = Path(__file__).resolve().parents[2] / "lambdas"
    for path in folder.glob("*.py"):
        assert "import Metrics" not in path.read_text(), path.name
        assert "add_metric" not in path.read_text() or path.name == "telemetry.py", path.name
