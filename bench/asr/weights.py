"""The weights of a CTranslate2 Whisper model in the forms that other engines read.

CTranslate2's ``model.bin`` (version 6, little endian): uint32 version; the spec's name; uint32 revision; uint32 number
of variables, each with its name, uint8 rank, uint32 × rank shape, uint8 type, uint32 bytes and the bytes; then aliases
(names of equal variables), which are of no use here. A name is uint16 length and that many bytes, the last one zero.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from avskrift.errors import ModelUnavailable

Tensors = dict[str, Any]
"""Names of OpenAI's checkpoints to arrays: float16."""

_VERSION, _FLOAT16 = 6, 4
_WHOLE = {
    "encoder/position_encodings/encodings": "encoder.positional_embedding",
    "decoder/position_encodings/encodings": "decoder.positional_embedding",
    "decoder/embeddings/weight": "decoder.token_embedding.weight",
    "encoder/layer_norm/gamma": "encoder.ln_post.weight",
    "encoder/layer_norm/beta": "encoder.ln_post.bias",
    "decoder/layer_norm/gamma": "decoder.ln.weight",
    "decoder/layer_norm/beta": "decoder.ln.bias",
}
_PARTS = ("encoder", "decoder")
_ENDS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}
_NORMS = {"self_attention": "attn_ln", "attention": "cross_attn_ln", "ffn": "mlp_ln"}
#: Where a linear layer of CTranslate2 holds several of OpenAI's, one below the other.
_LINEARS = {
    "self_attention/linear_0": ("attn.query", "attn.key", "attn.value"),
    "self_attention/linear_1": ("attn.out",),
    "attention/linear_0": ("cross_attn.query",),
    "attention/linear_1": ("cross_attn.key", "cross_attn.value"),
    "attention/linear_2": ("cross_attn.out",),
    "ffn/linear_0": ("mlp.0",),
    "ffn/linear_1": ("mlp.2",),
}
_LAYER = re.compile(r"(encoder|decoder)/layer_(\d+)/(\w+)/(\w+)/(\w+)")

#: whisper.cpp's ``ggml`` file: "ggml", sizes, mel filters, vocabulary, tensors (``models/convert-pt-to-ggml.py``).
_GGML_MAGIC = 0x67676D6C
_GGML_FLOAT32, _GGML_FLOAT16 = 0, 1
_FFT_BINS = 201


def openai_tensors(model_bin: Path) -> Tensors:
    """Every weight under its name in OpenAI's checkpoint; raises ``ModelUnavailable`` unless all are float16."""
    tensors: Tensors = {}
    for name, values in _variables(model_bin).items():
        tensors |= _renamed(name, values)
    return tensors


def dimensions(tensors: Tensors) -> dict[str, int]:
    """OpenAI's ``ModelDimensions``; a head is 64 wide in every Whisper model."""
    width = tensors["encoder.positional_embedding"].shape[1]
    layers = {part: len({key.split(".")[2] for key in tensors if key.startswith(f"{part}.blocks")}) for part in _PARTS}
    return {
        "n_mels": tensors["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": tensors["encoder.positional_embedding"].shape[0],
        "n_audio_state": width,
        "n_audio_head": width // 64,
        "n_audio_layer": layers["encoder"],
        "n_vocab": tensors["decoder.token_embedding.weight"].shape[0],
        "n_text_ctx": tensors["decoder.positional_embedding"].shape[0],
        "n_text_state": width,
        "n_text_head": width // 64,
        "n_text_layer": layers["decoder"],
    }


def write_npz(model_directory: Path, target: Path) -> None:
    """For engines on torch, which loads the arrays itself: ``dimensions`` as JSON among them."""
    tensors = openai_tensors(model_directory / "model.bin")
    np.savez(target, dimensions=np.array(json.dumps(dimensions(tensors))), **tensors)


def write_ggml(model_directory: Path, mel_filters: Any, target: Path) -> None:
    """For whisper.cpp, in float16. ``mel_filters``: float32 (mels, 201), the same for every engine."""
    tensors = openai_tensors(model_directory / "model.bin")
    sizes = dimensions(tensors)
    order = [
        *("n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer"),
        *("n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels"),
    ]
    with target.open("wb") as file:
        file.write(struct.pack("<12i", _GGML_MAGIC, *(sizes[name] for name in order), _GGML_FLOAT16))
        file.write(struct.pack("<2i", sizes["n_mels"], _FFT_BINS))
        file.write(np.ascontiguousarray(mel_filters, np.float32).tobytes())
        _write_vocabulary(file, model_directory)
        for name, values in tensors.items():
            _write_tensor(file, name, values)


def _write_vocabulary(file: IO[bytes], model_directory: Path) -> None:
    """The tokens that are text, as bytes; whisper.cpp makes up the special ones itself."""
    vocabulary = json.loads((model_directory / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    bytes_of = {character: byte for byte, character in _byte_characters().items()}
    tokens = sorted((number, token) for token, number in vocabulary.items() if not token.startswith("<|"))
    file.write(struct.pack("<i", len(tokens)))
    for _, token in tokens:
        spelled = bytes(bytes_of[character] for character in token)
        file.write(struct.pack("<i", len(spelled)) + spelled)


def _byte_characters() -> dict[int, str]:
    """GPT-2's printable stand-ins for bytes (openai/gpt-2 ``encoder.py``, ``bytes_to_unicode``)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + at) for at, byte in enumerate(others)}


def _write_tensor(file: IO[bytes], name: str, values: Any) -> None:
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        values = values.reshape(-1, 1)
    is_half = values.ndim >= 2 and not name.endswith(("bias", "positional_embedding"))
    written = values.astype(np.float16 if is_half else np.float32)
    encoded = name.encode()
    file.write(struct.pack("<3i", values.ndim, len(encoded), _GGML_FLOAT16 if is_half else _GGML_FLOAT32))
    file.write(struct.pack(f"<{values.ndim}i", *reversed(values.shape)))
    file.write(encoded + written.tobytes())


def _renamed(name: str, values: Any) -> Tensors:
    if name in _WHOLE:
        return {_WHOLE[name]: values}
    if name.startswith(("encoder/conv1/", "encoder/conv2/")):
        return {name.replace("/", "."): values}
    found = _LAYER.fullmatch(name)
    if not found:
        return {}
    part, number, block, layer, kind = found.groups()
    prefix, end = f"{part}.blocks.{number}", _ENDS[kind]
    if layer == "layer_norm":
        return {f"{prefix}.{_NORMS[block]}.{end}": values}
    names = _LINEARS[f"{block}/{layer}"]
    pieces = zip(names, np.split(values, len(names)), strict=True)
    # OpenAI's keys have no bias; CTranslate2 writes zeros.
    return {f"{prefix}.{own}.{end}": piece for own, piece in pieces if not own.endswith("key") or end == "weight"}


def _variables(model_bin: Path) -> Tensors:
    with model_bin.open("rb") as file:
        (version,) = struct.unpack("<I", file.read(4))
        if version != _VERSION:
            raise ModelUnavailable(f"{model_bin} is of version {version} of CTranslate2's format, not {_VERSION}.")
        _name(file)
        _, count = struct.unpack("<II", file.read(8))
        return dict(_variable(file) for _ in range(count))


def _variable(file: IO[bytes]) -> tuple[str, Any]:
    name = _name(file)
    (rank,) = struct.unpack("<B", file.read(1))
    shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
    kind, size = struct.unpack("<BI", file.read(5))
    content = file.read(size)
    if rank == 0:
        return name, content
    if kind != _FLOAT16:
        raise ModelUnavailable(f"{name} is not in float16: only weights as they were published can be converted.")
    return name, np.frombuffer(content, np.float16).reshape(shape)


def _name(file: IO[bytes]) -> str:
    (length,) = struct.unpack("<H", file.read(2))
    return file.read(length)[:-1].decode()
