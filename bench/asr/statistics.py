"""What can be said about a difference that was seen on few clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
_SEED = 20_261_121


@dataclass(frozen=True)
class Unit:
    """Something heard by both (a sentence, a clip): how many words are in it, and the errors of each."""

    name: str
    words: int
    our_errors: int
    their_errors: int


@dataclass(frozen=True)
class Difference:
    """Points of word error rate, ours less theirs, and the bounds of the 95% interval."""

    points: float
    low: float
    high: float


def paired_difference(units: Sequence[Unit], draws: int = DRAWS) -> Difference:
    """By bootstrap: units drawn with replacement, both engines on the same draw, errors and words pooled."""
    words = np.array([unit.words for unit in units])
    more = np.array([unit.our_errors - unit.their_errors for unit in units])
    drawn = np.random.default_rng(_SEED).integers(len(units), size=(draws, len(units)))
    seen = 100 * more[drawn].sum(axis=1) / np.maximum(1, words[drawn].sum(axis=1))
    low, high = np.percentile(seen, [2.5, 97.5])
    return Difference(100 * float(more.sum()) / max(1, int(words.sum())), float(low), float(high))


def pooled_rate(units: Sequence[Unit], *, ours: bool) -> float:
    """Word error rate over all units together, in percent."""
    errors = sum(unit.our_errors if ours else unit.their_errors for unit in units)
    return 100 * errors / max(1, sum(unit.words for unit in units))
