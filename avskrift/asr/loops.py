"""Texts that go round in circles, told by their form alone: no list of phrases, no language.

A decoder that loops writes the same tokens over and over (``longest_loop``), or nearly the same, which still compresses
to next to nothing (``compression``). People repeat themselves too: what a caller takes for a loop is for it to say.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

#: Longer units than this are no loop of a decoder but a refrain; a third of what Whisper can write in a window.
MAX_UNIT_TOKENS = 74


@dataclass(frozen=True, slots=True)
class Loop:
    """The same ``unit`` tokens over and over with nothing between, ``tokens`` in all, the last time maybe in part."""

    unit: int = 0
    tokens: int = 0

    @property
    def times(self) -> float:
        return self.tokens / self.unit if self.unit else 0.0

    @property
    def repeated(self) -> int:
        """The tokens that add nothing."""
        return self.tokens - self.unit


def longest_loop(tokens: Sequence[int], at_least_times: float = 3.0) -> Loop:
    """The run with the most repeated tokens among those that go round ``at_least_times``; an empty one for none."""
    best = Loop()
    for unit in range(1, min(MAX_UNIT_TOKENS, int(len(tokens) / at_least_times)) + 1):
        found = Loop(unit, unit + _longest_echo(tokens, unit))
        if found.times >= at_least_times and found.repeated > best.repeated:
            best = found
    return best


def compression(text: str) -> float:
    """Bytes of the text per byte of it compressed (zlib, as openai/whisper's ``compression_ratio``); 0 for none."""
    spoken = text.strip().encode("utf-8", "replace")
    return len(spoken) / len(zlib.compress(spoken)) if spoken else 0.0


def _longest_echo(tokens: Sequence[int], unit: int) -> int:
    """The longest run in which every token is the one ``unit`` places before it."""
    longest = run = 0
    for earlier, later in zip(tokens, tokens[unit:], strict=False):
        run = run + 1 if earlier == later else 0
        longest = max(longest, run)
    return longest
