"""Which part of a chunk's speech its text covers, told from the aligned words alone.

Alignment leaves no gaps: where the text skips half a minute, one word is stretched over it. So every word is first held
to the time its letters can take. All times are seconds on the chunk's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

#: What a short word may take, and what each letter adds: slow speech stays under it.
SHORT_WORD_S = 0.8
LETTER_S = 0.1

Stretch = tuple[float, float]


class TimedWord(Protocol):
    """A word with its place on the chunk's clock."""

    @property
    def text(self) -> str: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


def uncovered(words: Sequence[TimedWord], speech_s: float) -> list[Stretch]:
    """The stretches of ``speech_s`` seconds of speech that no word covers, in order."""
    gaps: list[Stretch] = []
    covered_to_s = 0.0
    for word in words:
        start_s, end_s = _plausible(word)
        if start_s > covered_to_s:
            gaps.append((covered_to_s, min(start_s, speech_s)))
        covered_to_s = max(covered_to_s, end_s)
    if covered_to_s < speech_s:
        gaps.append((covered_to_s, speech_s))
    return [(start_s, end_s) for start_s, end_s in gaps if start_s < end_s]


def longest_s(stretches: Iterable[Stretch]) -> float:
    """The length of the longest of them; 0 for none."""
    return max((end_s - start_s for start_s, end_s in stretches), default=0.0)


def _plausible(word: TimedWord) -> Stretch:
    """The word's beginning, and its end unless that is too far for its letters."""
    most_s = SHORT_WORD_S + LETTER_S * len(word.text.strip())
    return word.start_s, min(word.end_s, word.start_s + most_s)
