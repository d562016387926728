"""Which recordings are found, and which files their transcripts go to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avskrift.errors import BadOptions, ConfigurationError
from avskrift.formats.files import (
    Recording,
    find_recordings,
    find_transcripts,
    plan_outputs,
    require_writable,
    write_file,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("talk.mp3", "sub/film.MP4", "sub/notes.txt", "sub/.hidden.wav", "sub/deep/ö.ogg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def planned(inputs: list[Path], output_dir: Path | None = None) -> list[str]:
    plans = plan_outputs(find_recordings(inputs, output_dir), ["txt"])
    return [str(plan.files["txt"]) for plan in plans]


def test_a_folder_is_searched_for_media_in_a_stable_order(folder: Path) -> None:
    found = [recording.path for recording in find_recordings([folder])]
    assert found == [folder / "talk.mp3", folder / "sub/film.MP4", folder / "sub/deep/ö.ogg"]


def test_transcripts_go_beside_the_recordings(folder: Path) -> None:
    assert planned([folder / "talk.mp3"]) == [str(folder / "talk.txt")]


def test_below_an_output_folder_the_tree_is_kept(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert planned([folder], out) == [str(out / name) for name in ("talk.txt", "sub/film.txt", "sub/deep/ö.txt")]


def test_stems_that_clash_keep_their_suffix(folder: Path) -> None:
    (folder / "talk.wav").touch()
    assert planned([folder / "talk.mp3", folder / "talk.wav"]) == [
        str(folder / "talk.mp3.txt"),
        str(folder / "talk.wav.txt"),
    ]


def test_a_recording_is_never_written_over(folder: Path) -> None:
    recording = folder / "sub" / "notes.txt"
    assert planned([recording]) == [str(folder / "sub" / "notes.txt.txt")]


def test_a_recording_named_twice_is_transcribed_once(folder: Path) -> None:
    assert len(planned([folder / "talk.mp3", folder, folder / "sub" / ".." / "talk.mp3"])) == 3


def test_two_that_would_share_a_file_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "sub" / "talk.mp3").touch()
    with pytest.raises(BadOptions, match="same"):
        planned([folder / "talk.mp3", folder / "sub" / "talk.mp3"], tmp_path / "out")


def test_what_is_not_there_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="no such file"):
        planned([folder / "gone.mp3"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadOptions, match="no audio or video"):
        planned([tmp_path / "empty"])


def test_a_file_is_written_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "å.txt"
    write_file(path, "före".encode())
    write_file(path, b"efter\n")
    assert path.read_bytes() == b"efter\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_write_that_is_stopped_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    path = tmp_path / "talk.srt"
    path.write_text("before")

    def stopped(*_: object) -> None:
        raise stop

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises((KeyboardInterrupt, ConfigurationError)):
        write_file(path, b"after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--output-dir"):
        require_writable([tmp_path / "file" / "sub"])
    require_writable([tmp_path / "new" / "sub"])
    assert list((tmp_path / "new" / "sub").iterdir()) == []


def test_a_format_of_two_extensions_takes_no_other_recordings_file(folder: Path) -> None:
    (folder / "talk.verbose.wav").touch()
    recordings = find_recordings([folder / "talk.mp3", folder / "talk.verbose.wav"])
    one, other = plan_outputs(recordings, ["json", "verbose_json"])
    assert not set(one.files.values()) & set(other.files.values())
    assert (one.name, other.name) == ("talk.mp3", "talk.verbose.wav")


def test_a_transcript_is_converted_beside_itself_and_never_onto_itself(folder: Path) -> None:
    transcript = folder / "talk.json"
    transcript.touch()
    (plan,) = plan_outputs(find_transcripts([transcript, transcript]), ["srt", "json"])
    assert plan.files == {"srt": folder / "talk.json.srt", "json": folder / "talk.json.json"}


def test_an_input_is_not_written_over_by_another(folder: Path) -> None:
    for name in ("talk.json", "talk.json.json"):
        (folder / name).touch()
    with pytest.raises(BadOptions, match="over another"):
        plan_outputs(find_transcripts([folder / "talk.json", folder / "talk.json.json"]), ["json"])


def test_a_name_that_no_file_can_have_is_told_before_the_work(folder: Path) -> None:
    path = folder / f"{'å' * 125}.json"
    path.touch()
    found = find_transcripts([path])
    assert [plan.files["srt"].name for plan in plan_outputs(found, ["srt"])] == [f"{'å' * 125}.srt"]
    with pytest.raises(BadOptions, match=r"verbose\.json: no file's name may be that long"):
        plan_outputs(found, ["srt", "verbose_json"])


@pytest.mark.parametrize("find", [find_recordings, find_transcripts])
def test_an_input_with_such_a_name_is_not_there(folder: Path, find: Callable[[list[Path]], list[Recording]]) -> None:
    with pytest.raises(BadOptions, match="no such file"):
        find([folder / f"{'x' * 300}.json"])


def test_a_pipe_or_a_device_is_no_recording_and_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    (folder / "link.wav").symlink_to("pipe.wav")
    (folder / "nowhere.wav").symlink_to("gone")
    for path in (folder / "pipe.wav", folder / "link.wav", Path("/dev/null"), Path("/dev/stdin"), Path("/dev/fd/0")):
        with pytest.raises(BadOptions, match=f"{path}: is no file but a pipe or a device.* to a file"):
            find_recordings([path])
    found = [recording.path.name for recording in find_recordings([folder])]
    assert found == ["nowhere.wav", "talk.mp3", "film.MP4", "ö.ogg"]


def test_standard_input_by_another_name_is_not_the_workers_own(tmp_path: Path) -> None:
    """Where a shell has put a plain file in its place, too: to another process it is another one."""
    (tmp_path / "talk.wav").write_bytes(b"x")
    command = [sys.executable, "-m", "avskrift", "transcribe", "/dev/stdin"]
    with (tmp_path / "talk.wav").open() as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "/dev/stdin: is no file but a pipe or a device" in done.stderr


@pytest.mark.parametrize(("name", "said"), [("sub", "is a folder"), ("gone.json", "no such file")])
def test_only_files_are_converted(folder: Path, name: str, said: str) -> None:
    with pytest.raises(BadOptions, match=said):
        find_transcripts([folder / name])


def test_files_beside_a_recording_know_it_by_its_name_as_a_link(folder: Path, tmp_path: Path) -> None:
    (plan,) = plan_outputs(find_recordings([folder / "sub" / "deep" / "ö.ogg"]), ["txt"])
    assert (plan.name, plan.media_url) == ("ö", "%C3%B6.ogg")
    (elsewhere,) = plan_outputs(find_recordings([folder / "talk.mp3"], tmp_path / "out"), ["txt"])
    assert elsewhere.media_url is None
