"""A table for spreadsheets (RFC 4180): every field in quotes, lines end with CR LF."""

from __future__ import annotations

import csv
import io

from avskrift.formats.cues import clock
from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition
from avskrift.formats.table import rows_of

COLUMNS = ("start", "end", "start_s", "end_s", "speaker", "language", "confidence", "text")


def render(rendition: Rendition) -> str:
    """A heading and a row for each segment; begins with a byte order mark on request, without which Excel guesses."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for start_ms, end_ms, *told in rows_of(rendition):
        times = clock(start_ms, "."), clock(end_ms, "."), f"{start_ms / 1000:.3f}", f"{end_ms / 1000:.3f}"
        writer.writerow((*times, *told))
    return ("\ufeff" if rendition.options.bom else "") + sheet.getvalue()


FORMAT = Format(
    name="csv",
    extension="csv",
    content_type="text/csv; charset=utf-8; header=present",
    needs_word_times=True,
    render=render,
    heeds=frozenset({"bom"}),
)
