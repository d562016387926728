"""`avskrift transcribe` as it is typed: files in, files out, exit statuses, and what is said on which stream."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from avskrift.asr import embedded
from avskrift.asr.engine import EngineConfig, EngineInfo, Progress, TranscribeOptions
from avskrift.cli import app
from avskrift.cli import transcribe as command
from avskrift.errors import UnsupportedMedia
from avskrift.transcript import Transcript

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ENGLISH = "welcome to the meeting"

speech = [
    pytest.mark.speech,
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]


def avskrift(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "avskrift", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def transcribe(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return avskrift("transcribe", "--model", "base", "--device", "cpu", *arguments, stdin=stdin)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["transcribe", *map(str, arguments)])


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

    @pytest.mark.slow  # tests/asr does it with the engine alone
    def test_json_has_word_times_only_when_wanted(self, talk: Path) -> None:
        assert transcribe(talk, "--format", "json", "--quiet").returncode == 0
        plain = talk.with_suffix(".json").read_text()
        assert transcribe(talk, "--format", "json", "--quiet", "--words", "--force").returncode == 0
        assert not any(segment["words"] for segment in json.loads(plain)["segments"])
        assert all(segment["words"] for segment in json.loads(talk.with_suffix(".json").read_text())["segments"])

    def test_an_interrupt_ends_it_with_130_and_writes_nothing(self, talk: Path) -> None:
        command = [sys.executable, "-m", "avskrift", "transcribe", "--model", "base", str(talk)]
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
        ["--format", "doc"],
        ["--preset", "tv"],
        ["--max-lines", "0"],
        ["--format", "txt", "--preset", "easy"],
        ["--word-times"],
        ["--beam-size", "0"],
        ["--device", "tpu"],
        ["--threads", "0"],
        ["--no-such-option"],
        ["--language", "en", "--home-language", "sv"],
        ["--home-language", "svenska"],
        ["--task", "summarize"],
        ["--prompt", " "],
        ["--glossary", "no-such-glossary.txt"],
        ["--clip", "12:00-10:00"],
        ["--clip", "noon"],
        ["--channels", "left"],
        ["--vad", "loud"],
        ["--style", "poetic"],
        ["--style", "verbatim"],
        ["--compute-type", "int4"],
        ["--batch", "0"],
        ["--memory", "0"],
        ["--memory", "900", "--device", "cuda"],
        ["--model", "turbo", "--task", "translate"],
        ["--model", "distil-large-v3", "--language", "sv"],
        ["--model", "small.en", "--language", "multi"],
        ["--words", "--format", "srt"],
        ["no-such-file.mp3"],
        ["-"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(talk: Path, arguments: list[str]) -> None:
    done = run("--model", "base", talk, *arguments)
    assert done.exit_code == 2, done.output
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
    for panel in ("What is said", "What is listened to", "What is written", "Model and machine"):
        assert panel in done.stdout
    assert "223 tokens" in " ".join(done.stdout.replace("│", " ").split())


class Engines:
    """Stands for the engine: what each was made of, and what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.configs: list[EngineConfig] = []
        self.asked: list[TranscribeOptions] = []
        monkeypatch.setattr(command, "Engine", self._open)

    def _open(self, config: EngineConfig) -> Engines:
        self.configs.append(config)
        return self

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> EngineInfo:
        style = self.configs[-1].style
        return EngineInfo(self.configs[-1].model, "cpu", "int8", 0.1, revision="5f", style=style)

    def transcribe(self, path: Path, options: TranscribeOptions, report: Callable[[Progress], None]) -> Transcript:
        self.asked.append(options)
        report(Progress(1.0, 2.0))
        return Transcript("sv", 2.0, 1.0, "kb-whisper-small")

    def transcribe_many(
        self, paths: Sequence[Path], options: TranscribeOptions, report: Callable[[int, Progress], None]
    ) -> Iterator[Transcript | UnsupportedMedia]:
        self.together = [path.name for path in paths]
        for place, path in enumerate(paths):
            report(place, Progress(1.0, 2.0))
            broken = UnsupportedMedia(f"{path.name} is broken") if "broken" in path.name else None
            yield broken or Transcript("sv", 2.0, 1.0, "kb-whisper-small")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def test_every_option_reaches_the_engine(engines: Engines, talk: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("# places\nHallonbergen\n\n  Kista  \n")
    speech = ["--language", "multi", "--home-language", "sv", "--task", "translate", "--prompt", "Protokoll"]
    recording = ["--clip", "0:05-0:10.5", "--channels", "split", "--vad", "sensitive"]
    model = ["--model", "kb-whisper-small", "--style", "verbatim", "--beam-size", "5"]
    machine = ["--device", "cpu", "--compute-type", "float32", "--threads", "2", "--batch", "3", "--memory", "900"]
    terms = ["--hotwords", "Solna", "--glossary", names]
    done = run(talk, *speech, *terms, *recording, *model, *machine, "--format", "json")
    assert done.exit_code == 0, done.output
    assert engines.asked == [
        TranscribeOptions(
            language="multi",
            home_language="sv",
            task="translate",
            beam_size=5,
            words=False,
            prompt="Protokoll",
            hotwords="Solna",
            glossary=("Hallonbergen", "Kista"),
            vad="sensitive",
            clip=(5.0, 10.5),
            channels="split",
        )
    ]
    assert engines.configs == [
        EngineConfig("kb-whisper-small", "verbatim", "cpu", "float32", threads=2, batch=3, memory_mb=900)
    ]


def test_files_look_as_asked_for(engines: Engines, talk: Path) -> None:
    look = ["--preset", "easy", "--max-words-per-cue", "3", "--highlight-words", "--bom"]
    done = run(talk, "--model", "base", "--format", "srt", "--format", "html", *look)
    assert done.exit_code == 0, done.output
    assert talk.with_suffix(".srt").read_bytes().startswith(b"\xef\xbb\xbf")
    assert engines.asked[0].words


def test_a_page_beside_the_recording_plays_it(engines: Engines, talk: Path, tmp_path: Path) -> None:
    assert run(talk, "--model", "base", "--format", "html").exit_code == 0
    assert 'src="talk%20%C3%A5.ogg"' in talk.with_suffix(".html").read_text()
    assert run(talk, "--model", "base", "--format", "html", "--output-dir", tmp_path / "out").exit_code == 0
    assert "talk%20%C3%A5.ogg" not in (tmp_path / "out" / "talk å.html").read_text()


def test_one_address_is_not_that_of_several_recordings(engines: Engines, talk: Path, tmp_path: Path) -> None:
    (tmp_path / "other.ogg").write_bytes(b"sound")
    done = run(tmp_path, "--model", "base", "--format", "html", "--media-url", "talk.ogg")
    assert done.exit_code == 2
    assert "one recording, and there are 2" in " ".join(done.stderr.replace("│", " ").split())
    assert engines.asked == engines.configs == []


def test_a_manifest_without_its_captions_is_said(engines: Engines, talk: Path) -> None:
    assert "talk å.ttml, which is not beside it" in run(talk, "--model", "base", "--format", "smil").stderr


def test_words_are_aligned_for_the_times_of_paragraphs(engines: Engines, talk: Path) -> None:
    assert run(talk, "--model", "base", "--format", "txt").exit_code == 0
    assert run(talk, "--model", "base", "--format", "txt", "--timestamps", "--force").exit_code == 0
    assert [asked.words for asked in engines.asked] == [False, True]


def test_options_left_out_are_the_engines_defaults(engines: Engines, talk: Path) -> None:
    assert run(talk, "--model", "base").exit_code == 0
    assert engines.asked == [TranscribeOptions()]
    assert engines.configs == [EngineConfig()]


def test_a_style_takes_the_model_that_has_it_and_says_which_commit(engines: Engines, talk: Path) -> None:
    done = run(talk, "--style", "subtitle")
    assert engines.configs[0].model == "kb-whisper-small"
    assert "Model kb-whisper-small (subtitle, revision 5f) on cpu (int8)" in done.stderr


def test_several_recordings_are_handed_over_together_and_faults_cost_one(engines: Engines, tmp_path: Path) -> None:
    for name in ("a.ogg", "broken.ogg", "c.ogg"):
        (tmp_path / name).write_bytes(b"sound")
    result = run(tmp_path, "--format", "txt")
    assert engines.together == ["a.ogg", "broken.ogg", "c.ogg"]
    assert result.exit_code == 1
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == ["a.txt", "c.txt"]
    assert "broken.ogg is broken" in result.output
    assert "3 recordings: 4.0 s, in" in result.output


def test_a_clips_pace_counts_the_clip_and_not_what_lies_before_it() -> None:
    transcript = Transcript("sv", 720.0, 100.0, "base", engine={"clip": [600.0, 720.0]})
    assert "120.0 s, sv, no speech, in 12.0 s (10.0x)" in command._summary(Path("a.wav"), transcript, 12.0)
