"""SubRip: numbered cues, comma before the milliseconds, no header."""

from __future__ import annotations

from avskrift.formats.cues import Cue, clock
from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition


def render(rendition: Rendition) -> str:
    """Cues with an empty line after each; nothing at all for silence."""
    return "".join(_block(number, cue) for number, cue in enumerate(rendition.cues, 1))


def _block(number: int, cue: Cue) -> str:
    text = "\n".join(_escaped(line.text) for line in cue.lines)
    return f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{text}\n\n"


def _escaped(line: str) -> str:
    """SubRip has no escapes: what a reader would take for the arrow of a time line becomes a typographic one."""
    return line.replace("-->", "→")


FORMAT = Format(
    name="srt",
    extension="srt",
    content_type="application/x-subrip; charset=utf-8",
    description="SubRip subtitles",
    needs_word_times=True,
    render=render,
)
