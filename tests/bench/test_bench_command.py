"""``scripts/bench`` as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from avskrift.formats import FORMATS

CHECKOUT = Path(__file__).resolve().parents[2]


def bench(*arguments: str, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary)} if temporary else None
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def test_without_a_name_every_bench_is_listed_in_a_line() -> None:
    done = bench()
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["asr", "formats", "pipeline"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pipeline", "--hour"), "pipeline knows no --hour"),
        (("asr", "--full", "--ideas"), "no meaning"),
        (("asr", "--quick", "--full"), "exclude"),
        (("asr", "--full", "--goals"), "exclude"),
        (("asr", "--plot", "/nowhere/at/all.svg"), "no folder"),
    ],
)
def test_options_that_would_be_ignored_are_refused(arguments: tuple[str, ...], said: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_unknown_bench_is_refused_with_those_there_are() -> None:
    done = bench("pipelin")
    assert done.returncode == 2
    assert "pipeline" in done.stderr


@pytest.mark.slow
def test_quick_formats_measure_each_and_all_and_leave_nothing(tmp_path: Path) -> None:
    done = bench("formats", "--quick", "--json", temporary=tmp_path)
    assert done.returncode == 0, done.stderr
    seconds, memory, sizes, goals = json.loads(done.stdout)["sections"]
    everything = [*FORMATS, "all", "all, with --highlight-words"]
    assert [row["name"] for row in seconds["rows"]] == ["read the json", *everything]
    for section in (memory, sizes):
        assert [row["name"] for row in section["rows"]] == everything
    assert all("not judged" in row["name"] for row in goals["rows"]), "goals are those of ten hours"
    assert all(row["median"] > 0 for section in (seconds, memory, sizes) for row in section["rows"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.speech
@pytest.mark.xdist_group("cloud")
def test_quick_pipeline_measures_everything_and_leaves_nothing(tmp_path: Path) -> None:
    done = bench("pipeline", "--quick", "--json", temporary=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["quick"] is True
    assert report["machine"]["cores"] >= 1
    rows = {row["name"].strip(): row for section in report["sections"] for row in section["rows"]}
    assert rows["upload → webhook received"]["median"] > 0
    assert rows["files of them with machine code (pure Python: 0)"]["median"] == 0
    assert rows["import lambdas.register"]["median"] > 0
    assert rows["avskrift / faster-whisper batched, whole process"]["median"] > 0
    assert list(tmp_path.glob("avskrift*")) == []
