"""Text as one clean line, and how wide it is on the screen."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_BYTE_ORDER_MARK = "\ufeff"
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def plain(text: str) -> str:
    """One line that any format can carry: single spaces, no controls, lone surrogates or noncharacters."""
    if not text.isprintable():
        text = "".join(" " if character.isspace() else character for character in text if _is_shown(character))
    return " ".join(text.split())


@lru_cache(maxsize=65_536)
def width(text: str) -> int:
    """Columns: wide and full-width characters take two, combining and invisible ones none, a joined emoji one place.

    The classes are those of Unicode's East Asian Width (UAX #11); a spacing vowel sign takes its own column.
    """
    if text.isascii():
        return len(text)
    columns, joined = 0, False
    for character in text:
        if not joined and not _takes_no_room(character):
            columns += 2 if is_wide(character) else 1
        joined = character == _JOINER
    return columns


def escaped(text: str) -> str:
    """As text stands between the tags of XML, HTML and WebVTT."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def reads_from_right(text: str) -> bool:
    """By its first letter that has a direction, as the Unicode bidirectional algorithm decides (UAX #9, P2 and P3)."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def is_wide(character: str) -> bool:
    """Whether it takes two columns, and may have a line break on either side."""
    return unicodedata.east_asian_width(character) in ("W", "F")


def _is_shown(character: str) -> bool:
    if character.isspace():
        return True
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return not noncharacter and character != _BYTE_ORDER_MARK and unicodedata.category(character) not in ("Cc", "Cs")


def _takes_no_room(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me", "Cf") or ord(character) in _SKIN_TONES
