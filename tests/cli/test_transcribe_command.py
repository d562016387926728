"""`avskrift transcribe` as it is typed: files in, files out, exit statuses, and what is said on which stream."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from avskrift.asr import embedded

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ENGLISH = "welcome to the meeting"

speech = [
    pytest.mark.speech,
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]


def avskrift(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "avskrift.cli", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def transcribe(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return avskrift("transcribe", "--model", "base", "--device", "cpu", *arguments, stdin=stdin)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLES / "en.ogg", tmp_path / "talk å.ogg"))


class TestWithTheModel:
    pytestmark = speech

    def test_a_recording_gets_txt_srt_and_json_beside_it(self, talk: Path) -> None:
        done = transcribe(talk)
        assert done.returncode == 0, done.stderr.decode()
        written = [talk.with_suffix(suffix) for suffix in (".txt", ".srt", ".json")]
        assert done.stdout.decode().splitlines() == [str(path) for path in written]
        assert set(talk.parent.iterdir()) == {talk, *written}
        assert ENGLISH in written[0].read_text()
        assert written[1].read_text().startswith("1\n00:00:0")
        transcript = json.loads(written[2].read_text())
        assert transcript["language"] == "en"
        assert transcript["segments"][0]["words"]
        assert "talk å.ogg: 19.7 s, en" in done.stderr.decode()

    def test_one_broken_file_does_not_stop_the_others(self, talk: Path, tmp_path: Path) -> None:
        (tmp_path / "a broken.mp3").write_text("no recording")
        done = transcribe(tmp_path, "--language", "en", "--format", "vtt", "--output-dir", tmp_path / "new" / "out")
        assert done.returncode == 1
        assert b"unsupported_media: a broken.mp3" in done.stderr
        assert [path.name for path in (tmp_path / "new" / "out").iterdir()] == ["talk å.vtt"]

    def test_standard_input_is_transcribed_to_standard_output(self) -> None:
        done = transcribe("-", "--quiet", stdin=(SAMPLES / "en.ogg").read_bytes())
        assert done.returncode == 0
        assert ENGLISH in done.stdout.decode()
        assert done.stderr == b""

    def test_json_has_word_times_only_when_wanted(self, talk: Path) -> None:
        assert transcribe(talk, "--format", "json", "--quiet").returncode == 0
        plain = talk.with_suffix(".json").read_text()
        assert transcribe(talk, "--format", "json", "--quiet", "--words", "--force").returncode == 0
        assert not any(segment["words"] for segment in json.loads(plain)["segments"])
        assert all(segment["words"] for segment in json.loads(talk.with_suffix(".json").read_text())["segments"])

    def test_an_interrupt_ends_it_with_130_and_writes_nothing(self, talk: Path) -> None:
        command = [sys.executable, "-m", "avskrift.cli", "transcribe", "--model", "base", str(talk)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            assert process.stderr.readline().startswith("Model base")
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate()
        assert process.returncode == 130
        assert "Traceback" not in complaints
        assert list(talk.parent.iterdir()) == [talk]


def test_files_that_exist_are_kept_without_loading_a_model(talk: Path) -> None:
    for suffix in (".txt", ".srt", ".json"):
        talk.with_suffix(suffix).write_text("mine")
    done = avskrift("transcribe", "--model", "no-such-model", talk)
    assert done.returncode == 0
    assert b"--force" in done.stderr
    assert talk.with_suffix(".txt").read_text() == "mine"


def test_an_output_folder_that_cannot_be_written_is_told_before_the_work(talk: Path) -> None:
    done = transcribe(talk, "--output-dir", talk / "below-a-file")
    assert done.returncode == 1
    assert b"--output-dir" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_recording_in_a_folder_that_is_read_only_is_pointed_elsewhere(talk: Path) -> None:
    talk.parent.chmod(0o500)
    try:
        done = transcribe(talk)
    finally:
        talk.parent.chmod(0o700)
    assert done.returncode == 1
    assert b"--output-dir" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--language", "swedish"],
        ["--format", "docx"],
        ["--beam-size", "0"],
        ["--device", "tpu"],
        ["--threads", "0"],
        ["--no-such-option"],
        ["no-such-file.mp3"],
        ["-"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(talk: Path, arguments: list[str]) -> None:
    done = transcribe(talk, *arguments)
    assert done.returncode == 2, done.stderr.decode()
    assert list(talk.parent.iterdir()) == [talk]


def test_an_unknown_model_fails_with_the_list_of_models(talk: Path) -> None:
    done = avskrift("transcribe", "--model", "no-such-model", talk)
    assert done.returncode == 1
    assert b"kb-whisper-small" in done.stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from avskrift.cli import main; sys.argv = ['avskrift', 'transcribe', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('heavy:', {'numpy', 'av', 'ctranslate2', 'boto3', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: set()" in done.stdout
    for option in ("--language", "--model", "--beam-size", "--format", "--output-dir", "--words", "--device"):
        assert option in done.stdout
