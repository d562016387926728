"""`avskrift models`: what there is, and fetching it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avskrift.asr import embedded


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {"XDG_CACHE_HOME": "cache", "HF_HOME": "hub", "AVSKRIFT_MODELS_DIR": "models"}
    return {**os.environ, **{name: str(tmp_path / folder) for name, folder in own.items()}, "COLUMNS": "200"}


def avskrift(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avskrift", "models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_list_names_every_model_and_those_in_the_folder(environment: dict[str, str]) -> None:
    own = Path(environment["AVSKRIFT_MODELS_DIR"]) / "our-own"
    own.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.bin"):
        (own / name).touch()
    done = avskrift(environment, "list")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {"base", "kb-whisper-small", "kb-whisper-large", "our-own"} <= set(rows)
    assert " no " in rows["kb-whisper-small"]
    assert " yes " in rows["our-own"]
    for word in ("kb-whisper ", "Swedish", "487", "standard, subtitle, verbatim", "unknown"):
        assert word in rows["kb-whisper-small"]
    for name, family in (("large-v3", "whisper"), ("distil-large-v3", "distil"), ("large-v3-turbo", "turbo")):
        assert rows[name].split()[1] == family
        assert "subtitle" not in rows[name]
    assert "English" in rows["distil-small.en"]


@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
def test_pull_prints_the_directory_and_the_list_knows_it(environment: dict[str, str]) -> None:
    assert " embedded " in avskrift(environment, "list").stdout
    done = avskrift(environment, "pull", "base")
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / "model.bin").is_file()
    assert " embedded " not in avskrift(environment, "list").stdout


def test_pulling_what_cannot_be_had_fails_with_a_sentence(environment: dict[str, str]) -> None:
    done = avskrift({**environment, "HF_ENDPOINT": "http://127.0.0.1:9"}, "pull", "kb-whisper-small")
    assert done.returncode == 1
    assert "model_unavailable" in done.stderr
    assert "Traceback" not in done.stderr


def test_pulling_a_style_that_the_model_lacks_is_a_usage_error(environment: dict[str, str]) -> None:
    done = avskrift(environment, "pull", "large-v3", "--style", "verbatim")
    assert done.returncode == 2
    assert "kb-whisper-small" in done.stderr
