"""The transcript that formats are measured on, and what a run of them answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from avskrift.formats.readers.json import read
from bench import formats as bench
from bench.formats import Answer
from bench.long_talk import WORDS_PER_S, talk
from bench.report import Narrator

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_long_talk_is_a_whole_transcript_and_the_same_every_time() -> None:
    transcript = talk(600.0)
    assert transcript == talk(600.0)
    assert transcript.word_count == pytest.approx(600 * WORDS_PER_S, rel=0.1)
    assert all(segment.words for segment in transcript.segments)
    assert transcript.segments[-1].end_s <= 600.0
    assert read(transcript.to_json()).repairs == ()


def test_a_run_answers_with_seconds_memory_and_size(tmp_path: Path) -> None:
    path = tmp_path / "transcript.json"
    path.write_text(talk(60.0).to_json())
    command = [sys.executable, "-m", "bench.formats_run", str(path), "srt", "verbose_json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    written = [tmp_path / "talk.srt", tmp_path / "talk.verbose.json"]
    assert answer["size_mb"] * 1e6 == pytest.approx(sum(file.stat().st_size for file in written))
    assert 10 < answer["peak_mb"] < 500
    assert answer["write_s"] > 0 < answer["read_s"]


def test_a_run_marks_words_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "transcript.json"
    path.write_text(talk(60.0).to_json())
    command = [sys.executable, "-m", "bench.formats_run", str(path), "--highlight-words", "srt", "json"]
    subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True)
    assert "<u>" in (tmp_path / "talk.srt").read_text()
    assert (tmp_path / "talk.json").exists()


@pytest.fixture
def answers() -> dict[str, list[Answer]]:
    quick = [{"write_s": seconds, "peak_mb": 300.0} for seconds in (5.0, 5.5, 9.0)]
    return {bench.ALL: quick, bench.HIGHLIGHTED: [{**answer, "write_s": 6.0} for answer in quick]}


def verdicts(answers: dict[str, list[Answer]], duration_s: float) -> list[str]:
    return [row.name.rpartition(": ")[2] for row in bench.goals(answers, duration_s).rows]


def test_goals_are_told_as_reached_or_not(answers: dict[str, list[Answer]]) -> None:
    assert verdicts(answers, bench.FULL_S) == ["reached", "reached", "NOT REACHED", "reached"]
    answers[bench.ALL][1]["peak_mb"] = 500.0  # the highest counts, not the median
    assert verdicts(answers, bench.FULL_S) == ["reached", "NOT REACHED", "NOT REACHED", "reached"]


def test_nobody_judges_ten_hours_by_less(answers: dict[str, list[Answer]]) -> None:
    assert set(verdicts(answers, bench.QUICK_S)) == {"not judged"}


def test_the_bench_measures_each_format_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK_S", 60.0)
    monkeypatch.setattr(bench, "FORMATS", {name: bench.FORMATS[name] for name in ("txt", "srt")})
    seconds, peak, size, goals = bench.run(Narrator(Console(quiet=True)), quick=True).sections
    assert [row.name for row in seconds.rows] == ["read the json", "txt", "srt", bench.ALL, bench.HIGHLIGHTED]
    assert [row.name for row in peak.rows] == [row.name for row in seconds.rows[1:]]
    txt, srt, both, marked = (row.median for row in size.rows)
    assert txt + srt == pytest.approx(both)
    assert both < marked
    assert len(goals.rows) == 4
