"""Another engine as a process that answers as ``bench.faster_whisper_run`` does, in the environment made for it.

    python -m bench.asr.peers_run ENGINE WEIGHTS MODEL_DIRECTORY SETTINGS_JSON

Engines: openai-whisper and transformers (weights: ``bench.asr.weights.write_npz``), pywhispercpp (``write_ggml``).
Recordings are 16 kHz mono WAV. Nothing of the project's own environment is imported here.
"""

from __future__ import annotations

import json
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Transcribe = Callable[[Any, dict[str, Any]], str]
"""Samples (float32 within ±1) and a request to text."""

_HF_NAMES = (
    ("cross_attn_ln", "encoder_attn_layer_norm"),
    ("attn_ln", "self_attn_layer_norm"),
    ("mlp_ln", "final_layer_norm"),
    ("cross_attn.", "encoder_attn."),
    (".attn.", ".self_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    (".blocks.", ".layers."),
    (".ln_post.", ".layer_norm."),
    (".ln.", ".layer_norm."),
    (".positional_embedding", ".embed_positions.weight"),
    (".token_embedding.", ".embed_tokens."),
)
_BATCH = 8
_END, _ENDING = "<|endoftext|>", ("bos_token", "eos_token", "pad_token", "unk_token")


def main() -> None:
    engine, weights, directory, settings = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
    transcribe = _ENGINES[engine](weights, directory, settings["cores"])
    _say({})
    for line in sys.stdin:
        request = json.loads(line)
        began = time.perf_counter()
        text = transcribe(_samples(request["recording"]), request)
        _say({"transcribe_s": time.perf_counter() - began, "first_text_s": None, "text": text})


def openai_whisper(weights: Path, _: Path, cores: int) -> Transcribe:
    """Float32, as it runs on CPU; without its fallback to higher temperatures."""
    import torch
    import whisper

    torch.set_num_threads(cores)
    sizes, tensors = _torch_tensors(weights)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**sizes))
    model.load_state_dict(tensors)
    model.eval()

    def transcribe(samples: Any, request: dict[str, Any]) -> str:
        beam = request["beam"] if request["beam"] > 1 else None
        heard = model.transcribe(samples, language=request["language"], beam_size=beam, temperature=0.0, fp16=False)
        return str(heard["text"])

    return transcribe


def transformers(weights: Path, directory: Path, cores: int) -> Transcribe:
    """Its pipeline with chunks of 30 s and batches of 8, float32."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers import WhisperTokenizerFast as Tokenizer
    from transformers import pipeline as make_pipeline

    torch.set_num_threads(cores)
    sizes, tensors = _torch_tensors(weights)
    width = sizes["n_audio_state"]
    config = WhisperConfig(
        vocab_size=sizes["n_vocab"],
        num_mel_bins=sizes["n_mels"],
        d_model=width,
        encoder_layers=sizes["n_audio_layer"],
        decoder_layers=sizes["n_text_layer"],
        encoder_attention_heads=sizes["n_audio_head"],
        decoder_attention_heads=sizes["n_text_head"],
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
    )
    model = WhisperForConditionalGeneration(config).eval()
    named = {f"model.{_hf_name(name)}": values for name, values in tensors.items()}
    named["proj_out.weight"] = named["model.decoder.embed_tokens.weight"]
    model.load_state_dict(named)
    tokenizer = Tokenizer(tokenizer_file=str(directory / "tokenizer.json"), **dict.fromkeys(_ENDING, _END))
    _tell_of_tokens(model.generation_config, tokenizer)
    pipeline = make_pipeline(
        "automatic-speech-recognition",
        model=model,
        tokenizer=tokenizer,
        feature_extractor=WhisperFeatureExtractor(feature_size=sizes["n_mels"]),
        chunk_length_s=30,
        batch_size=_BATCH,
    )

    def transcribe(samples: Any, request: dict[str, Any]) -> str:
        asked = {"language": request["language"], "task": "transcribe", "num_beams": request["beam"]}
        return str(pipeline({"raw": samples, "sampling_rate": 16_000}, generate_kwargs=asked)["text"])

    return transcribe


def _hf_name(name: str) -> str:
    for openai, hugging_face in _HF_NAMES:
        name = name.replace(openai, hugging_face)
    return name


def _tell_of_tokens(config: Any, tokenizer: Any) -> None:
    """What a published generation_config.json says and a converted model does not."""
    special = {token: number for token, number in tokenizer.get_vocab().items() if token.startswith("<|")}
    end, start = special[_END], special["<|startoftranscript|>"]
    config.lang_to_id = {
        token: number for token, number in special.items() if len(token) in (6, 7) and number < end + 101
    }
    config.task_to_id = {"transcribe": special["<|transcribe|>"], "translate": special["<|translate|>"]}
    config.no_timestamps_token_id = special["<|notimestamps|>"]
    config.is_multilingual, config.max_length, config.decoder_start_token_id = True, 448, start
    config.eos_token_id = config.pad_token_id = config.bos_token_id = end
    config.begin_suppress_tokens = [220, end]


def pywhispercpp(weights: Path, _: Path, cores: int) -> Transcribe:
    """whisper.cpp with weights in float16; without its fallback to higher temperatures."""
    from pywhispercpp.model import Model

    quiet = {"print_progress": False, "print_realtime": False}
    greedy = Model(str(weights), n_threads=cores, temperature_inc=0.0, redirect_whispercpp_logs_to=None, **quiet)

    def transcribe(samples: Any, request: dict[str, Any]) -> str:
        return " ".join(segment.text.strip() for segment in greedy.transcribe(samples, language=request["language"]))

    return transcribe


_ENGINES = {"openai-whisper": openai_whisper, "transformers": transformers, "pywhispercpp": pywhispercpp}


def _torch_tensors(weights: Path) -> tuple[dict[str, int], dict[str, Any]]:
    import torch

    with np.load(weights) as arrays:
        sizes = json.loads(str(arrays["dimensions"]))
        named = {name: torch.from_numpy(arrays[name]).float() for name in arrays.files if name != "dimensions"}
    return sizes, named


def _samples(path: str) -> Any:
    with wave.open(path, "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def _say(answer: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
