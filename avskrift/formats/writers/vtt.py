"""WebVTT (https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from avskrift.formats.cues import Cue, clock
from avskrift.formats.format import CUE_OPTIONS, Format
from avskrift.formats.highlight import Run, Shown, ShownLine, shown
from avskrift.formats.plain_text import escaped, plain
from avskrift.formats.rendition import Rendition
from avskrift.transcript import UNKNOWN_MODEL


def render(rendition: Rendition) -> str:
    """The header, a note on where the text comes from, then cues with an empty line between.

    Text is escaped as §3.2 of the standard wants it, ``>`` too, so that none can look like a time line.
    """
    return "\n".join(["WEBVTT\n", _note(rendition), *_blocks(rendition)])


def _note(rendition: Rendition) -> str:
    """A comment block: no arrow, no empty line."""
    model = escaped(plain(rendition.transcript.model)) or UNKNOWN_MODEL
    return f"NOTE\nMade by avskrift\nLanguage: {rendition.language or 'und'}\nModel: {model}\n"


def _blocks(rendition: Rendition) -> Iterator[str]:
    names = rendition.speaker_names
    if rendition.options.word_times:
        for cue in rendition.cues:
            yield _block(cue, "\n".join(_voices(_timed_lines(cue), names)))
    else:
        for moment in shown(rendition.cues, rendition.options.highlight_words):
            yield _block(moment, "\n".join(_voices([_line(line) for line in moment.lines], names)))


def _block(cue: Cue | Shown, text: str) -> str:
    return f"{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}\n{text}\n"


def _voices(lines: list[tuple[str | None, str]], names: dict[str | None, str]) -> Iterator[str]:
    """Lines of one speaker in a row share a voice span."""
    for speaker, own in groupby(lines, key=lambda line: line[0]):
        text = "\n".join(line for _, line in own)
        name = names.get(speaker)
        yield f"<v {escaped(name)}>{text}</v>" if name else text


def _line(line: ShownLine) -> tuple[str | None, str]:
    return line.speaker, "".join(_run(run) for run in line.runs)


def _run(run: Run) -> str:
    return f"<u>{escaped(run.text)}</u>" if run.marked else escaped(run.text)


def _timed_lines(cue: Cue) -> list[tuple[str | None, str]]:
    """Each word after its time. A time that is not later than the one before, or not within the cue, is left out: the
    standard wants them to rise (§4.2.2), and words of two speakers may not."""
    lines = []
    last_ms = cue.start_ms
    for line in cue.lines:
        text = ""
        for fragment in line.fragments:
            if last_ms < fragment.start_ms < cue.end_ms:
                text += f"<{clock(fragment.start_ms, '.')}>"
                last_ms = fragment.start_ms
            text += escaped(fragment.text)
        lines.append((line.speaker, text))
    return lines


FORMAT = Format(
    name="vtt",
    extension="vtt",
    content_type="text/vtt; charset=utf-8",
    needs_word_times=True,
    render=render,
    heeds=CUE_OPTIONS | {"word_times"},
)
