"""SubRip read back: our own, and what other programs take for it (dots, missing numbers, hours or empty lines)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from avskrift.errors import UnsupportedMedia
from avskrift.formats.readers.reading import Reading
from avskrift.formats.readers.repairs import Repairs
from avskrift.formats.readers.spoken import Spoken, Text, turns
from avskrift.formats.readers.subtitles import ReadCue, reading, time_line

_TAG = re.compile(r"</?(?:i|b|u|s|font|ruby|rt|span)\b[^<>]*>|\{\\[^{}]*\}|\{[A-Za-z]:[^{}]*\}", re.IGNORECASE)
#: What our writer puts behind what is no markup.
_PARTED = re.compile("(?<=[<\\\\])\u2060")


def read(text: str) -> Reading:
    """Raises ``UnsupportedMedia`` where a time cannot be read, or nothing looks like a cue."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    repairs = Repairs()
    cues = list(_cues(lines, repairs))
    if not cues and text.strip("\ufeff \t\r\n"):
        raise UnsupportedMedia("this is no SubRip file: no line such as 00:00:01,000 --> 00:00:02,500 is in it.")
    return reading(cues, repairs, language=None, model=None)


def _cues(lines: list[str], repairs: Repairs) -> Iterator[ReadCue]:
    """What lies between two time lines is a cue's text, but for the number above the second."""
    times: tuple[int, int] | None = None
    content: list[str] = []
    for number, line in enumerate(lines, 1):
        found = time_line(line, number)
        if not found:
            content.append(line)
            continue
        content = _without_number(content)
        if times:
            yield ReadCue(*times, _texts(content))
        elif any(part.strip() for part in content):
            repairs.say("What stands before the first time was left out.")
        times, content = found, []
    if times:
        yield ReadCue(*times, _texts(content))


def _without_number(content: list[str]) -> list[str]:
    """A number right above a time line is the next cue's, if an empty line parts it from the text or nothing does."""
    if content and content[-1].strip().isdecimal() and (len(content) == 1 or not content[-2].strip()):
        return content[:-1]
    return content


def _texts(content: list[str]) -> tuple[Text, ...]:
    """One, or one for each who speaks where dashes tell them apart; none without words."""
    said = [(line, " ".join(text.words)) for line, text in zip(content, map(_text, content), strict=True) if text.words]
    lines = [line for line, _ in said]
    return tuple(_text("\n".join(lines[begin:end])) for begin, end in turns([text for _, text in said]))


def _text(markup: str) -> Text:
    """Words without markup, and which of them are underlined."""
    spoken = Spoken()
    marked = False
    at = 0
    for tag in _TAG.finditer(markup):
        spoken.add(_PARTED.sub("", markup[at : tag.start()]), marked)
        at = tag.end()
        marked = {"<u>": True, "</u>": False}.get(tag[0].lower(), marked)
    spoken.add(_PARTED.sub("", markup[at:]), marked)
    return spoken.text()
