"""What comes of reading a file back."""

from __future__ import annotations

from dataclasses import dataclass

from avskrift.transcript import Transcript


@dataclass(frozen=True)
class Reading:
    """A transcript read from a file, and what had to be mended in it: a sentence for each kind, for the user."""

    transcript: Transcript
    repairs: tuple[str, ...] = ()
