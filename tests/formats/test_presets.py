"""The house styles, and what can be asked for over them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from avskrift.errors import BadOptions
from avskrift.formats.presets import PRESETS, CueRules, rules_for

DOCS = Path(__file__).parents[2] / "docs" / "subtitles.md"


def test_a_preset_by_name_is_its_rules() -> None:
    assert rules_for("default") == CueRules()
    assert (rules_for("sv-broadcast").max_line_characters, rules_for("sv-broadcast").max_cps) == (37, 15.0)
    assert (rules_for("easy").max_line_characters, rules_for("easy").max_cps) == (32, 10.0)
    assert rules_for("vertical").max_lines == 1


def test_what_is_asked_for_goes_over_any_preset_and_the_rest_stays() -> None:
    rules = rules_for("easy", max_line_width=20, max_lines=3, max_words_per_cue=4)
    assert (rules.max_line_characters, rules.max_lines, rules.max_words) == (20, 3, 4)
    assert (rules.max_cps, rules.min_cue_s) == (PRESETS["easy"].max_cps, PRESETS["easy"].min_cue_s)


def test_an_unknown_preset_gets_the_list_of_those_that_exist() -> None:
    with pytest.raises(BadOptions, match="default, sv-broadcast, easy, vertical"):
        rules_for("netflix")


@pytest.mark.parametrize(
    "asked",
    [{"max_line_width": 9}, {"max_line_width": 101}, {"max_lines": 0}, {"max_lines": 4}, {"max_words_per_cue": 0}],
)
def test_a_number_out_of_range_is_refused_with_the_range(asked: dict[str, int]) -> None:
    with pytest.raises(BadOptions, match=r"from \d+ to \d+"):
        rules_for("default", **asked)


def test_the_docs_have_the_presets_as_they_are() -> None:
    """A number that changes without its source would make the table lie."""
    rows = {
        cells[0]: [float(found.group()) if (found := re.match(r"[\d.]+", cell)) else None for cell in cells[1:]]
        for line in DOCS.read_text().splitlines()
        if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
    }
    rules = list(PRESETS.values())
    assert rows["characters in a line"] == [each.max_line_characters for each in rules]
    assert rows["lines"] == [each.max_lines for each in rules]
    assert rows["characters per second"] == [each.max_cps for each in rules]
    assert rows["shortest cue"] == [each.min_cue_s for each in rules]
    assert rows["longest cue"] == [each.max_cue_s for each in rules]
    assert rows["gap between cues"] == [each.gap_s * 1000 for each in rules]
