"""`avskrift jobs show`: a job's whole story for people, whatever its row holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from avskrift.cli import app
from avskrift.cli.job_view import job_lines, printable
from avskrift.client import Client, Place
from avskrift.jobs.model import Job, JobError, JobProgress, JobStatus, MalformedRow

NOW = 1_700_000_000.0
REFUSED = {"code": "InsufficientInstanceCapacity", "instance_type": "g6.xlarge"}
SPOT_LAUNCH = {
    "launch_id": "l1",
    "at": NOW,
    "market": "spot",
    "wanted": 2,
    "instances": [],
    "errors": [
        {**REFUSED, "zone": "eu-north-1a"},
        {**REFUSED, "zone": "eu-north-1b"},
        {"code": "MaxSpotInstanceCountExceeded", "instance_type": "", "zone": ""},
    ],
}
ON_DEMAND_LAUNCH = {
    "launch_id": "l2",
    "at": NOW + 60,
    "market": "on-demand",
    "wanted": 2,
    "instances": [{"instance_id": "i-0abc", "instance_type": "g4dn.xlarge", "zone": "eu-north-1a"}],
    "errors": [],
}


def shown(job: Job) -> list[str]:
    return list(job_lines(job))


def test_a_running_job_shows_attempts_and_what_ec2_interrupted(queued_job: Job) -> None:
    job = replace(
        queued_job,
        status=JobStatus.RUNNING,
        attempt=3,
        failures=1,
        interruptions=1,
        instance_id="i-0abc",
        progress=JobProgress(30.0, 120.0),
    )

    lines = shown(job)

    assert "status     running 25%, since 2023-11-14 22:13:20 UTC" in lines
    assert "attempts   3, 1 failed, 1 interrupted by EC2" in lines
    assert "instance   i-0abc" in lines


def test_launches_show_what_each_type_and_zone_answered(queued_job: Job) -> None:
    lines = shown(replace(queued_job, launches=[SPOT_LAUNCH, ON_DEMAND_LAUNCH]))

    assert [line[11:] for line in lines[lines.index("launches   2023-11-14 22:13:20  spot: 0 of 2 instances") :]] == [
        "2023-11-14 22:13:20  spot: 0 of 2 instances",
        "  InsufficientInstanceCapacity: g6.xlarge in eu-north-1a, g6.xlarge in eu-north-1b",
        "  MaxSpotInstanceCountExceeded: anywhere",
        "2023-11-14 22:14:20  on-demand: 1 of 2 instances",
        "  i-0abc: g4dn.xlarge in eu-north-1a",
    ]


def test_an_ended_job_shows_its_results_and_its_error(queued_job: Job) -> None:
    completed = replace(
        queued_job, status=JobStatus.COMPLETED, result={"words": 120, "keys": {"txt": "results/j/transcript.txt"}}
    )
    failed = replace(queued_job, status=JobStatus.FAILED, error=JobError("no_capacity", "No instance could be had."))

    assert "result     words: 120" in shown(completed)
    assert "           txt: results/j/transcript.txt" in shown(completed)
    assert shown(failed)[1].startswith("status     failed (no_capacity), since")
    assert "error      No instance could be had." in shown(failed)


@pytest.mark.parametrize(
    "launch", [{}, {"at": 1e30, "errors": "all", "instances": [7]}, {"at": "noon", "errors": [{}], "wanted": None}]
)
def test_an_audit_edited_into_nonsense_is_shown_for_what_it_is(queued_job: Job, launch: dict[str, Any]) -> None:
    lines = shown(replace(queued_job, launches=[launch], phases={"queued": 1e30}, result={"keys": 3}, cost={"usd": []}))

    assert any(" of None instances" in line for line in lines)


def test_what_controls_a_terminal_is_shown_and_not_obeyed(queued_job: Job) -> None:
    assert "recording  uploads/\\x1b[2Jå\\n.mp3 (1,000,000 bytes)" in shown(
        replace(queued_job, key="uploads/\x1b[2Jå\n.mp3")
    )
    assert printable("'quoted' å") == "'quoted' å"


def test_a_row_that_cannot_be_read_is_one_sentence_that_names_the_job(stack: Any, queued_job: Job) -> None:
    stack.table.put_values({**queued_job.to_dict(), "pk": f"job#{queued_job.job_id}", "phases": "none"})
    client = Client(Place(stack.bucket, stack.table.name, stack.outbox_queue_url))

    with pytest.raises(MalformedRow, match=f"Job {queued_job.job_id} can't be read.*'phases'.*upload the recording"):
        client.job(queued_job.job_id)


def test_the_command_prints_the_lines(stack: Any, queued_job: Job) -> None:
    stack.table.create(queued_job)

    done = CliRunner().invoke(app, ["jobs", "show", queued_job.job_id], catch_exceptions=False)

    assert done.stdout.splitlines() == shown(queued_job)
