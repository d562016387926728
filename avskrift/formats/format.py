"""What a format is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avskrift.formats.rendition import Rendition


@dataclass(frozen=True)
class Format:
    """One way of writing a transcript.

    ``extension`` has no dot and is no other format's. ``needs_word_times`` says that what it shows would be wrong by
    seconds where times are estimated, so that words are aligned for it. ``render`` imports libraries that only its own
    format needs: the Lambdas read the registry too, and carry pure Python only.
    """

    name: str
    extension: str
    content_type: str
    description: str
    needs_word_times: bool
    render: Callable[[Rendition], str | bytes]
