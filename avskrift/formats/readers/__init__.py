"""Transcripts read back: our own JSON, SubRip and WebVTT, told apart by what is in them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path

from avskrift.errors import UnsupportedMedia
from avskrift.file_names import shown
from avskrift.formats.readers.reading import Reading
from avskrift.formats.readers.subtitles import LIKE_A_TIME_LINE

__all__ = ["MAX_SIZE_BYTES", "Reading", "read_bytes", "read_file"]

MAX_SIZE_BYTES = 256 * 1024 * 1024
"""Twenty times the JSON of ten hours with words: a larger file is no transcript."""
#: Other subtitle formats begin with brackets, too.
_LIKE_JSON = re.compile(r"(?!\[Script Info\]|\{\d+\}\{\d+\})[{\[]")
_HOW = "avskrift convert reads its own json, srt and vtt; recordings go to `avskrift transcribe`"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_file(path: Path) -> Reading:
    """The transcript in a file; raises ``UnsupportedMedia`` with its name where there is none to be read."""
    name = shown(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE_BYTES + 1)  # pipes and devices tell no size before
    except OSError as error:
        raise UnsupportedMedia(f"{name}: cannot be read ({error.strerror}).") from error
    if len(content) > MAX_SIZE_BYTES:
        raise UnsupportedMedia(f"{name}: too large for a transcript: {_HOW}.")
    return read_bytes(content, name)


def read_bytes(content: bytes, name: str) -> Reading:
    """The same from memory; ``name`` is what errors call it, and its ending tells what an empty file is."""
    try:
        text, repairs = _decoded(content)
        reading = _reader(text, name)(text)
    except UnsupportedMedia as error:
        raise UnsupportedMedia(f"{name}: {error.message}") from error
    return Reading(reading.transcript, (*repairs, *reading.repairs))


def _reader(text: str, name: str) -> Callable[[str], Reading]:
    """By content: any of them may come without an ending, or with a wrong one."""
    beginning = text.lstrip()
    has_times = LIKE_A_TIME_LINE.search(text) is not None  # no JSON has one: its texts are within a line
    if _LIKE_JSON.match(beginning) and not has_times:
        from avskrift.formats.readers import json

        return json.read
    if beginning.startswith("WEBVTT"):
        from avskrift.formats.readers import vtt

        return vtt.read
    if has_times or (not beginning and name.lower().endswith(".srt")):
        from avskrift.formats.readers import srt

        return srt.read
    what = "this is no transcript" if beginning else "the file is empty"
    raise UnsupportedMedia(f"{what}: {_HOW}.")


def _decoded(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Its text without a byte order mark, and what had to be assumed of its encoding."""
    if content.startswith(_UTF_16):
        return _strictly(content, "utf-16"), ("The file is UTF-16: read as such, written as UTF-8.",)
    if b"\0" in content[:4096]:
        raise UnsupportedMedia(f"this is no text: {_HOW}.")
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        if content.lstrip().startswith(b"{"):
            raise UnsupportedMedia(f"this JSON is not UTF-8 (at byte {error.start}): save it as UTF-8.") from error
    if nearly := _nearly_utf_8(content):
        return nearly
    text = _strictly(content, "cp1252")
    return text, ("The file is not UTF-8: read as Windows-1252, the usual one of older subtitle programs.",)


def _nearly_utf_8(content: bytes) -> tuple[str, tuple[str, ...]] | None:
    """A file with a broken character or cut within one; None where most of what is not ASCII is no UTF-8 either."""
    text = content.decode("utf-8-sig", "replace")
    broken = text.count("\ufffd") - content.count("\ufffd".encode())
    whole = len(text) - len(text.encode("ascii", "ignore")) - broken
    if whole <= broken:
        return None
    return text, (f"{broken:,} broken character{'' if broken == 1 else 's'} in the file's UTF-8: shown as \ufffd.",)


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnsupportedMedia(f"this is no text in UTF-8 or {encoding}: {_HOW}.") from error
