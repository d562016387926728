"""The transcript that formats are measured on, and what a run of them answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from avskrift.formats.readers.json import read
from bench.long_talk import WORDS_PER_S, talk

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
