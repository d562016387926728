"""What was mended in a file, counted by kind, so that a thousand faults are one sentence."""

from __future__ import annotations

from collections import Counter


class Repairs:
    """Collects what is mended; ``sentences`` says it to the user, in the order in which it was first seen."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._said: list[str] = []

    def count(self, noun: str, what: str, times: int = 1) -> None:
        """``count("segment", "out of order: sorted")``, said as "3 segments out of order: sorted."."""
        if times:
            self._counts[noun, what] += times

    def say(self, sentence: str) -> None:
        """A sentence about the file as a whole."""
        self._said.append(sentence)

    def sentences(self) -> tuple[str, ...]:
        counted = (
            f"{count:,} {noun}{'' if count == 1 else 's'} {what}." for (noun, what), count in self._counts.items()
        )
        return (*self._said, *counted)
