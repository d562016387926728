"""How big a model is, read from the header of each variable in its ``model.bin``: no weight is loaded for it."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

#: CTranslate2's (``src/models/model.cc``, ``Model::load``): since version 4 a variable says its type and size in bytes.
_OLDEST_VERSION = 4
_MOST_VARIABLES = 100_000
_DECODER_LAYER = re.compile(r"decoder/layer_(\d+)/")
_BYTES_PER_NUMBER = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2}


@dataclass(frozen=True)
class ModelSize:
    """What decides how much memory a Whisper model takes."""

    decoder_layers: int
    width: int
    """Of a position in the decoder (``d_model``)."""
    heads: int
    """Of the encoder's attention."""
    vocabulary: int
    numbers: int
    """Weights, counted."""
    stored_bytes: int

    def loaded_bytes(self, compute_type: str) -> int:
        """Of one copy in memory."""
        return self.numbers * _BYTES_PER_NUMBER.get(compute_type, 1)


def read_size(directory: Path) -> ModelSize | None:
    """Of a converted Whisper model; None where there is none, which loading it will say better."""
    path = directory / "model.bin"
    try:
        with path.open("rb") as file:
            variables = dict(_variables(file))
            heads = variables["encoder/num_heads"].value
    except (OSError, struct.error, ValueError, KeyError):
        return None
    layers = {match[1] for match in map(_DECODER_LAYER.match, variables) if match}
    embeddings = variables.get("decoder/embeddings/weight")
    if embeddings is None or len(embeddings.shape) != 2:
        return None
    return ModelSize(
        decoder_layers=len(layers),
        width=embeddings.shape[1],
        heads=heads,
        vocabulary=embeddings.shape[0],
        numbers=sum(math.prod(variable.shape) for variable in variables.values()),
        stored_bytes=path.stat().st_size,
    )


@dataclass(frozen=True)
class _Variable:
    shape: tuple[int, ...]
    value: int
    """Of one that is a single whole number, else 0."""


def _variables(file: IO[bytes]) -> list[tuple[str, _Variable]]:
    version, count = _read(file, "<I")[0], 0
    if version < _OLDEST_VERSION:
        raise ValueError("an old format")
    _read_name(file)
    _, count = _read(file, "<II")
    if count > _MOST_VARIABLES:
        raise ValueError("no model")
    return [_read_variable(file) for _ in range(count)]


def _read_variable(file: IO[bytes]) -> tuple[str, _Variable]:
    name = _read_name(file)
    (rank,) = _read(file, "<B")
    shape = _read(file, f"<{rank}I")
    _, size_bytes = _read(file, "<BI")
    if rank == 0 and size_bytes <= 2:
        return name, _Variable(shape, int.from_bytes(file.read(size_bytes), "little"))
    file.seek(size_bytes, 1)
    return name, _Variable(shape, 0)


def _read_name(file: IO[bytes]) -> str:
    (length,) = _read(file, "<H")
    return file.read(length).rstrip(b"\0").decode()


def _read(file: IO[bytes], layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
