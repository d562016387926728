"""The options of what is written, the same in `avskrift transcribe` and `avskrift convert`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer

from avskrift.errors import BadOptions
from avskrift.formats import FORMATS, RenderOptions
from avskrift.formats.format import CUE_RULES
from avskrift.formats.media_url import checked_media_url
from avskrift.formats.presets import DEFAULT_PRESET, PRESETS, rules_for

OUTPUT, LOOK = "What is written", "How it looks"

OutputDir = Annotated[
    Path | None,
    typer.Option("--output-dir", "-o", rich_help_panel=OUTPUT, help="Where to write, if not beside each input."),
]
Force = Annotated[bool, typer.Option("--force", rich_help_panel=OUTPUT, help="Write files anew that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="Print nothing but errors.")]

Preset = Annotated[
    str | None,
    typer.Option("--preset", rich_help_panel=LOOK, help=f"Preset for subtitles: {', '.join(PRESETS)}."),
]
MaxLineWidth = Annotated[
    int | None,
    typer.Option("--max-line-width", metavar="N", rich_help_panel=LOOK, help="Characters in a line, over any preset."),
]
MaxLines = Annotated[
    int | None, typer.Option("--max-lines", metavar="N", rich_help_panel=LOOK, help="Lines in a subtitle.")
]
MaxWords = Annotated[
    int | None,
    typer.Option(
        "--max-words-per-cue", metavar="N", rich_help_panel=LOOK, help="Words in a subtitle; 1 for one by one."
    ),
]
HighlightWords = Annotated[
    bool,
    typer.Option("--highlight-words", rich_help_panel=LOOK, help="Subtitles mark each word while it is spoken."),
]
WordTimes = Annotated[
    bool, typer.Option("--word-times", rich_help_panel=LOOK, help="vtt with the time of each word in its cue.")
]
Timestamps = Annotated[
    bool, typer.Option("--timestamps", rich_help_panel=LOOK, help="txt with a time before each paragraph.")
]
Bom = Annotated[
    bool,
    typer.Option("--bom", rich_help_panel=LOOK, help="srt and csv with a byte order mark, for old players and Excel."),
]
MediaUrl = Annotated[
    str | None,
    typer.Option(
        "--media-url", metavar="URL", rich_help_panel=LOOK, help="Where html and smil find the recording to play."
    ),
]
MediaBitrate = Annotated[
    int | None,
    typer.Option(
        "--media-bitrate", metavar="N", min=1, rich_help_panel=LOOK, help="Bits per second of the recording, for smil."
    ),
]


@dataclass(frozen=True)
class Look:
    """How files are to look, as it was asked for; None and False where nothing was."""

    preset: Preset = None
    max_line_width: MaxLineWidth = None
    max_lines: MaxLines = None
    max_words_per_cue: MaxWords = None
    highlight_words: HighlightWords = False
    word_times: WordTimes = False
    timestamps: Timestamps = False
    bom: Bom = False
    media_url: MediaUrl = None
    media_bitrate: MediaBitrate = None

    def render_options(self, formats: Collection[str], *, checked: bool = False) -> RenderOptions:
        """For the writers; raises ``BadOptions`` for what cannot be, and for what none of ``formats`` would heed.

        ``checked``: cues are made for a check too, whatever is written.
        """
        self._require_heard(formats, checked)
        return RenderOptions(
            rules=rules_for(
                self.preset or DEFAULT_PRESET,
                max_line_width=self.max_line_width,
                max_lines=self.max_lines,
                max_words_per_cue=self.max_words_per_cue,
            ),
            highlight_words=self.highlight_words,
            word_times=self.word_times,
            timestamps=self.timestamps,
            bom=self.bom,
            media_url=checked_media_url(self.media_url) if self.media_url is not None else None,
            media_bitrate=self.media_bitrate,
        )

    def _require_heard(self, formats: Collection[str], checked: bool) -> None:
        for name, hearing in HEARD_BY.items():
            asked = getattr(self, name) not in (None, False)
            if asked and not hearing & set(formats) and not (checked and name in CUE_RULES):
                option = f"--{name.replace('_', '-')}"
                those = ", ".join(each for each in FORMATS if each in hearing)
                raise BadOptions(f"{option} is for {those}, which is not among the formats: add one, or leave it out.")


#: By option the formats that it means something to; another than these would leave it unheard.
HEARD_BY = {
    option.name: frozenset(name for name, each in FORMATS.items() if option.name in each.heeds)
    for option in fields(Look)
}
