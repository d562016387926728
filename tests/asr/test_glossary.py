"""A file of terms to expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from avskrift.asr.glossary import MAX_BYTES, read_glossary
from avskrift.errors import BadOptions


def glossary(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    return path


def test_terms_are_read_one_a_line_each_once(tmp_path: Path) -> None:
    content = "\ufeff# Orter\r\nÖstersund\r\n\r\n  Upplands   Väsby \r\nC# och F#\r\nÖstersund\r\n"
    assert read_glossary(glossary(tmp_path, content.encode())) == ("Östersund", "Upplands Väsby", "C# och F#")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no term"),
        (b"# nothing yet\n\n", "holds no term"),
        ("Kista\nÖstersund".encode("latin-1"), r"not UTF-8 \(line 2\)"),
        ("\n".join(map(str, range(224))).encode(), "holds 224 terms.*223 tokens"),
        (b"x" * (MAX_BYTES + 1), "longer than"),
    ],
)
def test_a_glossary_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(BadOptions, match=sentence):
        read_glossary(glossary(tmp_path, content))


def test_a_glossary_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="cannot be read: No such file"):
        read_glossary(tmp_path / "none.txt")
    with pytest.raises(BadOptions, match="cannot be read: Is a directory"):
        read_glossary(tmp_path)
