"""The handlers as Lambda calls them: batches, partial failures, passes under the lease."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.lease import Lease
from avskrift.jobs.model import Job, JobError, JobStatus
from avskrift.jobs.outbox import PENDING_KEY, outbox_entry_for
from avskrift.jobs.table import failed_job
from tests.lambdas.conftest import HANDLERS
from tests.lambdas.invoking import Context, record, upload_record


def test_one_malformed_message_never_holds_up_the_others(deployment: Any, functions: Any) -> None:
    records = [record("not json", 0), upload_record(deployment, "uploads/a.mp3", 1)]
    answer = functions["register"].handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": []}
    assert len(list(deployment.table.with_status(JobStatus.QUEUED))) == 1


def test_registration_stands_when_capacity_cannot_be_nudged(deployment: Any, functions: Any) -> None:
    functions["register"].handler({"Records": [upload_record(deployment, "uploads/a.mp3")]}, Context())
    assert len(deployment.messages(deployment.jobs_queue_url)) == 1


def test_only_the_upload_that_failed_comes_again(
    deployment: Any, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [upload_record(deployment, f"uploads/{number}.mp3", number) for number in range(2)]
    registrar = functions["register"]._registrar()

    class FaultyTable:
        def create(self, job: Job, *rest: Any) -> bool:
            if job.key.endswith("0.mp3"):
                raise ConnectionResetError("throttled")
            return bool(deployment.table.create(job, *rest))

    monkeypatch.setattr(functions["register"], "_registrar", lambda: replace(registrar, table=FaultyTable()))
    answer = functions["register"].handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_capacity_launches_for_a_queued_job(deployment: Any, functions: Any) -> None:
    functions["register"].handler({"Records": [upload_record(deployment, "uploads/a.mp3")]}, Context())
    assert functions["capacity"].handler({"source": "nudge"}, Context()) == {"passes": 1}
    reservations = deployment.client("ec2").describe_instances()["Reservations"]
    assert len(reservations[0]["Instances"]) == 1


def test_capacity_leaves_when_another_pass_runs(deployment: Any, functions: Any) -> None:
    import time

    other = Lease(deployment.dynamodb, "jobs", "other", 60)
    assert other.acquire(time.time()) == []
    assert functions["capacity"].handler({}, Context()) == {"passes": 0}
    assert other.release() == []


def test_deliver_attempts_the_entry_and_drops_nonsense(deployment: Any, functions: Any) -> None:
    deployment.registrar(default_callback_url="http://127.0.0.1:9/nobody", insecure_callbacks=True).register(
        deployment.put("uploads/empty.mp3", b""), 1_700_000_000.0
    )
    (message,) = deployment.messages(deployment.outbox_queue_url)
    records = [record("{}", 0), record(json.dumps(message), 1)]
    assert functions["deliver"].handler({"Records": records}, Context()) == {"batchItemFailures": []}
    entry = deployment.table.outbox_entry(message["outbox_id"])
    assert [attempt["status"] for attempt in entry.attempts] == [0]


def test_rows_edited_into_nonsense_stop_no_function(deployment: Any, functions: Any, queued_job: Job) -> None:
    upload = {"Records": [upload_record(deployment, "uploads/edited.mp3")]}
    functions["register"].handler(upload, Context())
    (job_id,) = [job.job_id for job in deployment.table.with_status(JobStatus.QUEUED)]
    deployment.table.put_values({**deployment.table.job_values(job_id), "attempt": "one"})
    entry = outbox_entry_for(failed_job(queued_job, JobError("internal", "x"), 1.0), 1.0)
    deployment.table.put_values({**entry.to_dict(), "attempts": "none"})

    assert functions["register"].handler(upload, Context()) == {"batchItemFailures": []}, "a duplicate event"
    message = record(json.dumps({"outbox_id": entry.outbox_id, "attempt": 0}))
    assert functions["deliver"].handler({"Records": [message]}, Context()) == {"batchItemFailures": []}
    functions["capacity"].handler({}, Context())
    functions["capacity"].handler({}, Context())

    ended = deployment.table.get(job_id)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "internal")
    assert entry.outbox_id not in {values["outbox_id"] for values in deployment.table.indexed(PENDING_KEY)}


def test_missing_setting_is_named(functions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from avskrift.errors import ConfigurationError
    from lambdas.environment import Environment

    monkeypatch.delenv("AVSKRIFT_TABLE")
    with pytest.raises(ConfigurationError, match="AVSKRIFT_TABLE"):
        Environment().text("TABLE")


@pytest.mark.parametrize("name", HANDLERS)
def test_handler_imports_no_compiled_speech_library(name: str) -> None:
    code = (
        "import sys, importlib; importlib.import_module('lambdas." + name + "');"
        "print([m for m in ('numpy', 'av', 'ctranslate2', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
