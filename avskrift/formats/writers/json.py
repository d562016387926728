"""Everything the engine knows, in the published schema (docs/transcript-schema.md)."""

from __future__ import annotations

from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition


def render(rendition: Rendition) -> str:
    """Indented JSON, UTF-8 as it is."""
    return rendition.transcript.to_json()


FORMAT = Format(
    name="json",
    extension="json",
    content_type="application/json",
    needs_word_times=False,
    render=render,
)
