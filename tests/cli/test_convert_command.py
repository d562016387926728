"""`avskrift convert` as it is typed: which files come of a transcript, what is kept, said and refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from avskrift import formats
from avskrift.cli import app, convert
from avskrift.cli.output_options import HEARD_BY, Look
from avskrift.errors import BadOptions
from avskrift.formats import FORMATS, RenderOptions, readers
from avskrift.formats.presets import PRESETS
from avskrift.transcript import Segment, Speaker, Transcript, Word


def spoken(start_s: float, text: str, speaker: str | None = None, per_word_s: float = 0.4) -> Segment:
    """A segment whose words follow one another without a pause."""
    words = tuple(
        Word(start_s + place * per_word_s, start_s + (place + 1) * per_word_s, word, 0.9)
        for place, word in enumerate(text.split())
    )
    return Segment(start_s, words[-1].end_s, text, words, speaker=speaker)


TRANSCRIPT = Transcript(
    language="sv",
    duration_s=40.0,
    speech_s=20.0,
    model="base",
    segments=(
        spoken(1.0, "Välkomna till mötet, som handlar om hamnen och om bron över sundet vid den gamla stationen.", "a"),
        spoken(12.0, "Tack så mycket.", "b"),
        spoken(30.0, "Vi börjar.", "a"),
    ),
    speakers=(Speaker("a", "Anna"), Speaker("b", "Björn")),
    engine={"name": "avskrift"},
)


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], input=stdin)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk å.json"
    path.write_text(TRANSCRIPT.to_json())
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_of_the_json_alone_as_the_library_writes_it(talk: Path, tmp_path: Path, name: str) -> None:
    done = run(talk, "--format", name, "--output-dir", tmp_path / "out")
    assert done.exit_code == 0, done.output
    (written,) = (tmp_path / "out").iterdir()
    assert done.stdout.splitlines() == [str(written)]
    assert written.name == f"talk å.{FORMATS[name].extension}"
    assert written.read_bytes() == formats.write(TRANSCRIPT, name, RenderOptions(name="talk å"))


def test_files_go_beside_the_transcript_and_are_named_on_stdout(talk: Path) -> None:
    done = run(talk, "--format", "srt", "--format", "txt", "--format", "srt")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [str(talk.with_suffix(".srt")), str(talk.with_suffix(".txt"))]
    assert done.stderr == ""
    assert set(talk.parent.iterdir()) == {talk, talk.with_suffix(".srt"), talk.with_suffix(".txt")}


def test_what_exists_is_kept_unless_forced(talk: Path) -> None:
    talk.with_suffix(".srt").write_text("mine")
    kept = run(talk, "--format", "srt", "--format", "vtt")
    assert kept.exit_code == 0
    assert "--force" in kept.stderr
    assert talk.with_suffix(".srt").read_text() == "mine"
    assert talk.with_suffix(".vtt").read_text().startswith("WEBVTT")
    assert run(talk, "--format", "srt", "--force").exit_code == 0
    assert "Välkomna" in talk.with_suffix(".srt").read_text()


def test_a_link_that_leads_nowhere_is_kept_too(talk: Path) -> None:
    link = talk.with_suffix(".srt")
    link.symlink_to("gone.srt")
    assert "Kept, as --force was not given: talk å.srt" in run(talk, "--format", "srt").stderr
    assert link.is_symlink()


def test_a_transcript_whose_files_exist_is_not_even_read(talk: Path) -> None:
    talk.with_suffix(".srt").touch()
    talk.write_text("broken")
    assert run(talk, "--format", "srt").exit_code == 0


def test_a_transcript_is_never_written_over(talk: Path) -> None:
    before = talk.read_bytes()
    done = run(talk, "--format", "json", "--force")
    assert done.exit_code == 0
    assert talk.read_bytes() == before
    assert json.loads((talk.parent / "talk å.json.json").read_bytes()) == json.loads(before)


def test_standard_input_goes_to_standard_output(talk: Path) -> None:
    done = run("-", "--format", "vtt", stdin=talk.read_bytes())
    assert done.exit_code == 0
    assert done.stdout_bytes == formats.write(TRANSCRIPT, "vtt")


def test_standard_input_with_a_folder_makes_files(talk: Path, tmp_path: Path) -> None:
    done = run("-", "-f", "vtt", "-f", "txt", "-o", tmp_path / "out", stdin=talk.read_bytes())
    assert done.exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"stdin.vtt", "stdin.txt"}


@pytest.mark.parametrize("arguments", [["--format", "srt"], ["--check", "--max-line-width", "20"]])
def test_an_output_that_takes_no_more_is_one_sentence(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "avskrift", "convert", "-", *arguments],
            input=TRANSCRIPT.to_json().encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"bad_configuration: Standard output could not be written (No space left on device)" in done.stderr
    assert b"Traceback" not in done.stderr


def test_standard_input_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (convert, readers):
        monkeypatch.setattr(module, "MAX_SIZE_BYTES", 1000)
    assert "stdin: too large for a transcript" in str(run("-", "--format", "txt", stdin=bytes(5000)).exception)


def test_a_language_that_the_file_says_is_kept_and_that_is_said(talk: Path) -> None:
    said = "The file says that sv is spoken: --language en was not taken."
    done = run(talk, "--format", "vtt", "--language", "en")
    assert said in done.stderr
    assert "Language: sv" in talk.with_suffix(".vtt").read_text()
    assert said not in run(talk, "--format", "srt", "--language", "sv").stderr


def test_one_that_cannot_be_read_does_not_stop_the_others(talk: Path, tmp_path: Path) -> None:
    broken = tmp_path / "a.json"
    broken.write_text(json.dumps({**TRANSCRIPT.to_dict(), "version": 9}))
    done = run(broken, talk, "--format", "txt")
    assert done.exit_code == 1
    assert "unsupported_media: a.json: This transcript is of version 9" in done.stderr
    assert "1 of 2 transcripts failed" in done.stderr
    assert talk.with_suffix(".txt").exists()
    assert not broken.with_suffix(".txt").exists()


def test_what_was_mended_is_said_but_not_when_quiet(talk: Path) -> None:
    turned = replace(TRANSCRIPT, segments=TRANSCRIPT.segments[::-1])
    talk.write_text(turned.to_json())
    assert "talk å.json: 2 segments out of order" in run(talk, "--format", "txt").stderr
    quiet = run(talk, "--format", "txt", "--force", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_that_times_are_estimated_is_said_where_subtitles_are_made(talk: Path) -> None:
    segments = tuple(replace(segment, words=()) for segment in TRANSCRIPT.segments)
    talk.write_text(replace(TRANSCRIPT, segments=segments).to_json())
    assert "3 of 3 segments have no words" in run(talk, "--format", "srt").stderr
    assert run(talk, "--format", "txt").stderr == ""
    assert "3 of 3 segments have no words" in run(talk, "--format", "txt", "--timestamps", "--force").stderr


def test_one_address_is_not_that_of_several_recordings(talk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(talk.read_bytes())
    done = run(talk, other, "--format", "html", "--media-url", "film.mp4")
    assert done.exit_code == 2
    assert "one recording, and there are 2" in " ".join(done.stderr.replace("│", " ").split())
    assert not list(tmp_path.glob("*.html"))
    assert run(talk, talk, "--format", "html", "--media-url", "film.mp4").exit_code == 0


def test_a_manifest_without_its_captions_is_said(talk: Path) -> None:
    alone = run(talk, "--format", "smil")
    assert alone.exit_code == 0
    assert "talk å.ttml, which is not beside it: add --format ttml" in alone.stderr
    assert run(talk, "--format", "smil", "--force", "--quiet").stderr == ""
    assert run(talk, "--format", "smil", "--format", "ttml", "--force").stderr == ""
    assert run(talk, "--format", "smil", "--force").stderr == ""


@pytest.mark.parametrize("first", ["srt", "vtt"])
def test_subtitles_are_read_back(talk: Path, tmp_path: Path, first: str) -> None:
    out = tmp_path / "out"
    assert run(talk, "--format", first, "--output-dir", out).exit_code == 0
    done = run(out / f"talk å.{first}", "--language", "sv", "--format", "json", "--output-dir", out / "json")
    assert done.exit_code == 0, done.output
    again = json.loads((out / "json" / "talk å.json").read_bytes())
    assert again["language"] == "sv"
    assert again["segments"][0]["start_s"] == 1.0
    said = " ".join(segment["text"] for segment in again["segments"])
    assert all(word in said for segment in TRANSCRIPT.segments for word in segment.text.split())


def test_the_look_that_is_asked_for_is_that_of_the_library(talk: Path) -> None:
    done = run(talk, "-f", "srt", "--preset", "easy", "--max-line-width", "20", "--max-lines", "1", "--bom")
    assert done.exit_code == 0, done.output
    rules = replace(PRESETS["easy"], max_line_characters=20, max_lines=1)
    asked = RenderOptions(rules=rules, bom=True, name="talk å")
    assert talk.with_suffix(".srt").read_bytes() == formats.write(TRANSCRIPT, "srt", asked)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name at least one --format, or --check"),
        (["--format", "doc"], "Unknown format doc. There are: txt, json, srt"),
        (["--format", "srt", "--preset", "tv"], "Unknown preset tv. There are: default, sv-broadcast"),
        (["--format", "srt", "--max-line-width", "3"], "choose a number from"),
        (["--format", "txt", "--preset", "easy"], "--preset is for srt"),
        (["--format", "txt", "--bom"], "--bom is for srt, csv"),
        (["--format", "srt", "--language", "svenska"], "such as 'sv'"),
        (["--format", "vtt", "--word-times", "--highlight-words"], "choose one"),
        (["--format", "html", "--media-url", "javascript:alert(1)"], "is no address"),
        (["-", "--format", "srt"], "goes alone"),
        (["--check", "--force"], "--force is for files, and no --format names one"),
        (["--check", "--output-dir", "out"], "--output-dir is for files, and no --format names one"),
        (["gone.json", "--format", "srt"], "there is no such file"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(talk: Path, arguments: list[str], said: str) -> None:
    done = run(talk, *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert list(talk.parent.iterdir()) == [talk]


def test_several_formats_do_not_fit_on_standard_output(talk: Path) -> None:
    assert run("-", "-f", "srt", "-f", "vtt", stdin=talk.read_bytes()).exit_code == 2


class TestCheck:
    @pytest.fixture
    def hasty(self, tmp_path: Path) -> Path:
        """Spoken at 60 characters per second, with nothing after it but the end."""
        path = tmp_path / "hasty.json"
        segment = spoken(1.0, "Protokollsjusteringsmannen företräder kommunfullmäktiges valberedning.", per_word_s=0.3)
        path.write_text(replace(TRANSCRIPT, segments=(segment,), duration_s=2.3).to_json())
        return path

    def test_what_could_not_be_satisfied_is_listed_and_writes_nothing(self, hasty: Path) -> None:
        done = run(hasty, "--check")
        assert done.exit_code == 1, done.output
        assert done.stdout.startswith("hasty.json: cue 1, 00:00:01.000, ")
        assert "1 cues" not in done.stdout
        assert list(hasty.parent.iterdir()) == [hasty]

    def test_nothing_found_is_status_zero(self, talk: Path) -> None:
        done = run(talk, "--check", "--max-line-width", "60")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert "0 findings" in done.stderr

    def test_beside_a_format_the_list_leaves_standard_output_to_the_files(self, hasty: Path) -> None:
        done = run("-", "--format", "srt", "--check", stdin=hasty.read_bytes())
        assert done.exit_code == 1
        assert done.stdout.startswith("1\n00:00:01,000 --> ")
        assert "stdin: cue 1, 00:00:01.000" in done.stderr


@pytest.mark.parametrize("option", HEARD_BY)
def test_an_option_is_taken_by_just_the_formats_that_heed_it(option: str) -> None:
    values = {"preset": "easy", "max_line_width": 20, "max_lines": 1, "max_words_per_cue": 2}
    values |= {"media_url": "https://example.org/a.mp4", "media_bitrate": 64_000}
    look = Look(**{option: values.get(option, True)})  # type: ignore[arg-type]
    for name in FORMATS:
        plain = formats.write(TRANSCRIPT, name)
        if name in HEARD_BY[option]:
            assert formats.write(TRANSCRIPT, name, look.render_options([name])) != plain, name
            continue
        with pytest.raises(BadOptions, match="leave it out"):
            look.render_options([name])
        options = look.render_options([name, *HEARD_BY[option]])
        assert formats.write(TRANSCRIPT, name, options) == plain, name


def test_converting_loads_no_engine_and_no_library_of_another_format(talk: Path) -> None:
    code = (
        "import sys; from avskrift.cli import main; sys.argv = ['avskrift', 'convert', sys.argv[1], '-f', 'vtt']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('heavy:', {'numpy', 'av', 'ctranslate2', 'boto3', 'docx', 'lxml', 'pysubs2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(talk)], capture_output=True, text=True, check=True)
    assert "heavy: set()" in done.stdout
