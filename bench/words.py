"""How far two transcripts are apart, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence


def words_of(text: str) -> list[str]:
    """Words in lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def word_edits(expected: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to insert, delete or replace (Levenshtein's distance) that make one the other."""
    previous = list(range(len(heard) + 1))
    for row, wanted in enumerate(expected, 1):
        current = [row]
        for column, word in enumerate(heard, 1):
            replaced = previous[column - 1] + (word != wanted)
            current.append(min(replaced, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


def percent_apart(expected: str, heard: str) -> float:
    """Edits per hundred expected words: the word error rate when ``expected`` is what was said."""
    wanted = words_of(expected)
    return 100 * word_edits(wanted, words_of(heard)) / max(1, len(wanted))
