"""Where a model's name leads: folders, embedded weights, a hub (here one of our own on loopback)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from avskrift.asr import embedded, models
from avskrift.asr.catalog import ALIASES, MODELS, source_of
from avskrift.asr.options import STYLES, TranscribeOptions
from avskrift.errors import BadOptions, ModelUnavailable

COMMIT = MODELS["kb-whisper-small"].revision
VERBATIM_COMMIT = "5" * 40
WEIGHTS = b"weights of a tiny model" * 1000
FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.json": b"[]", "model.bin": WEIGHTS}

needs_wheels = pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches and models folder of this test alone, and a hub that nobody answers for."""
    monkeypatch.setenv("AVSKRIFT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's client reads its settings once, when it is imported."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def put_model(folder: Path, *, without: str = "") -> Path:
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        if name != without:
            (folder / name).write_bytes(content)
    return folder


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as its client needs to fetch a model, at its commit or at its branch ``strict``."""

    damaged = False

    @property
    def commit(self) -> str:
        return VERBATIM_COMMIT if "/strict" in self.path or VERBATIM_COMMIT in self.path else COMMIT

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/KBLab/kb-whisper-small/tree/"):
            self._answer(json.dumps([self._entry(name) for name in FILES]).encode())
        elif self.path.startswith("/api/models/KBLab/kb-whisper-small/"):
            siblings = [{"rfilename": name} for name in FILES]
            self._answer(
                json.dumps({"id": "KBLab/kb-whisper-small", "sha": self.commit, "siblings": siblings}).encode()
            )
        elif self.path.startswith("/KBLab/kb-whisper-small/resolve/"):
            self._answer_file(self.path.rsplit("/", 1)[1])
        else:
            self.send_error(404)

    def _entry(self, name: str) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(FILES[name]), "oid": hashlib.sha1(FILES[name]).hexdigest()}

    def _answer_file(self, name: str) -> None:
        content = FILES[name]
        etag = hashlib.sha256(content).hexdigest()
        if self.damaged and name == "model.bin":
            content = content[:-1] + b"?"
        self._answer(content, {"ETag": f'"{etag}"', "X-Repo-Commit": self.commit, "X-Linked-Size": str(len(content))})

    def _answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    handler = type("OwnHub", (Hub,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()
    server.server_close()


def test_a_model_in_the_models_folder_is_taken_by_its_name(bare_machine: Path) -> None:
    folder = put_model(bare_machine / "models" / "kb-whisper-small")
    assert models.resolve("kb-whisper-small") == models.ResolvedModel("kb-whisper-small", folder)
    elsewhere = put_model(bare_machine / "elsewhere" / "kb-whisper-small")
    assert models.resolve("kb-whisper-small", elsewhere.parent).directory == elsewhere


def test_a_directory_is_a_model(bare_machine: Path) -> None:
    folder = put_model(bare_machine / "my-model")
    assert models.resolve(str(folder)) == models.ResolvedModel("my-model", folder)


def test_a_directory_that_lacks_a_file_is_none(bare_machine: Path) -> None:
    folder = put_model(bare_machine / "half", without="tokenizer.json")
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json is missing"):
        models.resolve(str(folder))


def test_an_unknown_name_gets_the_list_of_those_that_exist(bare_machine: Path) -> None:
    put_model(bare_machine / "models" / "our-own")
    with pytest.raises(ModelUnavailable, match=r"base, .*kb-whisper-small.*our-own"):
        models.resolve("whisper-9000")


@needs_wheels
def test_the_embedded_base_is_joined_once_whoever_asks(bare_machine: Path) -> None:
    code = "from avskrift.asr import models; print(models.resolve('base').directory)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate()[0].strip() for process in processes}
    directory = bare_machine / "cache" / "avskrift" / "models" / "base"
    assert answers == {str(directory)}
    with (directory / "model.bin").open("rb") as weights:
        assert hashlib.file_digest(weights, "sha256").hexdigest() == embedded.WEIGHTS_SHA256
    assert {path.name for path in directory.parent.iterdir()} == {"base", ".base.lock"}
    untouched = (directory / "model.bin").stat().st_ino
    assert models.resolve("base").directory == directory
    assert (directory / "model.bin").stat().st_ino == untouched


@needs_wheels
def test_a_base_that_was_tampered_with_is_made_anew(bare_machine: Path) -> None:
    directory = models.resolve("base").directory
    with (directory / "model.bin").open("r+b") as weights:
        weights.write(b"tampered")
    assert embedded.find(models.cache_dir()) is None
    models.resolve("base")
    with (directory / "model.bin").open("rb") as weights:
        assert hashlib.file_digest(weights, "sha256").hexdigest() == embedded.WEIGHTS_SHA256


@needs_wheels
def test_a_cache_that_cannot_be_written_gets_a_sentence(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare_machine / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare_machine / "file"))
    with pytest.raises(ModelUnavailable, match="XDG_CACHE_HOME"):
        models.resolve("base")


RESOLVE = "from avskrift.asr import models; print(models.resolve('kb-whisper-small'))"


def test_a_model_is_fetched_from_the_hub_at_its_commit_and_kept(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = run_python(RESOLVE)
    assert COMMIT in fetched.stdout, fetched.stderr
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = run_python(RESOLVE)
    assert again.stdout == fetched.stdout, again.stderr


VERBATIM = "from avskrift.asr import models; print(models.resolve('kb-whisper-small', style='verbatim'))"


def test_a_style_is_the_commit_that_its_branch_led_to_and_stays_that(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = run_python(VERBATIM)
    assert f"revision='{VERBATIM_COMMIT}', style='verbatim'" in fetched.stdout, fetched.stderr
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = run_python(VERBATIM)
    assert again.stdout == fetched.stdout, again.stderr
    assert "ModelUnavailable" in run_python(RESOLVE).stderr


def test_a_style_lies_beside_its_model_in_the_models_folder(bare_machine: Path) -> None:
    put_model(bare_machine / "models" / "kb-whisper-small")
    assert models.find_local("kb-whisper-small", style="subtitle") is None
    folder = put_model(bare_machine / "models" / "kb-whisper-small-subtitle")
    found = models.ResolvedModel("kb-whisper-small", folder, style="subtitle")
    assert models.find_local("kb-whisper-small", style="subtitle") == found


@pytest.mark.parametrize("name", ["base", "no-such-model", "/a/kb-whisper-small", "KBLab/kb-whisper-small@main"])
def test_a_style_that_a_model_does_not_have_is_refused_with_those_that_have_it(name: str) -> None:
    with pytest.raises(BadOptions, match=r"no weights of style 'subtitle'.*kb-whisper-small"):
        models.resolve(name, style="subtitle")


def test_an_alias_is_the_model_it_stands_for(bare_machine: Path) -> None:
    folder = put_model(bare_machine / "models" / "large-v3-turbo")
    assert models.resolve("turbo") == models.ResolvedModel("large-v3-turbo", folder)
    assert set(ALIASES.values()) <= set(MODELS)


def test_every_model_is_pinned_to_a_commit_and_every_style_is_one_of_ours() -> None:
    for source in MODELS.values():
        assert len(source.revision) == 40
        assert int(source.revision, 16)
        assert set(source.styles) <= set(STYLES)
        assert source.revision_of("standard") == source.revision
    assert len({source.revision for source in MODELS.values()}) == len(MODELS)


def test_the_repositories_are_those_of_faster_whisper() -> None:
    from faster_whisper.utils import _MODELS

    ours = {name: source.repository for name, source in MODELS.items() if source.family != "kb-whisper"}
    assert {**ours, **{alias: MODELS[name].repository for alias, name in ALIASES.items()}} == _MODELS


@pytest.mark.parametrize(
    "name", ["turbo", "small.en", "distil-large-v3", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"]
)
def test_a_model_that_cannot_translate_refuses_to(name: str) -> None:
    with pytest.raises(BadOptions, match="not trained to translate"):
        models.fitted(TranscribeOptions(task="translate"), name)


@pytest.mark.parametrize("name", ["base", "kb-whisper-small", "our-own", "somebody/else"])
def test_of_a_model_that_is_not_known_to_lack_it_anything_may_be_asked(name: str) -> None:
    options = TranscribeOptions(language="multi", task="translate")
    assert models.fitted(options, name) is options


@pytest.mark.parametrize("language", ["sv", "multi"])
def test_an_english_model_refuses_other_languages(language: str) -> None:
    with pytest.raises(BadOptions, match="knows English only"):
        models.fitted(TranscribeOptions(language=language), "/opt/models/distil-large-v3")


def test_an_english_model_refuses_to_expect_another_language() -> None:
    with pytest.raises(BadOptions, match="cannot expect 'sv'"):
        models.fitted(TranscribeOptions(home_language="sv"), "base.en")


@pytest.mark.parametrize("home", [None, "en"])
def test_an_english_model_detects_nothing(home: str | None) -> None:
    asked = TranscribeOptions(home_language=home)
    assert models.fitted(asked, "distil-large-v3") == TranscribeOptions(language="en")


def test_a_repository_named_without_revision_follows_its_main_branch() -> None:
    source = source_of("somebody/else")
    assert source
    assert source.revision == "main"
    assert source.can_translate is None
    pinned = source_of("somebody/else@v2")
    assert pinned
    assert pinned.revision == "v2"


def test_weights_that_arrive_damaged_are_refused(hub: type[Hub]) -> None:
    hub.damaged = True
    fetched = run_python(RESOLVE)
    assert "ModelUnavailable" in fetched.stderr
    assert "SHA-256" in fetched.stderr
    hub.damaged = False
    assert COMMIT in run_python(RESOLVE).stdout


def test_a_hub_out_of_reach_ends_in_a_sentence() -> None:
    failed = run_python(RESOLVE)
    assert "ModelUnavailable" in failed.stderr
    assert "Retrying" not in failed.stderr
    assert "or use 'base'" in failed.stderr
    verbatim = run_python(VERBATIM)
    assert "has it as kb-whisper-small-verbatim, or leave out the style" in verbatim.stderr


def test_swedish_small_is_the_default_where_the_hub_answers(hub: type[Hub]) -> None:
    answer = run_python("from avskrift.asr import models; print(models.default_model())")
    assert answer.stdout.strip() == str(models.DefaultModel("kb-whisper-small")), answer.stderr


def test_without_hub_the_default_is_base_and_says_what_that_means(bare_machine: Path) -> None:
    code = "from avskrift.asr import models; d = models.default_model(); print(d.name, d.notice)"
    answer = run_python(code)
    assert answer.stdout.startswith("base "), answer.stderr
    assert "Swedish" in answer.stdout
    assert "avskrift models pull kb-whisper-small" in answer.stdout
    put_model(bare_machine / "models" / "kb-whisper-small")
    assert run_python(code).stdout.strip() == "kb-whisper-small None"


START = (
    "from avskrift.asr.engine import Engine, EngineConfig\n"
    "with Engine(EngineConfig(model='kb-whisper-small', device='cpu', require_confinement=True)) as engine:\n"
    "    engine.start()"
)


def test_an_engine_fetches_its_model_before_the_worker_gives_up_the_network(hub: type[Hub]) -> None:
    """What it gets here is no model, which only a worker that was given one finds out."""
    started = run_python(START)
    assert "tokenizer.json is damaged" in started.stderr
    assert COMMIT in started.stderr, "it was fetched"
