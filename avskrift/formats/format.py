"""What a format is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avskrift.formats.rendition import Rendition

#: The options that cues are built by, and all that every subtitle format shows.
CUE_RULES = frozenset({"preset", "max_line_width", "max_lines", "max_words_per_cue"})
CUE_OPTIONS = CUE_RULES | {"highlight_words"}


@dataclass(frozen=True)
class Format:
    """One way of writing a transcript.

    ``extension`` has no dot and is no other format's. ``needs_word_times`` says that what it shows would be wrong by
    seconds where times are estimated, so that words are aligned for it. ``heeds`` names the options of the command line
    that change it, ``refers_to`` the format whose file it expects beside its own. ``render`` imports libraries that
    only its own format needs: the Lambdas read the registry too, and carry pure Python only.
    """

    name: str
    extension: str
    content_type: str
    needs_word_times: bool
    render: Callable[[Rendition], str | bytes]
    heeds: frozenset[str] = frozenset()
    refers_to: str | None = None
