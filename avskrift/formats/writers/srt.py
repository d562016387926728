"""SubRip: numbered cues, comma before the milliseconds, no header."""

from __future__ import annotations

import re

from avskrift.formats.cues import clock
from avskrift.formats.format import CUE_OPTIONS, Format
from avskrift.formats.highlight import Run, Shown, ShownLine, shown
from avskrift.formats.overrides import WORD_JOINER, without_overrides
from avskrift.formats.rendition import Rendition

#: ``<b>``, ``</b>``, ``<!--``.
_LIKE_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def render(rendition: Rendition) -> str:
    """Cues with an empty line after each; nothing for silence, but for the byte order mark where it is asked for."""
    cues = shown(rendition.cues, rendition.options.highlight_words)
    blocks = (_block(number, cue) for number, cue in enumerate(cues, 1))
    return ("\ufeff" if rendition.options.bom else "") + "".join(blocks)


def escaped(text: str) -> str:
    """SubRip has no escapes: what a reader would take for the arrow of a time line becomes a typographic one.

    What a player would take for a tag is parted by a word joiner, so that it is shown; braces and backslashes, which
    most players take as SubStation Alpha does, as there.
    """
    arrows = without_overrides(text).replace("-->", "→")
    return _LIKE_TAG.sub(lambda found: found[0] + WORD_JOINER, arrows)


def _block(number: int, cue: Shown) -> str:
    text = "\n".join(_text(line) for line in cue.lines)
    return f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{text}\n\n"


def _text(line: ShownLine) -> str:
    return "".join(_run(run) for run in line.runs)


def _run(run: Run) -> str:
    return f"<u>{escaped(run.text)}</u>" if run.marked else escaped(run.text)


FORMAT = Format(
    name="srt",
    extension="srt",
    content_type="application/x-subrip; charset=utf-8",
    needs_word_times=True,
    render=render,
    heeds=CUE_OPTIONS | {"bom"},
)
