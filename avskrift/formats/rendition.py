"""What every writer gets: a transcript, how it is to look, and the cues, which are built once for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from avskrift.formats.cues import Cue, build_cues
from avskrift.formats.presets import PRESETS, CueRules
from avskrift.transcript import Transcript


@dataclass(frozen=True)
class RenderOptions:
    """How files are to look; each writer takes what its format can show."""

    rules: CueRules = field(default_factory=lambda: PRESETS["default"])
    highlight_words: bool = False
    """Subtitles mark each word while it is spoken."""
    word_times: bool = False
    """vtt carries the time of each word within its cue."""
    timestamps: bool = False
    """Documents to read say when each paragraph was said."""
    bom: bool = False
    """srt begins with a byte order mark, which some old players and Windows programs need to see UTF-8."""
    media_url: str | None = None
    """Where the recording lies: the page seeks in it, the manifest plays it."""
    name: str = "transcript"
    """Of the recording, without its ending: titles, and the files that a manifest refers to."""


@dataclass(frozen=True)
class Rendition:
    """One transcript on its way into files."""

    transcript: Transcript
    options: RenderOptions = field(default_factory=RenderOptions)

    @cached_property
    def cues(self) -> list[Cue]:
        """The cues by the options' rules."""
        return build_cues(self.transcript, self.options.rules)

    @cached_property
    def speaker_names(self) -> dict[str, str]:
        """What a reader sees, by the id that segments carry."""
        return {speaker.id: speaker.name for speaker in self.transcript.speakers}
