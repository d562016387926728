"""``scripts/simulate`` as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.simulation", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def test_json_is_one_object_alone_on_stdout(tmp_path: Path) -> None:
    drawn, written = tmp_path / "plot.svg", tmp_path / "tables.md"
    files = ("--plot", str(drawn), "--markdown", str(written))
    done = simulate("-n", "50", "-n", "100", "--fleet", "both", "--json", *files)
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [(run["uploads_per_day"], run["fleet"]) for run in runs] == [
        (50, "draining"),
        (50, "one-shot"),
        (100, "draining"),
        (100, "one-shot"),
    ]
    for run in runs:
        assert run["jobs"]["lost"] == 0
        assert run["violations"] == []
        assert run["latency_s"]["p50"] <= run["latency_s"]["p95"] <= run["latency_s"]["p99"]
        assert run["limits"][0]["share"] >= run["limits"][1]["share"]
    assert drawn.read_text(encoding="utf-8").startswith("<svg")
    first_table = written.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    assert [line.split(" | ")[:2] for line in first_table[2:]][-1] == ["| 100", "one-shot"]
    assert len({line.count("|") for line in first_table}) == 1, "every row has every column"


def test_table_shows_the_runs_side_by_side() -> None:
    done = simulate("-n", "20", "--fleet", "both", "--arrivals", "burst", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "upload → webhook, p99" in done.stdout
    assert "draining" in done.stdout
    assert "one-shot" in done.stdout


def test_limits_of_the_deployment_are_the_policys() -> None:
    done = simulate("-n", "300", "--arrivals", "burst", "--max-instances", "2", "--json")
    (run,) = json.loads(done.stdout)["runs"]
    assert run["max_instances"] == run["instances"]["peak"] == 2


def test_a_day_without_money_fails_its_jobs_and_loses_none() -> None:
    done = simulate("-n", "30", "--max-usd-per-day", "0.01", "--json")
    (run,) = json.loads(done.stdout)["runs"]
    assert done.returncode == 0, done.stderr
    assert run["jobs"]["ended"]["failed: no_capacity"] > 0
    assert run["jobs"]["lost"] == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--uploads-per-day"),
        (("-n", "0"), "-n"),
        (("-n", "9", "--fleet", "flotilla"), "draining"),
        (("-n", "9", "--plot", "absent/x.svg"), "absent"),
    ],
)
def test_wrong_usage_is_refused_with_what_is_right(arguments: tuple[str, ...], word: str) -> None:
    done = simulate(*arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stdout == ""


def test_ctrl_c_ends_it_with_130() -> None:
    command = [sys.executable, "-m", "bench.simulation", "-n", "100", "-n", "3000000", "--json"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "100 a day" in running.stderr.readline(), "the small run is done, the long one has begun"
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(timeout=60) == 130
        assert running.stdout is not None
        assert running.stdout.read() == ""
