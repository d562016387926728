"""How subtitles should look: the rules of each house style (docs/subtitles.md says where each number comes from)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from avskrift.errors import BadOptions

LINE_WIDTHS = range(10, 101)
LINES = range(1, 4)
WORDS_PER_CUE = range(1, 51)
DEFAULT_PRESET = "default"


@dataclass(frozen=True)
class CueRules:
    """What cues are built by. Lengths in characters, times in seconds, speed in characters per second."""

    max_line_characters: int = 42
    """Wide (East Asian) characters count two, combining marks none."""
    max_lines: int = 2
    max_cps: float = 17.0
    min_cue_s: float = 0.833
    max_cue_s: float = 7.0
    gap_s: float = 0.080
    """Between a cue and the next, so that the eye sees the change."""
    max_words: int | None = None
    """Words in a cue at most; None for as many as fit."""
    dash: str = "-"
    """What begins each line of a cue in which two speak."""


PRESETS: Mapping[str, CueRules] = MappingProxyType(
    {
        DEFAULT_PRESET: CueRules(),
        "sv-broadcast": CueRules(max_line_characters=37, max_cps=15.0, min_cue_s=1.5),
        "easy": CueRules(max_line_characters=32, max_cps=10.0, min_cue_s=1.5),
        "vertical": CueRules(max_line_characters=25, max_lines=1),
    }
)


def rules_for(
    preset: str,
    *,
    max_line_width: int | None = None,
    max_lines: int | None = None,
    max_words_per_cue: int | None = None,
) -> CueRules:
    """The preset's rules with what was asked for instead; None keeps the preset's own.

    Raises ``BadOptions`` for an unknown preset, listing those that exist, and for a number out of its range.
    """
    if preset not in PRESETS:
        raise BadOptions(f"Unknown preset {preset}. There are: {', '.join(PRESETS)}.")
    rules = PRESETS[preset]
    if max_line_width is not None:
        rules = replace(rules, max_line_characters=_within(LINE_WIDTHS, max_line_width, "characters in a line"))
    if max_lines is not None:
        rules = replace(rules, max_lines=_within(LINES, max_lines, "lines in a cue"))
    if max_words_per_cue is not None:
        rules = replace(rules, max_words=_within(WORDS_PER_CUE, max_words_per_cue, "words in a cue"))
    return rules


def _within(possible: range, asked: int, what: str) -> int:
    if asked not in possible:
        raise BadOptions(f"{asked} {what} cannot be had: choose a number from {possible[0]} to {possible[-1]}.")
    return asked
