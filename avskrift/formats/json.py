"""Everything the engine knows, in the published schema (docs/transcript-schema.md)."""

from __future__ import annotations

from avskrift.transcript import Transcript


def render(transcript: Transcript) -> str:
    """Indented JSON, UTF-8 as it is."""
    return transcript.to_json()
