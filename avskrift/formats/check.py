"""What a subtitle editor would have to look at: where cues miss the rules, and by how much.

Whatever the rules leave no room for is reported rather than condensed. ``find`` trusts nothing about the cues, so that
it also tells of those made by somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from avskrift.formats.cues import Cue, line_width
from avskrift.formats.dashes import begins_turn
from avskrift.formats.pieces import to_ms
from avskrift.formats.plain_text import width
from avskrift.formats.presets import CueRules


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a cue misses a rule. ``cue`` counts from 1; ``message`` is a sentence for the editor."""

    cue: int
    start_ms: int
    rule: str
    """What it misses: speed, duration, gap, line_width, lines, words or balance."""
    message: str


def find(cues: Sequence[Cue], rules: CueRules) -> list[Finding]:
    """Everything in ``cues`` that does not satisfy ``rules``, in order of time; empty where all is well."""
    found: list[Finding] = []
    for position, cue in enumerate(cues):
        following = cues[position + 1] if position + 1 < len(cues) else None
        for rule, look in _LOOKS.items():
            found += [Finding(position + 1, cue.start_ms, rule, message) for message in look(cue, following, rules)]
    return found


def _reading_columns(cue: Cue, rules: CueRules) -> int:
    """What there is to read: all lines, without the line break and without the dashes of two speakers."""
    two_speak = len({line.speaker for line in cue.lines}) > 1
    return sum(line_width(line) for line in cue.lines) - (width(rules.dash) * len(cue.lines) if two_speak else 0)


def _speed(cue: Cue, _: Cue | None, rules: CueRules) -> Iterator[str]:
    lasts_ms, columns = cue.end_ms - cue.start_ms, _reading_columns(cue, rules)
    if lasts_ms <= 0 or columns * 1000 <= rules.max_cps * lasts_ms + _TOLERANCE:
        return
    missing_s = columns / rules.max_cps - lasts_ms / 1000
    surplus = columns - int(rules.max_cps * lasts_ms / 1000)
    yield (
        f"{columns * 1000 / lasts_ms:.1f} characters per second, at most {rules.max_cps:g}: "
        f"shorten it by {surplus} or show it {missing_s:.1f} s longer."
    )


def _duration(cue: Cue, _: Cue | None, rules: CueRules) -> Iterator[str]:
    lasts_ms = cue.end_ms - cue.start_ms
    if lasts_ms < to_ms(rules.min_cue_s):
        yield f"Shown for {lasts_ms / 1000:.3f} s, at least {rules.min_cue_s:g}: give it time or join it with another."
    if lasts_ms > to_ms(rules.max_cue_s):
        yield f"Shown for {lasts_ms / 1000:.3f} s, at most {rules.max_cue_s:g}: end it sooner or split it."


def _gap(cue: Cue, following: Cue | None, rules: CueRules) -> Iterator[str]:
    if following is None:
        return
    gap_ms = following.start_ms - cue.end_ms
    if gap_ms < 0:
        yield f"Still shown {-gap_ms} ms after the next one has begun: end it sooner."
    elif gap_ms < to_ms(rules.gap_s):
        yield f"{gap_ms} ms before the next one, at least {to_ms(rules.gap_s)}: end it sooner."


def _line_width(cue: Cue, _: Cue | None, rules: CueRules) -> Iterator[str]:
    for number, line in enumerate(cue.lines, 1):
        wide = width(line.text)
        if wide > rules.max_line_characters:
            yield f"Line {number} has {wide} characters, at most {rules.max_line_characters}: break or shorten it."


def _lines(cue: Cue, _: Cue | None, rules: CueRules) -> Iterator[str]:
    if len(cue.lines) > rules.max_lines:
        yield f"{len(cue.lines)} lines, at most {rules.max_lines}: split it."


def _words(cue: Cue, _: Cue | None, rules: CueRules) -> Iterator[str]:
    words = sum(len(line.text.split()) for line in cue.lines)
    if rules.max_words is not None and words > rules.max_words:
        yield f"{words} words, at most {rules.max_words}: split it."


def _balance(cue: Cue, _: Cue | None, __: CueRules) -> Iterator[str]:
    if len(cue.lines) < 2 or len({line.speaker for line in cue.lines}) > 1 or begins_turn(cue.lines[-1].text):
        return
    if len(cue.lines[-1].text.split()) == 1 and len(cue.lines[-2].text.split()) > 1:
        yield "The last line is a lone word: move the line break."


#: Rounding leaves a cue that was given exactly its time short of it by up to half a millisecond.
_TOLERANCE = 10.0
_LOOKS: dict[str, Callable[[Cue, Cue | None, CueRules], Iterator[str]]] = {
    "speed": _speed,
    "duration": _duration,
    "gap": _gap,
    "line_width": _line_width,
    "lines": _lines,
    "words": _words,
    "balance": _balance,
}
