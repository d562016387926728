"""The client commands against the deployed stack, and the demo as a newcomer runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cloud, pytest.mark.speech, pytest.mark.xdist_group("cloud")]
CHECKOUT = Path(__file__).resolve().parents[2]


def avskrift(chain: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avskrift", *arguments, "--local", "--cloud-dir", str(chain.cloud.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)


def test_submit_waits_and_saves_the_results_and_delete_removes_them(chain: Any, tmp_path: Path) -> None:
    sample = CHECKOUT / "samples" / "en.ogg"
    options = ("--option", "language=en", "--option", "formats=txt,srt")
    done = avskrift(chain, "submit", str(sample), *options, "--wait", "--output-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    saved = [Path(line) for line in done.stdout.splitlines()]
    assert {path.suffix for path in saved} == {".txt", ".srt"}
    job_id = saved[0].parent.name
    listed = avskrift(chain, "jobs", "list", "--json", "--status", "completed")
    assert job_id in {json.loads(line)["job_id"] for line in listed.stdout.splitlines()}
    shown = json.loads(avskrift(chain, "jobs", "show", "--json", job_id).stdout)
    assert (shown["status"], shown["options"]["language"]) == ("completed", "en")
    deleted = json.loads(avskrift(chain, "jobs", "delete", "--yes", "--json", job_id).stdout)
    assert deleted["versions"] == 4, "the recording, two formats and job.json"
    versions = chain.s3.list_object_versions(Bucket=chain.bucket)
    kept = [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]
    assert [one["Key"] for one in kept if job_id in one["Key"] or one["Key"] == shown["key"]] == []
    assert "no_such_job" in avskrift(chain, "jobs", "show", job_id).stderr


def test_submit_of_a_bad_file_fails_with_the_sentence(chain: Any, tmp_path: Path) -> None:
    letter = tmp_path / "letter.mp3"
    letter.write_text("Dear sir, this is no sound.")
    done = avskrift(chain, "submit", str(letter), "--wait")
    assert done.returncode == 1
    assert "unsupported_media" in done.stderr


def test_unknown_job_is_one_sentence(chain: Any) -> None:
    done = avskrift(chain, "jobs", "show", "nothing")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_the_doctor_finds_the_local_cloud_well_and_says_what_it_can_not_ask(chain: Any) -> None:
    done = avskrift(chain, "doctor", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (0, True), done.stdout
    levels = {check["name"]: check["level"] for check in told["checks"]}
    assert {levels[name] for name in ("stack", "image", "callback", "bucket", "λ capacity", "webhook secret")} == {
        "green"
    }
    (quotas,) = [check for check in told["checks"] if check["name"] == "quotas"]
    assert "the local cloud does not answer" in quotas["detail"]


@pytest.mark.slow
def test_demo_prints_one_object_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [CHECKOUT / "scripts" / "demo", "--json", "--cloud-dir", tmp_path / "cloud", "--output-dir", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (job,) = result["jobs"]
    assert (job["status"], job["webhook"]["verified"], job["error"]) == ("completed", True, None)
    assert all(Path(path).is_file() for path in job["results"].values())
    assert result["instances"]["launched"] == result["instances"]["terminated"] > 0
    assert result["left_running"] == []
