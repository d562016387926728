"""Which reader a file gets: told by what is in it, whatever it is called and however it is encoded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avskrift.errors import UnsupportedMedia
from avskrift.formats import write
from avskrift.formats.readers import MAX_SIZE_BYTES, read_bytes, read_file
from avskrift.transcript import Segment, Transcript

TRANSCRIPT = Transcript("sv", 6.0, 4.0, "base", (Segment(1.0, 3.0, "Hej på dig."), Segment(3.5, 5.0, "Vi ses å åter.")))


@pytest.mark.parametrize("name", ["json", "srt", "vtt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_by_its_content_under_any_name(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "talk.txt"
    path.write_bytes(write(TRANSCRIPT, name).decode().encode(encoding))
    reading = read_file(path)
    assert reading.transcript.text == TRANSCRIPT.text
    assert [segment.start_s for segment in reading.transcript.segments] == [1.0, 3.5]
    assert any("UTF-16" in repair for repair in reading.repairs) == (encoding == "utf-16")


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_read(newline: str) -> None:
    content = write(TRANSCRIPT, "srt").decode().replace("\n", newline).encode()
    assert read_bytes(content, "talk.srt").transcript.text == TRANSCRIPT.text


def test_subtitles_of_an_older_program_are_read_as_windows_1252_and_that_is_said() -> None:
    reading = read_bytes(write(TRANSCRIPT, "srt").decode().encode("cp1252"), "talk.srt")
    assert reading.transcript.text == TRANSCRIPT.text
    assert "Windows-1252" in reading.repairs[0]


def test_the_empty_srt_of_silence_is_a_transcript_of_nothing() -> None:
    assert read_bytes(write(Transcript(None, 5.0, 0.0, "base"), "srt"), "talk.SRT").transcript.segments == ()


def test_a_file_too_large_for_a_transcript_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    path.touch()
    os.truncate(path, MAX_SIZE_BYTES + 1)
    with pytest.raises(UnsupportedMedia, match=r"film\.json: too large"):
        read_file(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"Hej.", "this is no transcript"),
        (b"OggS\0\0\0\0", "avskrift transcribe"),
        ('{"text": "å"}'.encode("latin-1"), "save it as UTF-8"),
    ],
)
def test_what_is_no_transcript_is_told_apart_by_its_content(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "talk.json"
    path.write_bytes(content)
    with pytest.raises(UnsupportedMedia, match=rf"^talk\.json: .*{said}"):
        read_file(path)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(UnsupportedMedia, match="cannot be read"):
        read_file(Path("no-such-file.json"))
