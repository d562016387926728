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
    name: int | None = None
    for number, line in enumerate(lines, 1):
        found = time_line(line, number)
        if not found:
            content.append(line)
            continue
        content, name = _without_number(content, name, repairs)
        if times:
            yield ReadCue(*times, _texts(content))
        elif any(part.strip() for part in content):
            repairs.say("What stands before the first time was left out.")
        times, content = found, []
    if times:
        yield ReadCue(*times, _texts(content))


def _without_number(content: list[str], last: int | None, repairs: Repairs) -> tuple[list[str], int | None]:
    """A number right above a time line is the next cue's, if nothing but an empty line parts it from the time line
    before or from the text, or if it counts on from the ``last`` one. Returns the text, and the number to count from.
    """
    counted = None if last is None else last + 1
    above = content[-1].strip() if content else ""
    if not above.isdecimal():
        return content, counted
    number = int(above) if len(above) < 10 else None
    if len(content) > 1 and content[-2].strip():
        if number is None or number != counted:
            return content, counted
        repairs.count("cue", "without an empty line above: told by the number that counts on")
    return content[:-1], number


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
