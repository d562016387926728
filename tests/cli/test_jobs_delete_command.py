"""`avskrift jobs delete`: what it asks, removes, says and returns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from avskrift.cli import app
from avskrift.cli import jobs as jobs_command
from avskrift.client import Client, Place
from avskrift.errors import ConfigurationError
from avskrift.jobs.cancel import NoSuchJob
from avskrift.jobs.model import Job

NOW = 1_700_000_000.0


def delete(*arguments: str, **settings: Any) -> Result:
    return CliRunner().invoke(app, ["jobs", "delete", *arguments], catch_exceptions=False, **settings)


@pytest.fixture
def waiting(stack: Any) -> Job:
    job: Job = stack.registrar().register(stack.put("uploads/intervju.mp3"), NOW)
    return job


def left_in(stack: Any) -> list[Any]:
    return [*stack.s3.list_object_versions(Bucket=stack.bucket).get("Versions", []), *stack.table.indexed("job#queued")]


def test_a_job_is_deleted_and_counted(stack: Any, waiting: Job) -> None:
    done = delete("--yes", waiting.job_id)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"Job {waiting.job_id} is deleted, with 1 object versions.\n"
    assert left_in(stack) == []


def test_nothing_is_deleted_where_nobody_can_be_asked(stack: Any, waiting: Job) -> None:
    with pytest.raises(ConfigurationError, match="add --yes"):
        delete(waiting.job_id)
    assert len(left_in(stack)) == 2


def test_a_person_is_asked_first(stack: Any, waiting: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_command, "_is_asked", lambda: True)
    for answer, left in (("n\n", 2), ("\n", 2), ("y\n", 0)):
        assert "Delete 1 job with recording and transcript for good?" in delete(waiting.job_id, input=answer).stderr
        assert len(left_in(stack)) == left


def test_of_a_running_job_it_says_who_still_has_to_notice(stack: Any, waiting: Job) -> None:
    stack.table.claim(waiting.job_id, "i-0abc", NOW)
    done = delete("--yes", waiting.job_id)
    assert "i-0abc stops working on it at its next heartbeat" in done.stdout


def test_one_that_is_not_there_stops_no_other_and_is_one_sentence(stack: Any, waiting: Job) -> None:
    done = delete("--yes", "nothing", waiting.job_id)

    assert done.exit_code == 1
    (told,) = done.stderr.splitlines()
    assert "no_such_job" in told and "'nothing'" in told
    assert left_in(stack) == []


def test_json_is_one_object_a_job_and_nothing_on_stderr(stack: Any, waiting: Job) -> None:
    done = delete("--yes", "--json", waiting.job_id, "nothing")

    assert (done.exit_code, done.stderr) == (1, "")
    deleted, refused = (json.loads(line) for line in done.stdout.splitlines())
    assert deleted == {"job_id": waiting.job_id, "versions": 1, "kept_versions": 0, "instance_id": ""}
    assert refused["error"]["code"] == "no_such_job"


def test_who_follows_a_job_that_is_deleted_waits_no_longer(stack: Any, waiting: Job) -> None:
    client = Client(Place(stack.bucket, stack.table.name, stack.outbox_queue_url), poll_s=0.001)
    followed = client.follow(waiting.job_id)
    assert next(followed) == waiting
    client.delete(waiting.job_id)
    with pytest.raises(NoSuchJob, match="was deleted"):
        next(followed)


def test_its_help_shows_examples() -> None:
    assert "avskrift jobs delete 6rltmukcmqxwxbmv5v7b4lq2wy" in delete("--help").stdout
