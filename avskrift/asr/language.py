"""Which language is spoken, from what a model heard in several pieces of speech. Pure: probabilities in, codes out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectedLanguage:
    """The likeliest language of the speech heard, and how likely (0 to 1)."""

    code: str
    probability: float
