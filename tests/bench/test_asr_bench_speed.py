"""Who runs when in ``scripts/bench asr``, what its processes cost, and what it concludes."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from avskrift.asr import embedded
from avskrift.errors import WorkerCrashed
from bench.asr import plot, reach
from bench.asr.contest import INSTALLED, OURS, SEQUENTIAL, TUNED, Contestant, Entry, Outcome, Results, environment
from bench.asr.contest import in_turn as turns
from bench.asr.engine_run import share_retried
from bench.asr.measured import Server, Usage, descendants, run
from bench.asr.report import AsrReport, Grid, Part
from bench.asr.speed import Distance, row_of
from bench.speech import Recording

CHECKOUT = Path(__file__).resolve().parents[2]
LONG, CLIP = Recording(Path("long.wav"), 600.0, "hej"), Recording(Path("clip.wav"), 10.0, "")


def outcomes(*walls: float, peak_mb: float = 800.0) -> list[tuple[int, Outcome]]:
    return [(number, Outcome(Usage(wall, 2 * wall, 1000, peak_mb), "hej")) for number, wall in enumerate(walls)]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_every_round_begins_with_another_entry() -> None:
    entries = [Entry(contestant, LONG, 3) for contestant in (OURS, INSTALLED, TUNED)]
    order = [entry.contestant for _, entry in turns(entries, 3)]
    assert order == [OURS, INSTALLED, TUNED, INSTALLED, TUNED, OURS, TUNED, OURS, INSTALLED]


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_an_entry_gets_its_rounds_among_those_of_the_others(rounds: int) -> None:
    often, seldom = Entry(OURS, LONG, 5), Entry(TUNED, LONG, rounds)
    ran = list(turns([often, seldom], 5))
    assert [number for number, entry in ran if entry is often] == [0, 1, 2, 3, 4]
    assert sum(entry is seldom for _, entry in ran) == rounds


def test_what_happens_to_be_set_here_reaches_no_contestant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    monkeypatch.setenv("CT2_FORCE_CPU_ISA", "GENERIC")
    assert "MALLOC_ARENA_MAX" not in environment(INSTALLED)
    assert "CT2_FORCE_CPU_ISA" not in environment(OURS)
    assert environment(TUNED)["MALLOC_ARENA_MAX"] == "1"


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    child = "x = bytearray(60 << 20); sum(range(30_000_000))"
    finished = run(
        python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done')"), {}
    )
    assert finished.stdout == "done\n"
    assert finished.usage.wall_s > 0
    assert finished.usage.cpu_s > 0
    assert finished.usage.page_faults > 60 * 256 / 4
    assert finished.usage.peak_mb is not None
    assert finished.usage.peak_mb > 60


def test_a_process_that_fails_is_reported_with_its_last_words() -> None:
    with pytest.raises(WorkerCrashed, match="no such model"):
        run(python("import sys; sys.exit('no such model')"), {})


ECHO = "import sys\nprint('{\"load_s\": 1}', flush=True)\nfor line in sys.stdin: print(line, end='', flush=True)"


def test_a_server_answers_line_by_line_and_leaves_at_the_end() -> None:
    with Server(python(ECHO), {}) as server:
        pid = server._process.pid
        assert server.ready == {"load_s": 1}
        assert [server.ask({"n": n})[0] for n in (1, 2)] == [{"n": 1}, {"n": 2}]
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_ends_instead_of_answering_is_reported() -> None:
    with pytest.raises(WorkerCrashed, match="no weights"):
        Server(python("import sys; sys.exit('no weights')"), {})


def verdicts(results: Results, loads: Sequence[float] = (0.9,)) -> dict[str, str]:
    return dict(reach.part(results, loads).grid.rows)  # type: ignore[arg-type]


def test_goals_compare_within_a_round() -> None:
    """One slow round of both changes nothing; medians of each alone would."""
    results: Results = {
        Entry(OURS, LONG, 3): outcomes(10, 30, 10),
        Entry(INSTALLED, LONG, 3): outcomes(20, 60, 20),
        Entry(INSTALLED, LONG, 3, timed=True): outcomes(90, 90, 90),
    }
    seen = verdicts(results)
    (speed,) = [name for name in seen if "text only" in name]
    assert "wanted ≥ 1.8, seen 2.00× (2.00–2.00, 3 runs)" in speed
    assert seen[speed] == "yes"
    assert not any("srt" in name for name in seen)


def test_a_goal_that_is_missed_is_said_to_be() -> None:
    slow: Results = {
        Entry(OURS, LONG, 1): outcomes(10, peak_mb=1600.0),
        Entry(INSTALLED, LONG, 1): outcomes(15),
        Entry(OURS, CLIP, 1): outcomes(2.0),
        Entry(SEQUENTIAL, CLIP, 1): outcomes(1.5),
    }
    seen = verdicts(slow, loads=(1.2, 0.9, 1.3))
    assert set(seen.values()) == {"NO"}
    assert any("peak" in name and "1600 MB" in name for name in seen)
    assert any("clip" in name and "seen 0.50 s" in name for name in seen)
    assert any("model load" in name and "seen 1.20 s" in name for name in seen)


def test_a_goal_is_judged_where_both_ran_most_often() -> None:
    hour = replace(LONG, path=Path("hour.flac"), duration_s=3600.0)
    results: Results = {
        Entry(OURS, LONG, 2): outcomes(10, 10),
        Entry(INSTALLED, LONG, 2): outcomes(20, 20),
        Entry(OURS, hour, 1): outcomes(10),
        Entry(INSTALLED, hour, 1): outcomes(90),
    }
    (speed,) = [name for name in verdicts(results) if "text only" in name]
    assert "seen 2.00×" in speed


def test_a_ratio_of_a_short_piece_is_told_but_not_judged() -> None:
    short = replace(LONG, duration_s=100.0)
    seen = verdicts({Entry(OURS, short, 1): outcomes(10), Entry(INSTALLED, short, 1): outcomes(15)})
    (speed,) = [name for name in seen if "text only" in name]
    assert "seen 1.50×" in speed
    assert seen[speed] not in ("yes", "NO")


def test_a_row_of_few_runs_says_so() -> None:
    five, one = (
        row_of(Entry(OURS, LONG, n), [outcome for _, outcome in outcomes(*range(1, n + 1))], Distance(None, 1.25))
        for n in (5, 1)
    )
    assert (five[1], five[2], five[-1], one[-1]) == ("3.00", "1.00–5.00", "5", "1 (few)")
    assert "–" in five
    assert "1.2" in five


def test_retried_share_is_of_the_chunks_that_were_audited() -> None:
    assert share_retried({"chunks": [{}, {}, {}, {}], "retried": 1}) == 0.25
    assert share_retried({}) is None


def test_plot_is_a_picture_of_recordings_that_several_took() -> None:
    peer = Contestant("a <b> & c", peer=("x",))
    results: Results = {
        Entry(OURS, LONG, 1): outcomes(10),
        Entry(peer, LONG, 1, beam=5): outcomes(20),
        Entry(OURS, CLIP, 1): outcomes(1),
        Entry(OURS, LONG, 1, loop=True): outcomes(5),
    }
    picture = plot.bars(results)
    shown = [element.text for element in ET.fromstring(picture).iter() if element.text]
    assert "a <b> & c, beam 5" in shown
    assert "avskrift" in shown
    assert not any("10 s of audio" in each for each in shown)


def test_report_is_the_same_on_screen_on_a_page_and_as_json() -> None:
    part = Part("Speed", Grid(("what", "wall s"), (("avskrift", "1.25"),)), ("Read it.",), {"more": [1]})
    report = AsrReport(True, {"cores": 2}, {"av": "18"}, [part])
    output = io.StringIO()
    report.show(Console(file=output))
    for text in (output.getvalue(), report.markdown()):
        assert all(each in text for each in ("Speed", "avskrift", "1.25", "Read it.", "cores 2", "av 18"))
    (shown,) = json.loads(json.dumps(report.to_dict()))["parts"]
    assert shown == {
        "title": "Speed",
        "rows": [{"what": "avskrift", "wall s": "1.25"}],
        "notes": ["Read it."],
        "more": [1],
    }


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "asr", *arguments]
    return subprocess.run(
        command, cwd=CHECKOUT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.speech
@pytest.mark.xdist_group("asr-engine")
@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
def test_quick_run_measures_both_and_leaves_nothing(tmp_path: Path) -> None:
    page, picture, left = tmp_path / "page.md", tmp_path / "plot.svg", tmp_path / "tmp"
    left.mkdir()
    done = bench("--quick", "--json", "--markdown", str(page), "--plot", str(picture), TMPDIR=str(left))
    assert done.returncode == 0, done.stderr
    speed, goals = json.loads(done.stdout)["parts"]
    assert {run["contestant"] for run in speed["measurements"]} == {OURS.name, INSTALLED.name}
    assert all(run["runs"][0]["wall_s"] > 0 for run in speed["measurements"])
    assert any("text only" in row["goal"] for row in goals["rows"])
    assert "| avskrift, " in page.read_text()
    assert picture.read_text().startswith("<svg")
    assert list(left.glob("avskrift*")) == []


@pytest.mark.slow
@pytest.mark.speech
@pytest.mark.xdist_group("asr-engine")
@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
def test_an_interrupted_run_takes_its_processes_along(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "asr", "--quick"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        next(line for line in running.stderr if "model load" in line)
        started: list[int] = []
        while len(started) < 2:  # the command line and its worker
            started = descendants(running.pid)
        handles = [os.pidfd_open(pid) for pid in started]
        running.send_signal(signal.SIGINT)
        running.stderr.read()
    assert running.returncode == 130
    for handle in handles:
        assert select.select([handle], [], [], 10)[0]  # readable once it has ended
        os.close(handle)
    assert list(tmp_path.glob("avskrift*")) == []
