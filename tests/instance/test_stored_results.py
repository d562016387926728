"""What a job asked for lies in the bucket: every format under a name of its own, looking as it was asked to."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from avskrift.formats import FORMATS, RenderOptions, write
from avskrift.formats.presets import rules_for
from avskrift.jobs.model import Job, JobStatus
from avskrift.transcript import Segment, Transcript, Word
from tests.instance.agent_stage import ScriptedEngine, Stage

NOW = 1_700_000_000.0
TEXT = "Kommunfullmäktige sammanträder på torsdag, och protokollet justeras veckan därpå."
WORDS = tuple(Word(place * 0.4, place * 0.4 + 0.35, word, 0.9) for place, word in enumerate(TEXT.split()))
TRANSCRIPT = Transcript("sv", 6.0, 4.0, "scripted", (Segment(0.0, WORDS[-1].end_s, TEXT, WORDS),))


class TalkingEngine(ScriptedEngine):
    """Hears the same sentence in everything."""

    def transcribe(self, *arguments: Any) -> Transcript:
        super().transcribe(*arguments)
        return TRANSCRIPT


def finished(stage: Stage, **options: str) -> Job:
    metadata = {f"avskrift-{name}": value for name, value in options.items()}
    upload = stage.deployment.put("uploads/a.mp3", b"sound", **metadata)
    job = stage.deployment.registrar(formats=tuple(FORMATS), presets=("default", "easy")).register(upload, NOW)
    stage.run(engine_for=lambda *_: TalkingEngine())
    return stage.job(job)


def test_every_format_has_a_key_and_a_kind_of_its_own(stage: Stage) -> None:
    ended = finished(stage, formats=",".join(FORMATS))
    assert ended.status is JobStatus.COMPLETED, ended.error
    assert ended.result
    keys = ended.result["keys"]
    assert list(keys) == list(FORMATS)
    assert len(set(keys.values())) == len(FORMATS)
    for name, key in keys.items():
        stored = stage.deployment.s3.get_object(Bucket=stage.deployment.bucket, Key=key)
        assert stored["ContentType"] == FORMATS[name].content_type
        assert stored["Body"].read() == write(TRANSCRIPT, name, RenderOptions(title="a", media_name="a.mp3")), name


def test_subtitles_look_as_the_job_asked(stage: Stage) -> None:
    ended = finished(stage, formats="srt", preset="easy", **{"highlight-words": "true"})
    assert ended.result
    look = RenderOptions(rules=rules_for("easy"), highlight_words=True)
    assert stage.read(ended.result["keys"]["srt"]) == write(TRANSCRIPT, "srt", look).decode()
    assert ended.to_dict()["options"]["preset"] == "easy"


def test_documents_are_titled_as_the_upload(stage: Stage) -> None:
    ended = finished(stage, formats="html")
    assert ended.result
    assert "<title>a</title>" in stage.read(ended.result["keys"]["html"])


def test_a_manifest_plays_the_upload_with_the_subtitles_beside_it(stage: Stage) -> None:
    ended = finished(stage, formats="html,smil,ttml")
    assert ended.result
    manifest = stage.read(ended.result["keys"]["smil"])
    assert '<video src="mp3:a.mp3"' in manifest
    assert f'<textstream src="{PurePosixPath(ended.result["keys"]["ttml"]).name}"' in manifest
    assert "<audio" not in stage.read(ended.result["keys"]["html"])


def test_a_name_that_a_manifest_cannot_hold_fails_the_job_before_the_work(stage: Stage) -> None:
    upload = stage.deployment.put("uploads/a\x01.mp3", b"sound", **{"avskrift-formats": "ttml,smil"})
    job = stage.deployment.registrar(formats=tuple(FORMATS)).register(upload, NOW)
    engine = TalkingEngine()
    stage.run(engine_for=lambda *_: engine)
    ended = stage.job(job)
    assert ended.error
    assert ended.error.code == "bad_options"
    assert "Rename the file" in ended.error.message
    assert engine.heard == []


@pytest.mark.parametrize(
    ("name", "rules", "said"),
    [("preset", {"presets": ("newer",)}, "sv-broadcast"), ("formats", {"formats": ("newer",)}, "verbose_json")],
)
def test_what_went_away_fails_the_job_before_the_work_with_what_there_is(
    stage: Stage, name: str, rules: dict[str, Any], said: str
) -> None:
    upload = stage.deployment.put("uploads/a.mp3", b"sound", **{f"avskrift-{name}": "newer"})
    job = stage.deployment.registrar(**rules).register(upload, NOW)
    engine = TalkingEngine()
    stage.run(engine_for=lambda *_: engine)
    ended = stage.job(job)
    assert ended.error
    assert (ended.error.code, ended.attempt) == ("bad_options", 1)
    assert said in ended.error.message
    assert engine.heard == []
