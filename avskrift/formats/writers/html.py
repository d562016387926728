"""A page to read, search and listen in: one file that needs no network and runs no script but its own.

Whatever is said goes through Jinja2's autoescape; the content security policy names the page's style and script by
their hashes, so that no other could run even if some text found a way in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from avskrift.formats.format import Format
from avskrift.formats.labels import facts_of, is_machine_made, labels_for, notes_of
from avskrift.formats.media_url import checked_media_url
from avskrift.formats.paragraphs import Paragraph, paragraphs_of
from avskrift.formats.pieces import SEARCH_CHARACTERS, to_ms
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import clock_s, tidy_words
from avskrift.languages import language_tag
from avskrift.transcript import Segment

_PAGE = Path(__file__).parent.parent / "page"


@dataclass(frozen=True)
class _Piece:
    """A segment. ``words``: each word's place in the text, in UTF-16 units as scripts count, and its time in ms."""

    start_ms: int
    end_ms: int
    text: str
    language: str | None
    words: str


@dataclass(frozen=True)
class _Paragraph:
    anchor: str
    clock: str
    pieces: list[_Piece]


@dataclass(frozen=True)
class _Turn:
    speaker: str
    paragraphs: list[_Paragraph] = field(default_factory=list)


def render(rendition: Rendition) -> str:
    """The page; raises ``BadOptions`` for a ``media_url`` that is none."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style, script, page = ((_PAGE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "page.html"))
    media_url = rendition.options.media_url
    labels = labels_for(rendition)
    environment = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(page)
    return template.render(
        title=rendition.title or labels.transcript,
        labels=labels,
        language=rendition.language,
        facts=facts_of(rendition, labels),
        notes=notes_of(rendition),
        machine_made=is_machine_made(rendition.transcript),
        media_url=None if media_url is None else checked_media_url(media_url),
        turns=list(_turns(rendition)),
        policy=_policy(style, script, media_url),
        style=Markup(style),  # noqa: S704 - the project's own files, as they are
        script=Markup(script),  # noqa: S704
    )


def _policy(style: str, script: str, media_url: str | None) -> str:
    """Nothing but the page's own style and script, and media by the scheme of its address."""
    if media_url is None:
        media = "'none'"
    else:
        media = {"https": "https:", "http": "http: https:"}.get(urlsplit(media_url).scheme, "'self' file:")
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; media-src {media}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    import base64
    import hashlib

    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _turns(rendition: Rendition) -> Iterator[_Turn]:
    names = rendition.speaker_names
    turn: _Turn | None = None
    anchors: dict[str, int] = {}
    for paragraph in paragraphs_of(rendition.transcript):
        if turn is None or paragraph.starts_turn:
            if turn:
                yield turn
            turn = _Turn(names[paragraph.speaker])
        turn.paragraphs.append(_paragraph(paragraph, anchors, with_words=rendition.options.media_url is not None))
    if turn:
        yield turn


def _paragraph(paragraph: Paragraph, anchors: dict[str, int], *, with_words: bool) -> _Paragraph:
    """Its anchor is its time, and unique: ``t83480``, and where several begin at once ``t83480-2``."""
    anchor = f"t{to_ms(paragraph.start_s)}"
    anchors[anchor] = anchors.get(anchor, 0) + 1
    if anchors[anchor] > 1:
        anchor += f"-{anchors[anchor]}"
    pieces = [_piece(segment, with_words) for segment in paragraph.segments]
    return _Paragraph(anchor, clock_s(paragraph.start_s), pieces)


def _piece(segment: Segment, with_words: bool) -> _Piece:
    words = _places(segment) if with_words else ""
    start_ms, end_ms = to_ms(segment.start_s), to_ms(segment.end_s)
    return _Piece(start_ms, end_ms, segment.text, language_tag(segment.language), words)


def _places(segment: Segment) -> str:
    """Words that the text does not have, or only much later, are left out: the text is what is shown."""
    places = []
    at = units = 0
    for word in tidy_words(segment):
        found = segment.text.find(word.text, at, at + len(word.text) + SEARCH_CHARACTERS)
        if found >= 0:
            units += _utf16_units(segment.text[at:found])
            places.append(f"{units} {to_ms(word.start_s)}")
            units += _utf16_units(word.text)
            at = found + len(word.text)
    return " ".join(places)


def _utf16_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


FORMAT = Format(
    name="html",
    extension="html",
    content_type="text/html; charset=utf-8",
    needs_word_times=True,
    render=render,
    heeds=frozenset({"media_url"}),
)
