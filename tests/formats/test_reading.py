"""Which reader a file gets: told by what is in it, whatever it is called and however it is encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from avskrift.errors import UnsupportedMedia
from avskrift.formats import readers, write
from avskrift.formats.readers import read_bytes, read_file
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


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda content: content.replace("på".encode(), b"p\xe5"), "Hej p� dig. Vi ses å åter."),
        (lambda content: content[: content.rindex("å".encode()) + 1], "Hej på dig. Vi ses å �"),
    ],
    ids=["a byte of another encoding", "cut within a character"],
)
def test_one_broken_character_does_not_make_a_file_another_encoding(spoil: Callable[[bytes], bytes], text: str) -> None:
    reading = read_bytes(spoil(write(TRANSCRIPT, "srt")), "talk.srt")
    assert reading.transcript.text == text
    assert reading.repairs == ("1 broken character in the file's UTF-8: shown as �.",)


@pytest.mark.parametrize("beginning", ["[Musik]", "{\\an8}", "{"])
def test_brackets_before_the_first_cue_make_no_json_of_an_srt(beginning: str) -> None:
    reading = read_bytes(f"{beginning}\n".encode() + write(TRANSCRIPT, "srt"), "talk.srt")
    assert reading.transcript.text == TRANSCRIPT.text


def test_the_empty_srt_of_silence_is_a_transcript_of_nothing() -> None:
    assert read_bytes(write(Transcript(None, 5.0, 0.0, "base"), "srt"), "talk.SRT").transcript.segments == ()


def test_a_file_too_large_for_a_transcript_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_SIZE_BYTES", 1000)
    path = tmp_path / "film.json"
    path.write_bytes(bytes(1001))
    for endless_or_large in (path, Path("/dev/zero")):
        with pytest.raises(UnsupportedMedia, match=rf"{endless_or_large.name}: too large"):
            read_file(endless_or_large)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"Hej.", "this is no transcript"),
        (b"[Script Info]\nScriptType: v4.00+\n", "this is no transcript"),
        (b"{1}{25}Hej.\n", "this is no transcript"),
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
