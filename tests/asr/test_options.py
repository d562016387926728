"""Options that cannot be honoured are refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.asr.engine import EngineConfig, TranscribeOptions
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
    ],
)
def test_an_option_that_cannot_be_honoured_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(BadOptions, match=option):
        TranscribeOptions.from_dict({option: value})


def test_options_that_make_sense_are_read() -> None:
    options = TranscribeOptions.from_dict({"language": "sv", "beam_size": 5, "hotwords": "Sundbyberg"})
    assert options == TranscribeOptions(language="sv", beam_size=5, hotwords="Sundbyberg")


@pytest.mark.parametrize(
    "config",
    [
        EngineConfig(device="tpu"),
        EngineConfig(compute_type="int4"),
        EngineConfig(threads=0),
        EngineConfig(batch=0),
        EngineConfig(model=""),
    ],
)
def test_an_engine_that_no_machine_could_run_is_refused(config: EngineConfig) -> None:
    with pytest.raises(BadOptions):
        config.validate()


def test_the_language_codes_are_those_of_the_models() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    from avskrift.languages import LANGUAGES

    assert frozenset(_LANGUAGE_CODES) == LANGUAGES
