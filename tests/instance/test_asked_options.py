"""What a job asks for reaches the engine, in the weights that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from avskrift.asr.engine import EngineConfig, TranscribeOptions
from avskrift.errors import BadOptions, ModelUnavailable
from avskrift.jobs.model import Job, JobStatus
from avskrift.transcript import Transcript
from instance import __main__ as program
from tests.instance.agent_stage import ScriptedEngine, Stage

NOW = 1_700_000_000.0


class ListeningEngine(ScriptedEngine):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[TranscribeOptions] = []
        self.weights: list[tuple[str | None, str]] = []

    def engine_for(self, model: str | None, style: str) -> ListeningEngine:
        self.weights.append((model, style))
        return self

    def transcribe(self, path: Path, options: TranscribeOptions, *rest: Any) -> Transcript:
        options.validate()
        self.asked.append(options)
        return super().transcribe(path, options, *rest)


def put(stage: Stage, **options: str) -> Job:
    metadata = {f"avskrift-{name.replace('_', '-')}": value for name, value in options.items()}
    upload = stage.deployment.put("uploads/a.mp3", b"sound", **metadata)
    return stage.deployment.registrar(default_language="sv").register(upload, NOW)  # type: ignore[no-any-return]


def test_every_option_of_a_job_reaches_the_engine(stage: Stage) -> None:
    job = put(
        stage,
        language="multi",
        task="translate",
        words="false",
        prompt="Protokoll",
        hotwords="Sundbyberg",
        vad="sensitive",
        clip="10:00-12:00",
        channels="split",
        model="kb-whisper-large",
        style="verbatim",
    )
    listening = ListeningEngine()
    stage.run(engine_for=listening.engine_for)
    assert stage.job(job).status is JobStatus.COMPLETED
    assert listening.weights == [("kb-whisper-large", "verbatim")]
    assert listening.asked == [
        TranscribeOptions(
            language="multi",
            home_language="sv",
            task="translate",
            words=False,
            prompt="Protokoll",
            hotwords="Sundbyberg",
            vad="sensitive",
            clip=(600.0, 720.0),
            channels="split",
            max_duration_s=3_600.0,
        )
    ]


def test_a_job_that_asks_for_nothing_gets_the_deployments_language_and_model(stage: Stage) -> None:
    put(stage)
    listening = ListeningEngine()
    stage.run(engine_for=listening.engine_for)
    assert listening.weights == [(None, "standard")]
    assert listening.asked == [TranscribeOptions(language="sv", max_duration_s=3_600.0)]


@pytest.mark.parametrize("fault", [ModelUnavailable("not here"), BadOptions("no such style")])
def test_a_style_that_is_not_to_be_had_is_the_jobs_fault(stage: Stage, fault: Exception) -> None:
    def refuse(*_: str | None) -> Any:
        raise fault

    job = put(stage, style="subtitle")
    stage.run(engine_for=refuse)
    ended = stage.job(job)
    assert ended.error
    assert (ended.status, ended.error.code, ended.attempt) == (JobStatus.FAILED, "bad_options", 1)


class LoadedEngine:
    """An engine without a model: which were started, and which are closed."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.is_open = False

    def start(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image with KB-Whisper small, and its verbatim style beside it."""
    monkeypatch.setattr(program, "Engine", LoadedEngine)
    monkeypatch.setenv("AVSKRIFT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for name in ("kb-whisper-small", "kb-whisper-small-verbatim"):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        for file in ("config.json", "model.bin", "tokenizer.json"):
            (folder / file).touch()
    return tmp_path


def test_an_engine_stays_until_another_model_or_style_is_asked_for(image: Path) -> None:
    engines = program.Engines("kb-whisper-small", "cpu")
    standard: Any = engines.engine_for(None, "standard")
    assert engines.engine_for("kb-whisper-small", "standard") is standard
    verbatim: Any = engines.engine_for(None, "verbatim")
    assert not standard.is_open
    assert verbatim.is_open
    assert verbatim.config == EngineConfig(
        model="kb-whisper-small", style="verbatim", device="cpu", require_confinement=True
    )
    assert engines.engine_for(None, "verbatim") is verbatim
    engines.close()
    assert not verbatim.is_open


def test_what_the_image_lacks_is_refused_before_an_engine_is_given_up(image: Path) -> None:
    engines = program.Engines("kb-whisper-small", "cpu")
    standard: Any = engines.engine_for(None, "standard")
    with pytest.raises(ModelUnavailable, match="kb-whisper-small-subtitle"):
        engines.engine_for(None, "subtitle")
    with pytest.raises(ModelUnavailable, match="kb-whisper-large"):
        engines.engine_for("kb-whisper-large", "standard")
    with pytest.raises(BadOptions, match="no weights of style"):
        engines.engine_for("large-v3", "subtitle")
    assert standard.is_open
