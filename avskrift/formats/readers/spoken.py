"""The text of a cue put together from pieces, between which markup was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from avskrift.formats.dashes import DASHES, begins_turn
from avskrift.formats.sentences import ends_sentence


@dataclass(frozen=True)
class Text:
    """What somebody says in a cue: words apart by single spaces, markup taken away.

    Places in it count letters without spaces: some scripts have none. ``marks`` are from where to where something was
    marked as being spoken, ``times_ms`` the places at which the file says when they are spoken.
    """

    words: tuple[str, ...]
    speaker: str | None = None
    marks: tuple[tuple[int, int], ...] = ()
    times_ms: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        return sum(len(word) for word in self.words)


@dataclass
class Spoken:
    """A text while it is read."""

    speaker: str | None = None
    words: list[str] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    times_ms: dict[int, int] = field(default_factory=dict)
    _length: int = 0
    _glued: bool = False

    def add(self, text: str, marked: bool = False, time_ms: int | None = None) -> bool:
        """Whether something was added: a time waits for it. What no space parts is one word."""
        pieces = text.split()
        if pieces and time_ms is not None:
            self.times_ms[self._length] = time_ms
        for position, piece in enumerate(pieces):
            if position == 0 and self._glued and not text[0].isspace():
                self.words[-1] += piece
            else:
                self.words.append(piece)
            if marked:
                self.marks.append((self._length, self._length + len(piece)))
            self._length += len(piece)
        if text:
            self._glued = bool(self.words) and not text[-1].isspace()
        return bool(pieces)

    def append(self, other: Spoken) -> None:
        """What the same speaker says next."""
        before = self._length
        self.words += other.words
        self.marks += [(before + start, before + end) for start, end in other.marks]
        self.times_ms |= {before + place: at_ms for place, at_ms in other.times_ms.items()}
        self._length += other._length

    def drop_dash(self) -> None:
        """Without the dash by which lines of two speakers are told apart: where that is known, the next writer's."""
        if not (self.words and self.words[0].startswith(tuple(DASHES))):
            return
        self.words[0] = self.words[0][1:]
        self.words = [word for word in self.words if word]
        self._length -= 1
        self.marks = [(max(0, start - 1), end - 1) for start, end in self.marks if end > 1]
        self.times_ms = {max(0, place - 1): at_ms for place, at_ms in self.times_ms.items()}

    def text(self) -> Text:
        return Text(tuple(self.words), self.speaker, tuple(self.marks), tuple(self.times_ms.items()))


def turns(lines: Sequence[str]) -> list[tuple[int, int]]:
    """From which to before which of a cue's lines each of its speakers has, where nobody is named.

    Another speaks from a dash on, if the cue begins with one too or the line before has come to its end.
    """
    both = bool(lines) and begins_turn(lines[0])
    begins = [
        number
        for number, line in enumerate(lines)
        if number == 0 or (begins_turn(line) and (both or ends_sentence(lines[number - 1])))
    ]
    return list(pairwise([*begins, len(lines)]))
