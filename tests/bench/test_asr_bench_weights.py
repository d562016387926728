"""A CTranslate2 model read back into what other engines take."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avskrift.asr import embedded, models
from avskrift.errors import ModelUnavailable
from bench.asr.weights import dimensions, openai_tensors, write_ggml, write_npz

WIDTH = 64


def named(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def variable(name: str, values: Any) -> bytes:
    kind = {"float16": 4, "float32": 0, "int8": 1}[values.dtype.name]
    shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return named(name) + shape + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


def half(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float16).reshape(shape)


def write_model(folder: Path, *, version: int = 6, **changed: Any) -> Path:
    """One layer each way, 64 wide, with a vocabulary of three."""
    variables = {
        "encoder/conv1/weight": half(WIDTH, 80, 3),
        "encoder/conv1/bias": half(WIDTH),
        "encoder/position_encodings/encodings": half(1500, WIDTH),
        "encoder/layer_0/self_attention/linear_0/weight": half(3 * WIDTH, WIDTH),
        "encoder/layer_0/self_attention/linear_0/bias": half(3 * WIDTH),
        "encoder/layer_0/ffn/layer_norm/gamma": half(WIDTH),
        "encoder/num_heads": np.array(1, np.int8),
        "decoder/embeddings/weight": half(3, WIDTH),
        "decoder/position_encodings/encodings": half(448, WIDTH),
        "decoder/layer_0/attention/linear_1/weight": half(2 * WIDTH, WIDTH),
        **{name.replace("__", "/"): values for name, values in changed.items()},
    }
    content = struct.pack("<I", version) + named("WhisperSpec") + struct.pack("<II", 3, len(variables))
    (folder / "model.bin").write_bytes(content + b"".join(variable(*each) for each in variables.items()))
    vocabulary = {"model": {"vocab": {"Ġhej": 0, "Ã¥": 1, "<|endoftext|>": 2}}}
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    return folder


def test_layers_that_lie_together_are_taken_apart(tmp_path: Path) -> None:
    tensors = openai_tensors(write_model(tmp_path) / "model.bin")
    together = half(3 * WIDTH, WIDTH)
    for number, name in enumerate(("query", "key", "value")):
        taken = tensors[f"encoder.blocks.0.attn.{name}.weight"]
        assert np.array_equal(taken, together[number * WIDTH : (number + 1) * WIDTH])
    assert "encoder.blocks.0.attn.key.bias" not in tensors
    assert {"decoder.blocks.0.cross_attn.key.weight", "decoder.blocks.0.cross_attn.value.weight"} <= set(tensors)
    assert np.array_equal(tensors["encoder.blocks.0.mlp_ln.weight"], half(WIDTH))


def test_sizes_are_read_from_the_shapes(tmp_path: Path) -> None:
    sizes = dimensions(openai_tensors(write_model(tmp_path) / "model.bin"))
    assert sizes["n_audio_state"] == WIDTH
    assert (sizes["n_audio_head"], sizes["n_audio_layer"], sizes["n_text_layer"]) == (1, 1, 1)
    assert (sizes["n_mels"], sizes["n_audio_ctx"], sizes["n_text_ctx"], sizes["n_vocab"]) == (80, 1500, 448, 3)


def test_weights_that_are_not_as_published_are_refused(tmp_path: Path) -> None:
    smaller = write_model(tmp_path, encoder__conv1__weight=np.zeros((WIDTH, 80, 3), np.int8))
    with pytest.raises(ModelUnavailable, match="float16"):
        openai_tensors(smaller / "model.bin")
    with pytest.raises(ModelUnavailable, match="version 5"):
        openai_tensors(write_model(tmp_path, version=5) / "model.bin")


def test_arrays_come_back_with_their_sizes(tmp_path: Path) -> None:
    write_npz(write_model(tmp_path), tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz") as arrays:
        assert json.loads(str(arrays["dimensions"]))["n_vocab"] == 3
        assert np.array_equal(arrays["encoder.conv1.bias"], half(WIDTH))


def test_ggml_begins_with_sizes_filters_and_the_words_bytes(tmp_path: Path) -> None:
    write_ggml(write_model(tmp_path), np.ones((80, 201)), tmp_path / "weights.bin")
    content = (tmp_path / "weights.bin").read_bytes()
    magic, vocabulary, context = struct.unpack_from("<3i", content)
    assert (magic, vocabulary, context) == (0x67676D6C, 3, 1500)
    assert struct.unpack_from("<2i", content, 48) == (80, 201)
    words = content[56 + 80 * 201 * 4 :]
    assert words.startswith(struct.pack("<2i", 2, 4) + b" hej" + struct.pack("<i", 2) + "å".encode())


@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
def test_the_real_model_is_read_whole() -> None:
    tensors = openai_tensors(models.resolve("base").directory / "model.bin")
    assert len(tensors) == 245
    assert dimensions(tensors)["n_vocab"] == 51865
