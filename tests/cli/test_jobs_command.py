"""`avskrift submit` and `avskrift jobs` against a deployment in moto, with names as strangers choose them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from avskrift import client
from avskrift.cli import app
from avskrift.client import Client, NoSuchJob, Place
from avskrift.jobs.model import Job

ODD_NAME = "a [/b] [red]x[/red] x:100:y.ogg"
ODD_FILE = "a [b] [red]x x:100:y.ogg"

pytestmark = pytest.mark.usefixtures("stack")
runner = CliRunner()


@pytest.fixture
def odd_job(deployment: Any, queued_job: Job) -> Job:
    job = replace(queued_job, key=f"uploads/{ODD_NAME}")
    deployment.table.create(job)
    return job


def run(*arguments: str) -> str:
    done = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_key_that_looks_like_markup_is_shown_as_it_is(odd_job: Job) -> None:
    assert f"uploads/{ODD_NAME}" in run("jobs", "list")
    assert f"uploads/{ODD_NAME}" in run("jobs", "show", odd_job.job_id)


def test_json_holds_the_key_as_it_is(odd_job: Job) -> None:
    (line,) = run("jobs", "list", "--json").splitlines()

    assert json.loads(line)["job_id"] == odd_job.job_id
    assert odd_job.key in line
    assert json.loads(run("jobs", "show", "--json", odd_job.job_id))["key"] == odd_job.key


def test_submit_shows_a_name_that_looks_like_markup_as_it_is(
    tmp_path: Path, deployment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")  # no progress is drawn on anything else
    monkeypatch.setattr("avskrift.cli.jobs.err", Console(stderr=True, force_terminal=True))
    recording = tmp_path / ODD_FILE
    recording.write_bytes(b"sound")

    done = runner.invoke(app, ["submit", str(recording)], catch_exceptions=False)

    assert done.exit_code == 0, done.stderr
    assert f"upload {ODD_FILE}" in done.stderr
    (stored,) = deployment.s3.list_objects_v2(Bucket="recordings")["Contents"]
    assert stored["Key"].endswith(f"/{ODD_FILE}")


def test_a_job_that_never_appears_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "REGISTRATION_TIMEOUT_S", 0.0)

    with pytest.raises(NoSuchJob, match="was not registered"):
        Client(Place("recordings", "jobs", "outbox"), poll_s=0.001).wait("nothing")
