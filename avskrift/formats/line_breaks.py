"""What a break between two words costs, as a subtitler would judge it.

The order of preference is that of the style guides (docs/subtitles.md): after a sentence, after other punctuation,
before a conjunction, before a preposition, between words that have nothing to do with each other; hardly between
words that belong together, and least of all within one.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from avskrift.formats.break_words import NAME_PARTICLES, BreakWords, break_words
from avskrift.formats.plain_text import is_wide
from avskrift.formats.sentences import CLOSING_QUOTES, SENTENCE_ENDS

SENTENCE = 0.0
UNMARKED_SENTENCE = 0.1
CLAUSE = 0.2
COMMA = 0.3
CONJUNCTION = 0.45
PREPOSITION = 0.7
BETWEEN_WORDS = 1.0
LEANING = 1.7
PAIR = 2.0
TITLE = 2.1
NAME = 2.3
HELD = 2.6
NUMBER = 3.0
WITHIN_WORD = 4.0
#: Besides, where the last word of a clause would stand alone.
_LAST_WORD = 0.4

_CLAUSE_ENDS = (":", ";", "–", "—", "：", "；", "؛")
_YEAR_DIGITS = 4
_COMMAS = (",", "，", "、", "،")
_QUOTES_BEFORE = "\"'”“‘«([「『（¿¡-–"


class _Ending(IntEnum):
    NOTHING = 0
    COMMA = 1
    CLAUSE = 2
    SENTENCE = 3


class _Traits(NamedTuple):
    """What matters of a word for the breaks beside it."""

    bare: str
    ending: _Ending
    stops: bool
    """Ends with a full stop, which may be an abbreviation's."""
    abbreviation: bool
    lower: bool
    capital: bool
    number: bool
    year: bool
    """A number of four digits, which seldom counts what follows."""
    ordinal: bool
    """Begins with a figure and goes on in letters: "4th", "6:e"."""
    month: bool
    particle: bool
    """Of a name, if a capital letter follows: "von", "de"."""
    before: float
    """What a break before it costs, as far as it decides. With punctuation after it, it begins no phrase."""
    after: float
    """What a break after it costs at least."""
    sticks: float
    """What a break before it costs at least."""
    begins_sentence: bool
    """Has a capital letter that it would not have within a sentence."""
    function: bool


@lru_cache(maxsize=65_536)
def break_cost(left: str, right: str, language: str, spaced: bool) -> float:
    """Of a line break between two words that follow each other: 0 after a sentence, up to ``WITHIN_WORD``."""
    if not spaced and not (is_wide(left[-1]) or is_wide(right[0])):
        return WITHIN_WORD
    words = break_words(language)
    one, other = _traits(left, language), _traits(right, language)
    if one.ending is not _Ending.NOTHING:
        return _after_punctuation(one, other)
    if other.begins_sentence and one.after < HELD:
        return UNMARKED_SENTENCE
    return _within_clause(one, other, words) + (_LAST_WORD if other.ending is not _Ending.NOTHING else 0.0)


def _after_punctuation(one: _Traits, other: _Traits) -> float:
    if one.abbreviation or (one.stops and len(one.bare) == 1 and one.capital):
        return NAME
    if one.ending is _Ending.SENTENCE:
        if one.stops and one.number and (other.lower or other.number):
            return HELD
        return BETWEEN_WORDS if one.stops and other.lower else COMMA if other.lower else SENTENCE
    if one.number and other.number:
        return NUMBER
    return CLAUSE if one.ending is _Ending.CLAUSE else COMMA


def _within_clause(one: _Traits, other: _Traits, words: BreakWords) -> float:
    parted = _parting_a_number(one, other, words) or _parting_a_name_or_pair(one, other, words)
    if parted is not None:
        return parted
    if one.bare in words.holds_next and other.before < BETWEEN_WORDS:
        return other.before if other.before == CONJUNCTION else BETWEEN_WORDS
    if one.bare in words.prepositions and other.bare in words.prepositions:
        return BETWEEN_WORDS
    held = max(one.after, other.sticks)
    if held == LEANING and other.before < BETWEEN_WORDS:
        return min(held, other.before + BETWEEN_WORDS / 2)
    return held or other.before


def _parting_a_name_or_pair(one: _Traits, other: _Traits, words: BreakWords) -> float | None:
    if one.particle and (other.capital or other.particle):
        return max(NAME, one.after)
    if other.capital and one.bare in words.titles:
        return TITLE
    if one.capital and other.capital and not one.function:
        return NAME
    return PAIR if (one.bare, other.bare) in words.pairs else None


def _parting_a_number(one: _Traits, other: _Traits, words: BreakWords) -> float | None:
    """From its other half, from what it counts, or from what it names: "3 000", "12 miljoner kronor", "kl. 10"."""
    counted = other.bare in words.units
    if one.number:
        if other.number or other.month or counted:
            return NUMBER
        return other.before if other.before < BETWEEN_WORDS else LEANING if one.year else PAIR
    if other.number and one.bare in words.numbered:
        return NUMBER
    if one.month and (other.year or (other.ordinal and one.capital)):
        return NUMBER
    if one.ordinal and (other.month or other.sticks):
        return NUMBER
    return HELD if counted and one.bare in words.units else None


@lru_cache(maxsize=16_384)
def _traits(text: str, language: str) -> _Traits:
    words = break_words(language)
    core = text.rstrip(CLOSING_QUOTES)
    bare = core.lower().strip(".,!?…:;।–—" + _QUOTES_BEFORE)
    shown = text.lstrip(_QUOTES_BEFORE)
    capital = shown[:1].isupper()
    ending = _ending(core, bare)
    number = any(map(str.isdigit, bare)) and not any(map(str.isalpha, bare))
    known = bare in words.conjunctions or bare in words.prepositions
    function = known or any(bare in some for some in (words.holds_next, words.leans_on_next, words.openers))
    return _Traits(
        bare=bare,
        ending=ending,
        stops=core.endswith(".") and not core.endswith(".."),
        abbreviation=core.lower() in words.abbreviations,
        lower=shown[:1].islower(),
        capital=capital and not bare.isdecimal(),
        number=number,
        year=number and len(bare) == _YEAR_DIGITS and bare.isdecimal(),
        ordinal=not number and bare[:1].isdigit(),
        month=shown.rstrip(CLOSING_QUOTES + ".,!?…:;") in words.months,
        particle=bare in NAME_PARTICLES,
        before=_cost_before(bare, words) if ending is _Ending.NOTHING else BETWEEN_WORDS,
        after=_cost_after(bare, words),
        sticks=_cost_of_parting(bare, words),
        begins_sentence=capital and function and not shown.isupper() and not _always_capital(bare),
        function=function,
    )


def _ending(core: str, bare: str) -> _Ending:
    if core.endswith(SENTENCE_ENDS):
        return _Ending.SENTENCE
    if core.endswith(_CLAUSE_ENDS) or (core.endswith("-") and not bare):
        return _Ending.CLAUSE
    return _Ending.COMMA if core.endswith(_COMMAS) else _Ending.NOTHING


def _cost_before(bare: str, words: BreakWords) -> float:
    if bare in words.conjunctions:
        return CONJUNCTION
    return PREPOSITION if bare in words.prepositions else BETWEEN_WORDS


def _cost_after(bare: str, words: BreakWords) -> float:
    if any(bare in some for some in (words.holds_next, words.conjunctions, words.prepositions)):
        return HELD
    return LEANING if bare in words.leans_on_next else 0.0


def _cost_of_parting(bare: str, words: BreakWords) -> float:
    if bare in words.holds_previous:
        return HELD
    return LEANING if bare in words.leans_on_previous else 0.0


def _always_capital(bare: str) -> bool:
    """English "I" and its contractions begin no sentence by their capital alone."""
    return bare == "i" or bare.startswith(("i'", "i’"))
