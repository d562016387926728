"""Texts held against each other: by words, by the model's tokens, sentence by sentence; and loops in them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.words import words_of

#: A stretch of up to so many words that comes at once again, so many times in all, is a loop.
LONGEST_LOOP_WORDS = 8
LOOP_TIMES = 4

_SRT_TIMES = re.compile(r"^\d+:\d\d:\d\d,\d{3} --> ")


def text_of_srt(document: str) -> str:
    """What is said in a subtitle file, without numbers and times."""
    said: list[str] = []
    for block in re.split(r"\n\s*\n", document.replace("\r\n", "\n")):
        lines = block.strip().split("\n")
        times = next((at for at, line in enumerate(lines) if _SRT_TIMES.match(line)), None)
        if times is not None:
            said += lines[times + 1 :]
    return " ".join(said)


def tokens_of(text: str, model_directory: Path) -> list[int]:
    """In the model's own tokens; paragraphs and lines are the file's, not the model's."""
    words = " ".join(text.split())
    ids: list[int] = _tokenizer(model_directory).encode(words, add_special_tokens=False).ids
    return ids


@cache
def _tokenizer(model_directory: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_directory / "tokenizer.json"))


def edits(expected: Sequence[Hashable], heard: Sequence[Hashable]) -> int:
    """Levenshtein's distance; as ``bench.words.word_edits``, for texts of an hour."""
    return int(_distances(expected, heard)[-1])


def _distances(expected: Sequence[Hashable], heard: Sequence[Hashable]) -> Any:
    """The last row of the table of distances: int64 (heard + 1)."""
    numbers: dict[Hashable, int] = {}
    wanted, got = (np.array([numbers.setdefault(it, len(numbers)) for it in items]) for items in (expected, heard))
    columns = np.arange(len(got) + 1)
    row = columns.copy()
    for item in wanted:
        row = _next_row(row, got, item, columns)
    return row


def _next_row(row: Any, got: Any, item: int, columns: Any) -> Any:
    """Replace or delete at each place, then insert along the row: the lowest of what any place to the left allows."""
    best = np.minimum(row[1:] + 1, row[:-1] + (got != item)) if len(got) else row[1:]
    lowest = np.concatenate([[row[0] + 1], best]) - columns
    return np.minimum.accumulate(lowest) + columns


def edits_by_part(parts: Sequence[Sequence[str]], heard: Sequence[str]) -> list[int]:
    """The edits between all parts in a row and what was heard, each counted in the part where it falls.

    What was heard too much counts in the part whose word it follows, at the start in the first part.
    """
    expected = [word for part in parts for word in part]
    owners = [number for number, part in enumerate(parts) for _ in part]
    counts = [0] * len(parts)
    for place in _places_of_edits(expected, heard) if expected else []:
        counts[owners[max(0, place)]] += 1
    return counts


def _places_of_edits(expected: Sequence[str], heard: Sequence[str]) -> list[int]:
    """For each edit of a shortest way, the index of the expected word it falls on; −1 before the first."""
    numbers: dict[str, int] = {}
    wanted, got = (np.array([numbers.setdefault(it, len(numbers)) for it in items]) for items in (expected, heard))
    columns = np.arange(len(got) + 1)
    table = np.empty((len(wanted) + 1, len(got) + 1), np.int32)
    table[0] = columns
    for at, item in enumerate(wanted):
        table[at + 1] = _next_row(table[at], got, item, columns)
    return _way_back(table, wanted, got)


def _way_back(table: Any, wanted: Any, got: Any) -> list[int]:
    row, column, places = len(wanted), len(got), []
    while row or column:
        here = table[row, column]
        if row and column and here == table[row - 1, column - 1] + (wanted[row - 1] != got[column - 1]):
            if wanted[row - 1] != got[column - 1]:
                places.append(row - 1)
            row, column = row - 1, column - 1
        elif row and here == table[row - 1, column] + 1:
            places.append(row - 1)
            row -= 1
        else:
            places.append(row - 1)
            column -= 1
    return places


@dataclass(frozen=True)
class Loop:
    """A stretch of words said again and again."""

    words: tuple[str, ...]
    times: int


def loops_in(text: str) -> list[Loop]:
    """Stretches of up to eight words that come four times or more without a pause; each place counts once."""
    words, found, at = words_of(text), [], 0
    while at < len(words):
        loop = _loop_at(words, at)
        if loop:
            found.append(loop)
            at += len(loop.words) * loop.times
        else:
            at += 1
    return found


def _loop_at(words: Sequence[str], at: int) -> Loop | None:
    for length in range(1, LONGEST_LOOP_WORDS + 1):
        stretch, times = words[at : at + length], 1
        while words[at + times * length : at + (times + 1) * length] == stretch:
            times += 1
        if len(stretch) == length and times >= LOOP_TIMES:
            return Loop(tuple(stretch), times)
    return None
