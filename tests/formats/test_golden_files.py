"""Every format of three transcripts stays as it was read line by line (``tests/formats/golden_files.py``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from avskrift.formats import FORMATS
from tests.formats.golden_files import CASES, FOLDER, golden_file, written

HOW = "If that is meant: .venv/bin/python -m tests.formats.golden_files, and read what changed."


@cache
def now(case: str) -> dict[Path, bytes]:
    return written(case)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_a_format_is_as_it_was_read(case: str, name: str) -> None:
    path = golden_file(case, name)
    assert path.exists(), f"{path.name} is missing. {HOW}"
    lines, expected = now(case)[path].decode().splitlines(), path.read_bytes().decode().splitlines()
    assert lines == expected, HOW
    assert now(case)[path] == path.read_bytes(), HOW


def test_no_file_is_kept_that_nothing_writes() -> None:
    kept = {path for case in CASES for path in (FOLDER / case).iterdir()}
    assert kept == {golden_file(case, name) for case in CASES for name in FORMATS}
