"""Tab-separated values as openai/whisper's command line writes them: start and end in milliseconds, and the text.

Source: ``WriteTSV`` of https://github.com/openai/whisper/blob/main/whisper/utils.py. Cells are the segments.
"""

from __future__ import annotations

from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition
from avskrift.formats.table import rows_of


def render(rendition: Rendition) -> str:
    """A heading and a line for each segment; the text holds neither tabs nor line breaks."""
    lines = (f"{start_ms}\t{end_ms}\t{text}\n" for start_ms, end_ms, *_, text in rows_of(rendition))
    return "start\tend\ttext\n" + "".join(lines)


FORMAT = Format(
    name="tsv",
    extension="tsv",
    content_type="text/tab-separated-values; charset=utf-8",
    needs_word_times=True,
    render=render,
)
