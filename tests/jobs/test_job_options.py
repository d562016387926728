"""Options of a job at the door: what is taken, what is refused, and what the deployment adds."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.asr import options as engine
from avskrift.errors import BadOptions
from avskrift.formats import presets
from avskrift.jobs.options import DEFAULT_PRESET, MULTI, JobOptions, OptionRules, options_from_metadata, parse_options

SWEDISH = OptionRules(formats=("txt", "json", "srt", "vtt"), default_language="sv")
ANYWHERE = OptionRules(formats=("txt", "json", "srt", "vtt"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style", "subtitle"),
        ("style", "verbatim"),
        ("channels", "split"),
        ("vad", "sensitive"),
        ("vad", "off"),
        ("clip", "10:00-12:00"),
        ("clip", "90-"),
        ("language", "multi"),
        ("preset", "default"),
    ],
)
def test_what_the_engine_can_do_may_be_asked_for_in_a_header_or_a_body(name: str, value: str) -> None:
    asked = options_from_metadata({f"avskrift-{name}": value}, ANYWHERE)
    assert asked == parse_options({name: value}, ANYWHERE)
    assert getattr(asked, name) == value
    assert JobOptions.from_dict(asked.to_dict()) == asked


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"style": "poetic"}, "style"),
        ({"channels": "left"}, "channels"),
        ({"vad": "loud"}, "vad"),
        ({"vad": None}, "vad"),
        ({"clip": "12:00-10:00"}, "clip"),
        ({"clip": [600, 720]}, "clip"),
        ({"language": "multiple"}, "multi"),
        ({"language": ["sv"]}, "language"),
        ({"home_language": "multi"}, "home_language"),
        ({"language": "en", "home_language": "sv"}, "leave one of them out"),
        ({"home_language": "da"}, "leave one of them out"),
        ({"preset": "tv"}, "Unknown preset 'tv'. There are: default"),
        ({"preset": ["default"]}, "preset"),
        ({"highlight_words": "yes"}, "highlight_words must be true or false"),
    ],
)
def test_what_cannot_be_honoured_is_refused_at_the_door(options: dict[str, Any], word: str) -> None:
    with pytest.raises(BadOptions, match=word):
        parse_options(options, SWEDISH)


@pytest.mark.parametrize("language", ["auto", "multi"])
def test_a_language_that_is_detected_is_expected_to_be_the_deployments(language: str) -> None:
    assert parse_options({"language": language}, SWEDISH).home_language == "sv"
    assert parse_options({"language": language, "home_language": "fi"}, SWEDISH).home_language == "fi"
    assert parse_options({"language": language}, ANYWHERE).home_language is None


def test_a_language_that_is_known_needs_no_home() -> None:
    assert parse_options({}, SWEDISH).home_language is None
    assert parse_options({"language": "en"}, SWEDISH).home_language is None


def test_a_format_that_refers_to_another_is_not_made_without_it() -> None:
    rules = OptionRules(formats=("smil", "srt", "ttml"), needs={"smil": "ttml"})
    with pytest.raises(BadOptions, match="smil needs ttml beside it"):
        parse_options({"formats": ["smil", "srt"]}, rules)
    assert parse_options({"formats": ["smil", "ttml"]}, rules).formats == ("smil", "ttml")
    assert parse_options({"formats": ["srt"]}, rules).formats == ("srt",)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"preset": "easy", "formats": ["txt", "json"]}, "preset is for srt, ttml, which is not among the formats"),
        ({"highlight_words": True, "formats": ["txt"]}, "highlight_words is for srt, which is not among the formats"),
        ({"highlight_words": True, "words": False}, "words is false"),
    ],
)
def test_an_option_that_nothing_would_show_is_refused(asked: dict[str, Any], said: str) -> None:
    rules = OptionRules(
        formats=("txt", "json", "srt", "vtt", "ttml"),
        presets=("default", "easy"),
        heeds={"preset": ("srt", "ttml"), "highlight_words": ("srt",)},
    )
    with pytest.raises(BadOptions, match=said):
        parse_options(asked, rules)
    shown = {**asked, "formats": [*asked.get("formats", []), "srt"], "words": True}
    assert parse_options(shown, rules).formats[-1] == "srt"
    assert parse_options({"preset": "default", "highlight_words": False, "formats": ["txt"]}, rules).formats == ("txt",)


def test_the_preset_of_jobs_is_that_of_the_formats() -> None:
    assert DEFAULT_PRESET == presets.DEFAULT_PRESET


def test_presets_are_those_that_the_deployment_has() -> None:
    rules = OptionRules(formats=("srt",), presets=("default", "sv-broadcast"))
    headers = {"avskrift-preset": "sv-broadcast", "avskrift-highlight-words": "true"}
    asked = options_from_metadata(headers, rules)
    assert asked == parse_options({"preset": "sv-broadcast", "highlight_words": True}, rules)
    assert (asked.preset, asked.highlight_words) == ("sv-broadcast", True)
    assert JobOptions.from_dict(asked.to_dict()) == asked


def test_rows_written_before_these_options_existed_are_read() -> None:
    new = ("vad", "clip", "home_language", "preset", "highlight_words")
    old = {name: value for name, value in JobOptions().to_dict().items() if name not in new}
    assert JobOptions.from_dict(old) == JobOptions()


def test_the_door_knows_the_engines_words() -> None:
    """The functions that check options do not carry the engine: the words are written twice, and held together here."""
    for name, words in (
        ("style", engine.STYLES),
        ("vad", engine.VAD_MODES),
        ("channels", engine.CHANNEL_MODES),
        ("task", engine.TASKS),
        ("language", (engine.MULTI, MULTI)),
    ):
        for word in words:
            assert getattr(parse_options({name: word}, ANYWHERE), name) == word
