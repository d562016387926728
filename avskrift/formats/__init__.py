"""A Transcript as the files people use.

    from avskrift import formats
    formats.write(transcript, "srt")                                   # bytes
    formats.write_all(transcript, ["srt", "docx"], RenderOptions(...)) # cues are built once for all

One registry: a new format is a module of ``writers``, its line here, and a test of it. Named one by one, because a
Lambda carries only what is seen to be imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from avskrift.errors import BadOptions
from avskrift.formats.format import Format
from avskrift.formats.rendition import RenderOptions, Rendition
from avskrift.formats.writers import ass, csv, docx, html, json, smil, srt, tsv, ttml, txt, verbose_json, vtt
from avskrift.transcript import Transcript

_WRITERS = (
    txt,
    json,
    srt,
    vtt,
    ttml,
    ass,
    smil,
    tsv,
    csv,
    docx,
    html,
    verbose_json,
)

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _WRITERS}

__all__ = ["FORMATS", "Format", "RenderOptions", "check_formats", "write", "write_all"]


def write(transcript: Transcript, name: str, options: RenderOptions | None = None) -> bytes:
    """The transcript as a file in format ``name``, text in UTF-8; raises ``BadOptions`` for an unknown one."""
    ((_, content),) = write_all(transcript, [name], options)
    return content


def write_all(
    transcript: Transcript, names: Iterable[str], options: RenderOptions | None = None
) -> Iterator[tuple[str, bytes]]:
    """Each format's name and file, one after the other; raises ``BadOptions`` for an unknown name before the first."""
    names = list(names)
    check_formats(names)
    rendition = Rendition(transcript, options or RenderOptions())
    for name in names:
        content = FORMATS[name].render(rendition)
        yield name, content.encode() if isinstance(content, str) else content


def check_formats(names: Iterable[str]) -> None:
    """Raise ``BadOptions``, listing the formats that exist, if any of ``names`` does not."""
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise BadOptions(f"Unknown format {', '.join(unknown)}. There are: {', '.join(FORMATS)}.")
