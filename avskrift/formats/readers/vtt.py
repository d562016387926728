"""WebVTT read back, with voices and word times (https://www.w3.org/TR/webvtt1/#parsing, but for layout and styles)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from avskrift.errors import UnsupportedMedia
from avskrift.formats.readers.reading import Reading
from avskrift.formats.readers.repairs import Repairs
from avskrift.formats.readers.spoken import Spoken, Text, turns
from avskrift.formats.readers.subtitles import ReadCue, reading, stamp_ms, time_line

_TAG = re.compile(r"<([^>]*)(?:>|$)")
_TIME = re.compile(r"(?:(\d+):)?(\d\d):(\d\d)\.(\d{3})")
_VOICE = re.compile(r"v(?:\.[^\s]*)?\s+(.*)", re.DOTALL)
_FACT = re.compile(r"(Language|Model):[ \t]*(.*?)[ \t]*")


def read(text: str) -> Reading:
    """Raises ``UnsupportedMedia`` for what has no WebVTT header, or a time that cannot be read."""
    lines = text.removeprefix("\ufeff").replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not re.fullmatch(r"WEBVTT(?:[ \t].*)?", lines[0]):
        raise UnsupportedMedia("this is no WebVTT file: its first line is not WEBVTT.")
    repairs = Repairs()
    facts: dict[str, str] = {}
    cues = list(_cues(lines, facts, repairs))
    language = facts.get("Language")
    return reading(cues, repairs, None if language == "und" else language, facts.get("Model"))


def _cues(lines: list[str], facts: dict[str, str], repairs: Repairs) -> Iterator[ReadCue]:
    for first, block in _blocks(lines):
        at, times = _time_line_of(block, first)
        if times:
            yield ReadCue(*times, _texts("\n".join(block[at + 1 :]), first + at + 1))
        elif first == 1 or block[0].startswith("NOTE"):
            for line in block:
                fact = _FACT.fullmatch(html.unescape(line))
                facts.update({fact[1]: fact[2]} if fact else {})
        elif block[0].strip() in ("STYLE", "REGION"):
            repairs.count("block", "of styles or regions: left out")
        else:
            repairs.count("block", "without a time: left out")


def _time_line_of(block: list[str], first: int) -> tuple[int, tuple[int, int] | None]:
    """Which line of a block it is, and its times: the first one, or the one below a name."""
    for at, line in enumerate(block[:2]):
        times = time_line(line, first + at)
        if times:
            return at, times
    return 0, None


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines that no empty one parts, with the number of the first. A time line below text begins a block, too."""
    block: list[str] = []
    first = 1
    for number, line in enumerate([*lines, ""], 1):
        if line and not (len(block) > 1 and time_line(line, number)):
            block = block or []
            first = first if block else number
            block.append(line)
            continue
        if block:
            yield first, block
        block, first = ([line], number) if line else ([], number + 1)


def _texts(markup: str, number: int) -> tuple[Text, ...]:
    """What each voice says; without voices, what dashes tell apart."""
    said_by = _joined([each for each in _voices(markup, number) if each.words])
    if all(each.speaker is None for each in said_by):
        return _texts_by_dash(markup, number)
    if len({each.speaker for each in said_by}) > 1:
        for each in said_by:
            each.drop_dash()
    return tuple(each.text() for each in said_by)


def _texts_by_dash(markup: str, number: int) -> tuple[Text, ...]:
    lines = markup.split("\n")
    said = [" ".join(word for voice in _voices(line, number) for word in voice.words) for line in lines]
    own = ("\n".join(lines[begin:end]) for begin, end in turns(said))
    return tuple(each.text() for part in own for each in _joined(_voices(part, number)) if each.words)


def _voices(markup: str, number: int) -> list[Spoken]:
    """Markup that is neither voice, underline nor time is taken away."""
    voices = [Spoken()]
    marked = False
    time_ms: int | None = None
    at = 0
    for tag in _TAG.finditer(markup):
        if voices[-1].add(html.unescape(markup[at : tag.start()]), marked, time_ms):
            time_ms = None
        at = tag.end()
        voice, time = _VOICE.fullmatch(tag[1]), _TIME.fullmatch(tag[1])
        if voice:
            voices.append(Spoken(" ".join(html.unescape(voice[1]).split()) or None))
        elif tag[1] == "/v":
            voices.append(Spoken())
        elif time:
            time_ms = stamp_ms(time.groups(), number)
        elif tag[1] in ("u", "/u"):
            marked = tag[1] == "u"
    voices[-1].add(html.unescape(markup[at:]), marked, time_ms)
    return voices


def _joined(spoken: list[Spoken]) -> list[Spoken]:
    """Voice spans of one speaker in a row as one."""
    joined: list[Spoken] = []
    for each in spoken:
        if joined and joined[-1].speaker == each.speaker:
            joined[-1].append(each)
        else:
            joined.append(each)
    return joined
