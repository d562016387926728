"""A Transcript as the files people use.

One registry, one module each: a new format is a module with a ``render`` and a line here. Pure Python, because the
Lambdas read the registry too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from avskrift.errors import BadOptions
from avskrift.formats import json, srt, txt, vtt
from avskrift.transcript import Transcript


@dataclass(frozen=True)
class Format:
    """One way of writing a transcript. ``extension`` has no dot; ``is_subtitle`` says that it lives on word times."""

    name: str
    extension: str
    description: str
    is_subtitle: bool
    render: Callable[[Transcript], str]


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("txt", "txt", "plain text, a paragraph for each stretch without a long pause", False, txt.render),
        Format("json", "json", "segments, words, confidence (docs/transcript-schema.md)", False, json.render),
        Format("srt", "srt", "SubRip subtitles", True, srt.render),
        Format("vtt", "vtt", "WebVTT subtitles", True, vtt.render),
    )
}


def write(transcript: Transcript, name: str) -> str:
    """The transcript as the text of a file in format ``name``; raises ``BadOptions`` for an unknown one."""
    check_formats([name])
    return FORMATS[name].render(transcript)


def check_formats(names: Iterable[str]) -> None:
    """Raise ``BadOptions``, listing the formats that exist, if any of ``names`` does not."""
    unknown = unknown_formats(names)
    if unknown:
        raise BadOptions(f"Unknown format {', '.join(unknown)}. There are: {', '.join(FORMATS)}.")


def unknown_formats(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that no format has."""
    return [name for name in names if name not in FORMATS]
