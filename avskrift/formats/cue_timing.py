"""When cues come and go: whole milliseconds, in order, apart, long enough to be read where there is room.

A cue comes with its first word. It stays after its last one where reading or the minimum needs it, at most
``LINGER_MS`` and never into the gap before the next; a remaining pause that short is closed, so that nothing flickers.
Words that leave a cue no time (several at once) share the time of their neighbours, and what one says while another is
still shown comes that much before its turn as it needs to be read, if the other can spare it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avskrift.formats.cue_search import LINGER_MS
from avskrift.formats.presets import CueRules

#: A cue with less room than this before the next one starts takes some of its neighbours'.
_FLASH_MS = 300


@dataclass(frozen=True, slots=True)
class Spoken:
    """A cue's words: when they are said, how many columns there are to read, and which unbroken stretch they are of."""

    start_ms: int
    end_ms: int
    columns: int
    stretch: int
    said_ms: int | None = None
    """When the first word is said, where it waits because another spoke first."""


@dataclass(slots=True)
class _Block:
    """Cues that share their time, from ``start_ms`` to before ``end_ms``."""

    first: int
    last: int
    start_ms: int
    end_ms: int

    @property
    def crowded(self) -> bool:
        return self.end_ms - self.start_ms < _FLASH_MS * (self.last - self.first + 1)


def times(spoken: Sequence[Spoken], rules: CueRules, recording_ms: int) -> list[tuple[int, int]]:
    """Start and end of each cue. ``spoken`` is in order of time; every cue gets at least a millisecond.

    Nothing lies beyond the recording, unless that has fewer milliseconds than there are cues.
    """
    starts = _starts(spoken, rules, recording_ms)
    _let_in(starts, spoken, rules, recording_ms)
    starts = _apart(starts, recording_ms)
    ends = []
    for position, cue in enumerate(spoken):
        following_ms = starts[position + 1] if position + 1 < len(spoken) else None
        end_ms = _end(starts[position], cue, following_ms, rules)
        ends.append(max(starts[position] + 1, min(end_ms, recording_ms)))
    return list(zip(starts, ends, strict=True))


def _needed_ms(columns: int, rules: CueRules) -> int:
    """How long so many columns must be shown."""
    return round(max(rules.min_cue_s, columns / rules.max_cps) * 1000)


def _end(start_ms: int, cue: Spoken, following_ms: int | None, rules: CueRules) -> int:
    latest_ms = min(cue.end_ms + LINGER_MS, start_ms + round(rules.max_cue_s * 1000))
    end_ms = max(cue.end_ms, start_ms + _needed_ms(cue.columns, rules))
    if following_ms is not None:
        room_ms = following_ms - start_ms
        open_until_ms = following_ms - min(round(rules.gap_s * 1000), room_ms // 4)
        if following_ms - end_ms < LINGER_MS:
            end_ms = open_until_ms
        latest_ms = min(latest_ms, open_until_ms)
    return min(end_ms, latest_ms)


def _starts(spoken: Sequence[Spoken], rules: CueRules, recording_ms: int) -> list[int]:
    starts: list[int] = []
    for block in _blocks(spoken, recording_ms):
        starts += _shared(block, [_needed_ms(cue.columns, rules) for cue in spoken[block.first : block.last + 1]])
    return starts


def _blocks(spoken: Sequence[Spoken], recording_ms: int) -> list[_Block]:
    """Each cue by itself, or with its neighbours of the same stretch where one of them has no room."""
    blocks: list[_Block] = []
    for position, cue in enumerate(spoken):
        follows = position + 1 < len(spoken) and spoken[position + 1].stretch == cue.stretch
        end_ms = spoken[position + 1].start_ms if follows else min(cue.end_ms + LINGER_MS, recording_ms)
        blocks.append(_Block(position, position, cue.start_ms, max(cue.start_ms, end_ms)))
        while len(blocks) > 1 and spoken[blocks[-2].last].stretch == cue.stretch and _should_join(*blocks[-2:]):
            last = blocks.pop()
            blocks[-1].last, blocks[-1].end_ms = last.last, last.end_ms
    return blocks


def _should_join(left: _Block, right: _Block) -> bool:
    return left.crowded or right.crowded


def _shared(block: _Block, needs: Sequence[int]) -> Iterator[int]:
    """The starts of a block's cues, each with its part of the time by what it needs."""
    total, passed, length_ms = sum(needs), 0, block.end_ms - block.start_ms
    for need in needs:
        yield block.start_ms + length_ms * passed // total
        passed += need


def _let_in(starts: list[int], spoken: Sequence[Spoken], rules: CueRules, recording_ms: int) -> None:
    """Start what waited for another speaker earlier, where it lacks time: at most as both are equally fast to read."""
    for position in range(1, len(spoken)):
        cue, other = spoken[position], spoken[position - 1]
        if cue.said_ms is None or cue.said_ms >= starts[position] or other.stretch != cue.stretch:
            continue
        follows = position + 1 < len(spoken) and spoken[position + 1].stretch == cue.stretch
        until_ms = starts[position + 1] if follows else min(cue.end_ms + LINGER_MS, recording_ms)
        need, needs_other = _needed_ms(cue.columns, rules), _needed_ms(other.columns, rules)
        fair_ms = until_ms - (until_ms - starts[position - 1]) * need // (need + needs_other)
        earliest_ms = max(cue.said_ms, fair_ms, until_ms - need, starts[position - 1])
        starts[position] = min(starts[position], earliest_ms)


def _apart(starts: list[int], recording_ms: int) -> list[int]:
    """At least a millisecond between starts, and one before the end of the recording."""
    latest = max(recording_ms, len(starts))
    for position in range(len(starts) - 1, -1, -1):
        latest = min(latest - 1, starts[position])
        starts[position] = latest
    earliest = 0
    for position, start_ms in enumerate(starts):
        earliest = starts[position] = max(earliest, start_ms)
        earliest += 1
    return starts
