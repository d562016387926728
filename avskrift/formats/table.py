"""Rows of a table, a segment each, for the formats that spreadsheets open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from avskrift.formats.pieces import to_ms
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import tidy_segments

#: Where a spreadsheet would begin to calculate (https://owasp.org/www-community/attacks/CSV_Injection): at the start of
#: a cell, and, as Swedish and English ones split lines at different marks, right after any mark that could begin one.
_FORMULA_START = re.compile("(?:^|(?<=[,;|\t]))(?=[\u200b-\u200f\u2060\ufeff]*[=+\\-@＝＋－＠])")


def rows_of(rendition: Rendition) -> Iterator[tuple[int, int, str, str, str, str]]:
    """Start and end in ms, speaker, language where it differs from the recording's, confidence, text: safe as cells."""
    names = rendition.speaker_names
    for segment in tidy_segments(rendition.transcript):
        yield (
            to_ms(segment.start_s),
            to_ms(segment.end_s),
            as_cell(names[segment.speaker]),
            as_cell(segment.language or ""),
            "" if segment.confidence is None else f"{segment.confidence:.3f}",
            as_cell(segment.text),
        )


def as_cell(text: str) -> str:
    """Text that a spreadsheet shows instead of calculating: an apostrophe before what looks like a formula."""
    return _FORMULA_START.sub("'", text)
