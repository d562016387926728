"""What the functions take at the door: every format and preset that the library has, and what goes together."""

from __future__ import annotations

import pytest

from avskrift.errors import BadOptions
from avskrift.formats import FORMATS
from avskrift.formats.presets import PRESETS
from avskrift.jobs.options import OptionRules, parse_options
from lambdas.environment import Environment
from lambdas.settings import register_settings


@pytest.fixture
def rules() -> OptionRules:
    queues = {"JOBS_QUEUE_URL": "jobs", "OUTBOX_QUEUE_URL": "outbox"}
    values = {**queues, "MAX_SIZE_BYTES": "1", "JOB_TTL_DAYS": "3", "UPLOADS_EXPIRE_DAYS": "1"}
    return register_settings(Environment({f"AVSKRIFT_{name}": value for name, value in values.items()})).rules


@pytest.mark.parametrize("preset", PRESETS)
def test_every_format_and_preset_is_taken(rules: OptionRules, preset: str) -> None:
    asked = parse_options({"formats": list(FORMATS), "preset": preset}, rules)
    assert (asked.formats, asked.preset) == (tuple(FORMATS), preset)


def test_a_manifest_is_not_taken_without_its_captions(rules: OptionRules) -> None:
    with pytest.raises(BadOptions, match="smil needs ttml"):
        parse_options({"formats": ["smil", "txt"]}, rules)


@pytest.mark.parametrize("asked", [{"preset": "easy"}, {"highlight_words": True}])
def test_how_subtitles_look_is_not_asked_of_a_job_without_any(rules: OptionRules, asked: dict[str, object]) -> None:
    for name in FORMATS:
        options = {**asked, "formats": sorted({name, "ttml" if name == "smil" else name})}
        if set(asked) & FORMATS[name].heeds or name == "smil":
            assert name in parse_options(options, rules).formats
        else:
            with pytest.raises(BadOptions, match="is for srt, vtt"):
                parse_options(options, rules)
