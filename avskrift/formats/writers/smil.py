"""The manifest by which Wowza Streaming Engine plays a video with its caption track.

Its elements are those of https://www.wowza.com/docs/understanding-smil-file-syntax and, for captions, of
https://www.wowza.com/docs/how-to-configure-closed-captioning-for-video-on-demand-streaming: every ``video`` names a bit
rate, and a ``textstream`` is a caption file if its parameter says so. Files lie in the server's content folder, which
the manifest's own names are relative to.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from avskrift.errors import BadOptions
from avskrift.formats.format import Format
from avskrift.formats.media_url import checked_media_url
from avskrift.formats.rendition import Rendition
from avskrift.languages import ISO_639_2, primary_language

#: Where the recording's own is not known. Wowza wants one for each rendition, to choose among several; here is but one.
NOMINAL_BITRATE = 1_000_000
#: What XML 1.0 has no place for (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
#: Wowza reads what is no MP4 by the prefix of its name.
_PREFIXES = {".flv": "flv", ".mp3": "mp3"}


def render(rendition: Rendition) -> bytes:
    """One video, and the track of ``<name>.ttml``: Wowza takes several languages of captions as TTML, not as SubRip.

    Raises ``BadOptions`` for a ``media_url`` that is none, and for a file whose name XML cannot hold.
    """
    from xml.etree import ElementTree

    root = ElementTree.Element("smil", {"title": rendition.title})
    ElementTree.SubElement(root, "head")
    switch = ElementTree.SubElement(ElementTree.SubElement(root, "body"), "switch")
    bitrate = str(rendition.options.media_bitrate or NOMINAL_BITRATE)
    ElementTree.SubElement(switch, "video", {"src": _source(rendition), "system-bitrate": bitrate})
    captions = {"src": _named(f"{rendition.options.name}.ttml")}
    if rendition.language:
        primary = primary_language(rendition.language)
        captions["system-language"] = ISO_639_2.get(primary, primary)
    track = ElementTree.SubElement(switch, "textstream", captions)
    ElementTree.SubElement(track, "param", {"name": "isWowzaCaptionStream", "value": "true", "valuetype": "data"})
    ElementTree.indent(root)
    content = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{content}\n'.encode()


def _source(rendition: Rendition) -> str:
    """The video's file name, or its path from the manifest's folder; ``<name>.mp4`` where nobody said what it is."""
    options = rendition.options
    path = _path(options.media_url) or options.media_name or f"{options.name}.mp4"
    prefix = _PREFIXES.get(PurePosixPath(path).suffix.lower(), "mp4")
    return f"{prefix}:{_named(path)}"


def _named(file: str) -> str:
    """A file's name as it is: another would be no file's."""
    if re.search(_NOT_XML, file):
        raise BadOptions(
            f"{file!r}: the manifest (smil) is XML, which cannot hold all of this name. Rename the file, or leave smil "
            "out."
        )
    return file


def _path(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(checked_media_url(url))
    path = unquote(parts.path, errors="surrogateescape")
    return PurePosixPath(path).name if parts.scheme else path


FORMAT = Format(
    name="smil",
    extension="smil",
    content_type="application/smil+xml; charset=utf-8",
    needs_word_times=False,
    render=render,
    heeds=frozenset({"media_url", "media_bitrate"}),
    refers_to="ttml",
)
