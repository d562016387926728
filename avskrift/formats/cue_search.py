"""Which words make a cue, and which a line: one cost function, minimised over the whole recording.

Dynamic programming over the places where a cue could end. What a cue costs depends on its own words and on when the
next one is spoken, so that the best cues up to a place do not depend on what follows it. The places are bounded by
length and time, sums are kept as prefixes, and the work grows with the number of words.

One unit is a line break between two ordinary words.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from avskrift.formats.break_words import NAME_PARTICLES
from avskrift.formats.dashes import DASHES, begins_turn
from avskrift.formats.line_breaks import COMMA, HELD, NAME, TITLE, UNMARKED_SENTENCE, break_cost
from avskrift.formats.pieces import Piece
from avskrift.formats.plain_text import width
from avskrift.formats.presets import CueRules

#: No cue reaches over a silence of this length: a second, and nothing is rounded into it.
SILENCE_MS = 1000
#: How long a cue may stay after its last word.
LINGER_MS = 500

#: What every cue costs: rather one cue of two lines than two of one.
_CUE = 0.6
#: A break between cues is worse than one between lines by this factor, and a pause of ``_FULL_PAUSE_MS`` halves it.
_CUE_BREAK, _FULL_PAUSE_MS = 2.2, 600
#: Besides, where what belongs together as names and numbers do is torn: rather a cue that is somewhat short.
_TORN = 0.8
#: A sentence ends within the cue (BBC: one sentence each); and then the next one does not end with the cue.
_TWO_SENTENCES, _RUN_ON = 0.85, 1.2
#: A pause held within a cue, for each second beyond what one hears as a comma.
_HELD_PAUSE_PER_S, _HEARD_PAUSE_MS = 1.2, 300
#: Reading time that is missing: that there is any, and each second of it.
_TOO_FAST, _MISSING_PER_S = 0.25, 1.2
#: A cue that flashes by: below the minimum, and below a second more than that.
_TOO_SHORT, _SHORT, _COMFORTABLE_MS = 5.0, 2.0, 1000
#: Lines: that there are two, how unlike they are, that the upper is the longer one, a lone word.
_LINE, _UNBALANCED, _TOP_HEAVY, _LONE_BELOW, _LONE_ABOVE = 0.15, 0.9, 0.3, 3.0, 0.4
#: Two speakers share a cue: only where each alone would flash by.
_DASHES = 0.9
#: A word wider than its line, which no break can mend.
_OVERFLOW = 20.0
#: How many places to end, and how many line breaks, are tried in the width of a line: more than its words, unless
#: those are of a letter or two.
_TRIED = 16


@dataclass(frozen=True, slots=True)
class Span:
    """Pieces ``begin`` to ``end`` (exclusive) as one cue; a new line begins with each piece of ``cuts``."""

    begin: int
    end: int
    cuts: tuple[int, ...]
    dashes: bool = False


class CueSearch:
    """The best cues of a list of pieces by some rules."""

    def __init__(self, pieces: Sequence[Piece], rules: CueRules) -> None:
        self._rules = rules
        self._starts = [piece.start_ms for piece in pieces]
        self._ends = [piece.end_ms for piece in pieces]
        self._speakers = [piece.speaker for piece in pieces]
        self._measure(pieces)
        self._weigh(pieces)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Runs of pieces without a silence between them."""
        begin = 0
        for position in range(1, len(self._starts)):
            if self._starts[position] - self._ends[position - 1] >= SILENCE_MS:
                yield begin, position
                begin = position
        if self._starts:
            yield begin, len(self._starts)

    def spans(self, begin: int, end: int) -> list[Span]:
        """The best cues for one stretch."""
        places = self._places(begin, end)
        before = self._cheapest(places)
        spans: list[Span] = []
        at = len(places) - 1
        while at:
            at, last = before[at], at
            spans.append(self._span(places[at], places[last]))
        return spans[::-1]

    def columns(self, span: Span) -> int:
        """How many columns a cue has to read, the dashes and the space that a line break stands for left out."""
        bounds = (span.begin, *span.cuts, span.end)
        return sum(self._width(begin, end) for begin, end in pairwise(bounds))

    def _measure(self, pieces: Sequence[Piece]) -> None:
        """``_columns[k]`` up to piece ``k``; ``_printed[k]`` the same without the space before piece ``k``."""
        self._columns, self._printed = [0], [0]
        columns = 0
        for piece in pieces:
            columns += width(piece.text)
            self._printed.append(columns)
            columns += piece.spaced
            self._columns.append(columns)

    def _weigh(self, pieces: Sequence[Piece]) -> None:
        """What a break before each piece costs, and what it costs, summed up to it, to have none."""
        count = len(pieces)
        self._line_breaks, self._cue_breaks = [0.0] * (count + 1), [0.0] * (count + 1)
        self._kept, self._sentences, self._turns = [0.0] * (count + 1), [0] * (count + 1), [0] * (count + 1)
        kept, sentences, turns = 0.0, 0, 0
        for position in range(1, count):
            left, right = pieces[position - 1], pieces[position]
            turn = left.speaker != right.speaker or _dash_begins_turn(pieces, position)
            pause_ms = right.start_ms - left.end_ms
            cost = 0.0 if turn or pause_ms >= SILENCE_MS else _break_between(left, right)
            if right.text in NAME_PARTICLES and COMMA < cost < NAME and _goes_on_as_name(pieces, position):
                cost = NAME
            if pause_ms > _HEARD_PAUSE_MS:
                kept += _HELD_PAUSE_PER_S * (pause_ms - _HEARD_PAUSE_MS) / 1000
            if cost <= UNMARKED_SENTENCE and not turn:
                sentences += 1
                kept += _TWO_SENTENCES
            turns += turn
            self._line_breaks[position] = cost
            torn = _TORN if cost >= TITLE and not left.ends_segment else 0.0
            self._cue_breaks[position] = _CUE_BREAK * cost * (1 - 0.5 * min(1.0, pause_ms / _FULL_PAUSE_MS)) + torn
            self._kept[position], self._sentences[position], self._turns[position] = kept, sentences, turns

    def _places(self, begin: int, end: int) -> list[int]:
        """Where a cue may end: not between words that belong together, unless a cue would get too long by it."""
        line = self._rules.max_line_characters
        reach_ms = self._rules.max_cue_s * 1000 / 2
        most = max(1, (self._rules.max_words or end - begin) // 2)
        columns, printed, starts, ends, breaks, turns = (
            self._columns, self._printed, self._starts, self._ends, self._line_breaks, self._turns,
        )  # fmt: skip
        places = [begin]
        last = begin
        for at in range(begin + 1, end):
            crowded = len(places) >= _TRIED and columns[at] - columns[places[-_TRIED]] < line
            if (
                (breaks[at] < HELD and not crowded)
                or turns[at] != turns[at - 1]
                or printed[at + 1] - columns[last] > line / 2
                or ends[at] - starts[last] > reach_ms
                or at - last >= most
            ):
                places.append(at)
                last = at
        places.append(end)
        return places

    def _cheapest(self, places: Sequence[int]) -> list[int]:
        """For each place where a cue ends, the one where it best begins (both as positions in ``places``)."""
        rules, starts = self._rules, self._starts
        line = rules.max_line_characters
        most_columns = rules.max_lines * (line + 1) - 1
        most_words = rules.max_words or len(places) * len(starts)
        longest_ms, shortest_ms = rules.max_cue_s * 1000, rules.min_cue_s * 1000
        comfortable_ms, per_column_ms = shortest_ms + _COMFORTABLE_MS, 1000 / rules.max_cps
        columns, printed, kept, turns, sentences = (
            self._columns, self._printed, self._kept, self._turns, self._sentences,
        )  # fmt: skip
        costs, before = [0.0], [0]
        for last in range(1, len(places)):
            end = places[last]
            speech_ms, shown_until, best, chosen = (
                self._ends[end - 1],
                self._out_ms(end, places[-1]),
                math.inf,
                last - 1,
            )
            kept_to, turns_to, sentences_to = kept[end - 1], turns[end - 1], sentences[end - 1]
            break_here = _CUE + (self._cue_breaks[end] if end < places[-1] else 0.0)
            run_on = _RUN_ON if break_here > _CUE + _CUE_BREAK * UNMARKED_SENTENCE else 0.0
            for first in range(last - 1, -1, -1):
                begin = places[first]
                wide, start_ms = printed[end] - columns[begin], starts[begin]
                if first < last - 1 and (
                    wide > most_columns
                    or speech_ms - start_ms > longest_ms
                    or end - begin > most_words
                    or turns_to - turns[begin] > 1
                ):
                    break
                cost = costs[first] + break_here + kept_to - kept[begin]
                if run_on and sentences_to > sentences[begin]:
                    cost += run_on
                shown_ms = shown_until - start_ms
                if shown_ms < comfortable_ms:
                    cost += _SHORT * ((comfortable_ms - shown_ms) / comfortable_ms) ** 2
                    if shown_ms < shortest_ms:
                        cost += _TOO_SHORT * (shortest_ms - shown_ms) / shortest_ms
                missing_ms = wide * per_column_ms - min(shown_ms, longest_ms)
                if missing_ms > 0:
                    cost += _TOO_FAST + missing_ms * (_MISSING_PER_S / 1000)
                if cost < best and (wide > line or turns_to != turns[begin]):
                    lines = self._lines(begin, end)[0]
                    cost += lines if first < last - 1 else min(lines, _OVERFLOW)
                if cost < best:
                    best, chosen = cost, first
            costs.append(best)
            before.append(chosen)
        return before

    def _out_ms(self, end: int, stretch_end: int) -> int:
        """Until when a cue that ends before piece ``end`` can be shown."""
        linger = self._ends[end - 1] + LINGER_MS
        return linger if end == stretch_end else min(linger, self._starts[end] - round(self._rules.gap_s * 1000))

    def _span(self, begin: int, end: int) -> Span:
        if self._turns[end - 1] != self._turns[begin]:
            _, cuts = self._lines(begin, end)
            return Span(begin, end, cuts, dashes=self._two_named(begin, end))
        one_line = self._printed[end] - self._columns[begin] <= self._rules.max_line_characters
        return Span(begin, end, () if one_line else self._lines(begin, end)[1])

    def _lines(self, begin: int, end: int) -> tuple[float, tuple[int, ...]]:
        """The best line breaks and their cost; infinite where the words do not fit."""
        if self._turns[end - 1] != self._turns[begin]:
            return self._dialogue(begin, end)
        cost, cuts = self._two_lines(begin, end)
        if cost < math.inf or self._rules.max_lines < 3:
            return cost, cuts
        return self._three_lines(begin, end)

    def _dialogue(self, begin: int, end: int) -> tuple[float, tuple[int, ...]]:
        """A line for each of two speakers, with room for the dash unless the text has its own, and nobody cut off."""
        turn = bisect_right(self._turns, self._turns[begin], begin, end)
        named = self._two_named(begin, end)
        room = self._rules.max_line_characters - (width(self._rules.dash) if named else 0)
        fits = self._width(begin, turn) <= room and self._width(turn, end) <= room
        known = not named or (self._speakers[begin] is not None and self._speakers[end - 1] is not None)
        whole = max(self._line_breaks[begin], self._line_breaks[end]) <= UNMARKED_SENTENCE
        possible = fits and known and whole and self._rules.max_lines > 1
        return (math.inf if not possible else _DASHES if named else 0.0), (turn,)

    def _two_named(self, begin: int, end: int) -> bool:
        """Whether it is not only by a dash in the text that two are known to speak."""
        return self._speakers[begin] != self._speakers[end - 1]

    def _two_lines(self, begin: int, end: int) -> tuple[float, tuple[int, ...]]:
        room = self._rules.max_line_characters if self._rules.max_lines > 1 else -1
        left, right, columns, printed = self._columns[begin], self._printed[end], self._columns, self._printed
        earliest = bisect_left(columns, right - room, begin + 1, end)
        latest = bisect_right(printed, left + room, begin + 1, end)
        if latest - earliest > _TRIED:
            middle = bisect_left(columns, (left + right) // 2, earliest, latest)
            earliest, latest = max(earliest, middle - _TRIED // 2), min(latest, middle + _TRIED // 2)
        best, chosen = math.inf, 0
        for cut in range(earliest, latest):
            upper, lower = printed[cut] - left, right - columns[cut]
            unlike = (lower - upper) / (lower + upper)
            cost = self._line_breaks[cut] + _UNBALANCED * unlike * unlike
            if unlike < 0:
                cost -= _TOP_HEAVY * unlike
            if cut == end - 1:
                cost += _LONE_BELOW
            elif cut == begin + 1 and self._line_breaks[cut] > UNMARKED_SENTENCE:
                cost += _LONE_ABOVE
            if cost < best:
                best, chosen = cost, cut
        return best + _LINE, (chosen,) if best < math.inf else ()

    def _three_lines(self, begin: int, end: int) -> tuple[float, tuple[int, ...]]:
        """Only where two do not suffice: the upper line and the best two below it."""
        room = self._rules.max_line_characters
        earliest = bisect_left(self._columns, self._printed[end] - 2 * room - 1, begin + 1, end)
        latest = bisect_right(self._printed, self._columns[begin] + room, begin + 1, end)
        best = math.inf
        chosen: tuple[int, ...] = ()
        for cut in range(max(earliest, latest - _TRIED), latest):
            cost, below = self._two_lines(cut, end)
            cost += self._line_breaks[cut] + _LINE
            if cost < best:
                best, chosen = cost, (cut, *below)
        return best, chosen

    def _width(self, begin: int, end: int) -> int:
        return self._printed[end] - self._columns[begin]


def _dash_begins_turn(pieces: Sequence[Piece], position: int) -> bool:
    """Whether a segment begins there with a dash, as subtitles show that another speaks."""
    piece = pieces[position]
    if not pieces[position - 1].ends_segment or piece.text[0] not in DASHES:
        return False
    return begins_turn(piece.text if piece.ends_segment else f"{piece.text} {pieces[position + 1].text}")


def _goes_on_as_name(pieces: Sequence[Piece], particle: int) -> bool:
    """ "Ursula | von der Leyen": the words around the particles would be a name without them."""
    after = particle + 1
    while after < len(pieces) and pieces[after].text in NAME_PARTICLES:
        after += 1
    left, right = pieces[particle - 1], pieces[min(after, len(pieces) - 1)]
    return right.text[0].isupper() and break_cost(left.text, right.text, left.language, spaced=True) >= NAME


def _break_between(left: Piece, right: Piece) -> float:
    """At the end of a segment a sentence ends too, unless the words say that it was torn there."""
    cost = break_cost(left.text, right.text, left.language, left.spaced)
    if not left.ends_segment:
        return cost
    if cost >= NAME:
        return cost / 2
    return min(cost, COMMA if right.text[0].islower() else UNMARKED_SENTENCE)
