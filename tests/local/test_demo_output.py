"""What the demo prints of names and transcripts that are not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avskrift.jobs.model import Job
from avskrift.local.demo import Narrator, Watched, plain_console, show

ODD_FILE = "a [b] [red]x x:100:y.ogg"
ODD_TEXT = "he said [/b] and [red] at 12:100:30"


def test_names_and_text_that_look_like_markup_are_printed_as_they_are(
    tmp_path: Path, queued_job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    transcript = tmp_path / "transcript.txt"
    transcript.write_text(ODD_TEXT)
    job = replace(queued_job, result={"model": "[/b]", "language": "sv", "duration_s": 1.0})

    show(plain_console(), [Watched(Path(ODD_FILE), "j", 0.0, job=job, results={"txt": transcript})])
    Narrator(plain_console(stderr=True)).say(f"{ODD_FILE}: uploaded")

    printed = capsys.readouterr()
    assert ODD_FILE in printed.out
    assert ODD_TEXT in printed.out
    assert "model [/b], language sv" in printed.out
    assert f"{ODD_FILE}: uploaded" in printed.err
