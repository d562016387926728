"""Options that cannot be honoured are refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from avskrift.asr.engine import EngineConfig, TranscribeOptions
from avskrift.asr.options import context_text, require_context_fits
from avskrift.errors import BadOptions


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("language", "swedish"),
        ("language", "SV"),
        ("task", "summarize"),
        ("beam_size", 0),
        ("beam_size", 2.5),
        ("beam_size", True),
        ("words", "yes"),
        ("prompt", "  "),
        ("hotwords", ["a"]),
        ("max_duration_s", 0),
        ("max_size_bytes", 0),
        ("max_size_bytes", 1.5),
        ("temperature", 0.2),
        ("language", ["sv"]),
        ("language", {"sv": 1}),
        ("home_language", "multi"),
        ("home_language", "svenska"),
        ("vad", "loud"),
        ("vad", None),
        ("channels", "left"),
        ("clip", [60.0, 60.0]),
        ("clip", [-1.0, None]),
        ("clip", [None, 60.0]),
        ("clip", [float("nan"), None]),
        ("clip", [0.0, float("inf")]),
        ("clip", [0.0]),
        ("clip", "10:00-12:00"),
        ("clip", [True, 5.0]),
        ("glossary", "Sundbyberg"),
        ("glossary", [" "]),
        ("glossary", [7]),
    ],
)
def test_an_option_that_cannot_be_honoured_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(BadOptions, match=option):
        TranscribeOptions.from_dict({option: value})


def test_options_that_make_sense_are_read() -> None:
    options = TranscribeOptions.from_dict({"language": "sv", "beam_size": 5, "hotwords": "Sundbyberg"})
    assert options == TranscribeOptions(language="sv", beam_size=5, hotwords="Sundbyberg")


def test_options_survive_their_way_to_the_worker() -> None:
    options = TranscribeOptions(
        language="multi",
        home_language="sv",
        task="translate",
        glossary=("Sundbyberg", "återvinningscentral"),
        vad="sensitive",
        clip=(600.0, None),
        channels="split",
    )
    assert TranscribeOptions.from_dict(json.loads(json.dumps(asdict(options)))) == options
    assert TranscribeOptions.from_dict(json.loads(json.dumps(asdict(TranscribeOptions())))) == TranscribeOptions()


def test_a_home_language_is_refused_where_the_language_is_given() -> None:
    with pytest.raises(BadOptions, match="leave one of them out"):
        TranscribeOptions(language="en", home_language="sv").validate()
    for detected in (None, "multi"):
        TranscribeOptions(language=detected, home_language="sv").validate()


def test_the_model_is_told_terms_first_and_the_prompt_next_to_the_speech() -> None:
    assert context_text(TranscribeOptions()) == ""
    told = TranscribeOptions(
        prompt=" Möte i nämnden. ", hotwords="Solna, Sundbyberg", glossary=("Hallonbergen", " Kista ")
    )
    assert context_text(told) == " Hallonbergen, Kista, Solna, Sundbyberg Möte i nämnden."
    assert context_text(TranscribeOptions(prompt="Möte")) == " Möte"
    assert context_text(TranscribeOptions(glossary=("Kista",))) == " Kista"


def test_too_much_context_is_refused_with_its_count() -> None:
    require_context_fits(223)
    with pytest.raises(BadOptions, match="224 tokens together; the model has room for 223"):
        require_context_fits(224)


@pytest.mark.parametrize(
    "config",
    [
        EngineConfig(device="tpu"),
        EngineConfig(compute_type="int4"),
        EngineConfig(threads=0),
        EngineConfig(batch=0),
        EngineConfig(model=""),
        EngineConfig(style="poetic"),
        EngineConfig(memory_mb=0),
        EngineConfig(memory_mb=1.5),  # type: ignore[arg-type]
        EngineConfig(memory_mb=900, device="cuda"),
    ],
)
def test_an_engine_that_no_machine_could_run_is_refused(config: EngineConfig) -> None:
    with pytest.raises(BadOptions):
        config.validate()


def test_the_language_codes_are_those_of_the_models() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    from avskrift.languages import LANGUAGES

    assert frozenset(_LANGUAGE_CODES) == LANGUAGES
