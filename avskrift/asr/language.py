"""Which language is spoken, from what a model heard in several pieces of speech. Pure: probabilities in, codes out.

Within a family of close languages Whisper is unreliable: Swedish with an accent was heard as Norwegian at 0.43. There
the language that is expected decides; between families, what was heard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: A language heard with this probability is believed against the home language and against the rest of a recording.
CLEAR = 0.8
#: Below this, a chunk says nothing by itself: its surroundings decide.
VAGUE = 0.5

#: Languages whose speakers mostly understand one another, and which differ little in sound: continental Scandinavian,
#: and other pairs of standard languages on one dialect continuum (the list of Wikipedia's "Mutual intelligibility",
#: as far as Whisper knows them). A language may belong to several.
FAMILIES: tuple[frozenset[str], ...] = (
    frozenset(("sv", "no", "nn", "da")),
    frozenset(("bs", "hr", "sr")),
    frozenset(("bg", "mk")),
    frozenset(("cs", "sk")),
    frozenset(("be", "ru", "uk")),
    frozenset(("es", "gl", "ca")),
    frozenset(("pt", "gl")),
    frozenset(("af", "nl")),
    frozenset(("de", "lb")),
    frozenset(("hi", "ur")),
    frozenset(("id", "ms")),
    frozenset(("fa", "tg")),
    frozenset(("az", "tr")),
    frozenset(("lo", "th")),
    frozenset(("yue", "zh")),
)

Heard = Mapping[str, float]
"""Probability by language code, as the model gave it for one piece of speech."""


@dataclass(frozen=True)
class DetectedLanguage:
    """The likeliest language of the speech heard, and how likely (0 to 1).

    Where a home language is given and chosen, the probability is that of it or any of its neighbours.
    """

    code: str
    probability: float


def are_neighbours(one: str, other: str) -> bool:
    """Whether two different languages are so close that one is easily heard as the other."""
    return one != other and any(one in family and other in family for family in FAMILIES)


def choose_language(heard: Sequence[Heard], home: str | None) -> DetectedLanguage:
    """The language of a recording from several pieces of its speech, their probabilities averaged.

    A neighbour of ``home`` counts as ``home``, unless it is :data:`CLEAR` by itself. Raises ``ValueError`` when nothing
    was heard.
    """
    average = _average(heard)
    return _likeliest(_weighed(average, home) if home else average)


def languages_by_chunk(heard: Sequence[Heard], home: str | None, main: str) -> list[str]:
    """The language of each chunk of a recording in several languages, one for each element of ``heard``.

    A chunk leaves the recording's ``main`` language when another is :data:`CLEAR` in it, or when the nearest chunk
    before or after it with a clear language speaks the one that it seems to speak; one too vague to say anything goes
    with these two if they agree. To a neighbour of the main language no chunk ever goes.

    Only what is in ``heard`` has a say: the engine gives the chunks of one batch, which follow one another, so the
    first and the last of a batch have a neighbour on one side only.
    """
    seeming = [_likeliest(_seen_from(main, home, chunk)) for chunk in heard]
    clear = [language.code if language.probability >= CLEAR else None for language in seeming]
    before = list(_last_clear(clear))
    after = list(_last_clear(clear[::-1]))[::-1]
    return [_settled(*chunk, main) for chunk in zip(seeming, before, after, strict=True)]


def _settled(seeming: DetectedLanguage, before: str | None, after: str | None, main: str) -> str:
    if seeming.probability >= CLEAR or seeming.code in (before, after):
        return seeming.code
    if before is not None and before == after and seeming.probability < VAGUE:
        return before
    return main


def _last_clear(clear: Sequence[str | None]) -> Iterator[str | None]:
    """For each place, the last clear language before it."""
    last: str | None = None
    for code in clear:
        yield last
        last = code or last


def _seen_from(main: str, home: str | None, chunk: Heard) -> Heard:
    """What one chunk speaks: the main language's neighbours count as it, whatever their probability."""
    folded = _folded(chunk, main)
    if home and home != main and not are_neighbours(home, main):
        return _weighed(folded, home)
    return folded


def _weighed(heard: Heard, home: str) -> Heard:
    is_clear = any(probability >= CLEAR and are_neighbours(code, home) for code, probability in heard.items())
    return heard if is_clear else _folded(heard, home)


def _folded(heard: Heard, language: str) -> Heard:
    """The neighbours' probabilities added to the language's own."""
    family = [probability for code, probability in heard.items() if code == language or are_neighbours(code, language)]
    others = {code: it for code, it in heard.items() if code != language and not are_neighbours(code, language)}
    return {language: min(1.0, math.fsum(family)), **others}


def _average(heard: Sequence[Heard]) -> Heard:
    if not any(heard):
        raise ValueError("no speech was heard: there is no language to choose")
    codes = sorted({code for piece in heard for code in piece})
    return {code: math.fsum(piece.get(code, 0.0) for piece in heard) / len(heard) for code in codes}


def _likeliest(heard: Heard) -> DetectedLanguage:
    """Of equals the first by code: the same wherever it runs."""
    code = min(heard, key=lambda code: (-heard[code], code))
    return DetectedLanguage(code, heard[code])
