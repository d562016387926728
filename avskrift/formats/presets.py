"""How subtitles should look: the rules of each house style, and where its numbers come from (docs/subtitles.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CueRules:
    """What cues are built by. Lengths in characters, times in seconds, speed in characters per second."""

    max_line_characters: int = 42
    max_lines: int = 2
    max_cps: float = 17.0
    min_cue_s: float = 0.833
    max_cue_s: float = 7.0
    gap_s: float = 0.080
    max_words: int | None = None
    """Words in a cue at most; None for as many as fit."""
    dash: str = "-"
    """What begins each line of a cue in which two speak."""


PRESETS: dict[str, CueRules] = {"default": CueRules()}
