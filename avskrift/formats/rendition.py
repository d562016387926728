"""What every writer gets: a transcript, how it is to look, and the cues, which are built once for all of them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

from avskrift.errors import BadOptions
from avskrift.formats import tidy
from avskrift.formats.cues import Cue, build_cues
from avskrift.formats.pieces import to_ms
from avskrift.formats.plain_text import plain
from avskrift.formats.presets import DEFAULT_PRESET, PRESETS, CueRules
from avskrift.languages import language_tag
from avskrift.transcript import Transcript


@dataclass(frozen=True)
class RenderOptions:
    """How files are to look; each writer takes what its format can show."""

    rules: CueRules = field(default_factory=lambda: PRESETS[DEFAULT_PRESET])
    highlight_words: bool = False
    """Subtitles mark each word while it is spoken."""
    word_times: bool = False
    """vtt carries the time of each word within its cue."""
    timestamps: bool = False
    """txt says when each paragraph was said, as docx and html always do."""
    bom: bool = False
    """srt and csv begin with a byte order mark, which old players and Excel need to see UTF-8."""
    media_url: str | None = None
    """Where the recording lies: the page seeks in it, the manifest plays it."""
    media_name: str | None = None
    """The recording's file, for a manifest where ``media_url`` does not say it."""
    name: str = "transcript"
    """Of the files, without their endings: what a manifest refers to."""
    title: str | None = None
    """What documents are called; None for their name."""
    media_bitrate: int | None = None
    """Of the recording in bits per second, for the manifest."""

    def __post_init__(self) -> None:
        if self.highlight_words and self.word_times:
            raise BadOptions("Highlighted words and word times are two ways to follow the voice: choose one of them.")


@dataclass(frozen=True)
class Rendition:
    """One transcript on its way into files."""

    transcript: Transcript
    options: RenderOptions = field(default_factory=RenderOptions)

    @property
    def title(self) -> str:
        """One clean line; empty where nobody named it."""
        return plain(self.options.name if self.options.title is None else self.options.title)

    @cached_property
    def cues(self) -> list[Cue]:
        """The cues by the options' rules."""
        return build_cues(self.transcript, self.options.rules)

    @cached_property
    def speaker_names(self) -> dict[str | None, str]:
        """What a reader sees, by the id that segments carry; empty where nobody told them apart."""
        return tidy.speaker_names(self.transcript)

    @cached_property
    def language(self) -> str | None:
        """A language tag of the text: English after a translation, whatever was spoken; None where none is known."""
        return "en" if self._is_translated else language_tag(self.transcript.language)

    @property
    def _is_translated(self) -> bool:
        return self.transcript.engine.get("task") == "translate"

    def language_at(self, at_ms: int) -> str | None:
        """Of what is said then: that of the text, but where a segment is in another."""
        number = bisect_right(self._other_languages, at_ms, key=lambda other: other[0]) - 1
        if number >= 0 and at_ms < self._other_languages[number][1]:
            return self._other_languages[number][2]
        return self.language

    @cached_property
    def _other_languages(self) -> list[tuple[int, int, str]]:
        """Start, end and language of the segments that are not in the text's; none of a translation is."""
        if not any(segment.language for segment in self.transcript.segments):
            return []
        tagged = ((segment, language_tag(segment.language)) for segment in tidy.tidy_segments(self.transcript))
        others = [(to_ms(segment.start_s), to_ms(segment.end_s), tag) for segment, tag in tagged if tag]
        return [] if self._is_translated else others
