"""SubRip: numbered cues, comma before the milliseconds, no header."""

from __future__ import annotations

from avskrift.formats.cues import Cue, build_cues, clock
from avskrift.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Cues with an empty line after each; nothing at all for silence."""
    return "".join(_block(number, cue) for number, cue in enumerate(build_cues(transcript), 1))


def _block(number: int, cue: Cue) -> str:
    text = "\n".join(_escaped(line) for line in cue.lines)
    return f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{text}\n\n"


def _escaped(line: str) -> str:
    """SubRip has no escapes: what a reader would take for the arrow of a time line becomes a typographic one."""
    return line.replace("-->", "→")
