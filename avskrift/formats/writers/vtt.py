"""WebVTT (https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

from avskrift.formats.cues import Cue, clock
from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition


def render(rendition: Rendition) -> str:
    """The header, then cues with an empty line between."""
    return "\n".join(["WEBVTT\n", *(_block(cue) for cue in rendition.cues)])


def _block(cue: Cue) -> str:
    text = "\n".join(_escaped(line.text) for line in cue.lines)
    return f"{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}\n{text}\n"


def _escaped(line: str) -> str:
    """As §3.2 of the standard wants it; with ``>`` escaped, no text can look like a time line."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FORMAT = Format(
    name="vtt",
    extension="vtt",
    content_type="text/vtt; charset=utf-8",
    description="WebVTT subtitles",
    needs_word_times=True,
    render=render,
)
