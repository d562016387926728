"""What reconcile finds in the table: rows that the index hides, that lag, or that were edited into nonsense."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.reconcile import Reconciler, ReconcileReport
from avskrift.jobs.table import JobTable
from tests.jobs.reconcile_world import (
    SlowTable,
    put_lost,
    registered_ids,
    run,
    set_attribute,
)


def test_rows_that_dynamodb_left_out_are_asked_for_again(deployment: Any, reconciler: Reconciler) -> None:
    for number in range(3):
        deployment.registrar().register(deployment.put(f"uploads/{number}.mp3"), 0.0)

    report = run(replace(reconciler, dynamodb=SlowTable(deployment.dynamodb, 1)))

    assert report == ReconcileReport(looked=3)


def test_a_table_that_answers_nothing_costs_the_run_and_not_the_page(deployment: Any, reconciler: Reconciler) -> None:
    job_ids = put_lost(deployment, "uploads/a.mp3")

    report = run(replace(reconciler, dynamodb=SlowTable(deployment.dynamodb, 0)))

    assert [fault.job_id for fault in report.faults] == [""]
    assert report.faults[0].reason.startswith("TableBusy")
    assert registered_ids(run(reconciler)) == job_ids


@pytest.mark.parametrize("status_key", ["job#completed", "nonsense", None])
def test_a_waiting_job_that_the_index_hides_is_put_back_into_view(
    deployment: Any, reconciler: Reconciler, status_key: str | None
) -> None:
    job = deployment.registrar().register(deployment.put("uploads/a.mp3"), time.time())
    set_attribute(deployment, job.job_id, "status_key", status_key)
    assert list(deployment.table.with_status(JobStatus.QUEUED)) == []

    assert run(reconciler).repaired == [job.job_id]
    assert list(deployment.table.with_status(JobStatus.QUEUED)) == [job]
    assert run(reconciler).repaired == []


def test_a_row_that_names_another_job_changes_nothing_of_that_one(deployment: Any, reconciler: Reconciler) -> None:
    job = deployment.registrar().register(deployment.put("uploads/a.mp3"), time.time())
    set_attribute(deployment, job.job_id, "job_id", "other")
    set_attribute(deployment, job.job_id, "status_key", None)

    assert run(reconciler).malformed == [job.job_id]
    assert deployment.table.get_values("job#other") is None


def test_a_row_that_moves_on_is_not_put_back_where_it_was(deployment: Any, reconciler: Reconciler) -> None:
    job = deployment.registrar().register(deployment.put("uploads/a.mp3"), time.time())
    set_attribute(deployment, job.job_id, "status_key", None)

    class Overtaken(JobTable):
        """An agent claims the job between the look and the repair."""

        def put_in_place(self, job: Job, seen_key: str | None) -> bool:
            self.claim(job.job_id, "i-1", time.time())
            return super().put_in_place(job, seen_key)

    table = Overtaken(deployment.dynamodb, deployment.table.name)
    report = run(replace(reconciler, registrar=replace(reconciler.registrar, table=table)))

    assert (report.repaired, report.faults) == ([], [])
    assert [each.job_id for each in deployment.table.with_status(JobStatus.RUNNING)] == [job.job_id]


@pytest.mark.parametrize("hide", [False, True], ids=["in the index", "hidden from the index"])
def test_a_row_edited_into_nonsense_ends_visibly_and_stops_no_other(
    deployment: Any, reconciler: Reconciler, hide: bool
) -> None:
    job = deployment.registrar().register(deployment.put("uploads/a.mp3"), time.time())
    (lost,) = put_lost(deployment, "uploads/b.mp3")
    set_attribute(deployment, job.job_id, "attempt", "many")
    if hide:
        set_attribute(deployment, job.job_id, "status_key", None)

    report = run(reconciler)

    assert (report.malformed, registered_ids(report), report.faults) == ([job.job_id], [lost], [])
    assert deployment.table.get(job.job_id).status is JobStatus.FAILED
    (message,) = deployment.messages(deployment.outbox_queue_url)
    assert deployment.table.outbox_entry(message["outbox_id"]).type == "job.failed"
    assert run(reconciler).malformed == []


def test_a_job_that_had_ended_before_its_row_was_spoilt_has_no_second_end(
    deployment: Any, reconciler: Reconciler
) -> None:
    job = deployment.registrar().register(deployment.put("uploads/empty.mp3", b""), time.time())
    deployment.messages(deployment.outbox_queue_url)
    set_attribute(deployment, job.job_id, "phases", "gone")

    assert run(reconciler) == ReconcileReport(looked=1, unreadable=[job.job_id])
    assert deployment.messages(deployment.outbox_queue_url) == []
