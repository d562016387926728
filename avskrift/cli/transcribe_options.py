"""The options of `avskrift transcribe`, grouped as its help shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from avskrift.asr.glossary import read_glossary
from avskrift.asr.models import PREFERRED_MODEL
from avskrift.asr.options import (
    CHANNEL_MODES,
    COMPUTE_TYPES,
    DEVICES,
    MAX_CONTEXT_TOKENS,
    MULTI,
    STYLES,
    TASKS,
    VAD_MODES,
    EngineConfig,
    TranscribeOptions,
)
from avskrift.cli.output_options import OUTPUT
from avskrift.clip import FORMS, parse_clip
from avskrift.formats import FORMATS

DEFAULT_FORMATS = ("txt", "srt", "json")

_SPEECH, _RECORDING, _MODEL = "What is said", "What is listened to", "Model and machine"
_FORMATS_HELP = f"{', '.join(FORMATS)}; repeat it for several. Default: {', '.join(DEFAULT_FORMATS)} (for -: txt)."
_ROOM = f"prompt, hotwords and glossary share the {MAX_CONTEXT_TOKENS} tokens (224 with their mark) that Whisper has"

Inputs = Annotated[list[str], typer.Argument(metavar="FILE|DIR|-...", help="Recordings, folders of them, or -.")]

Language = Annotated[
    str,
    typer.Option(
        "--language",
        "-l",
        rich_help_panel=_SPEECH,
        help=f"Code such as sv or en; auto detects it once, {MULTI} every 10 s or so.",
    ),
]
HomeLanguage = Annotated[
    str | None,
    typer.Option(
        "--home-language",
        rich_help_panel=_SPEECH,
        help=f"With auto and {MULTI}: the one expected. With sv, accented Swedish is not taken for Norwegian.",
    ),
]
Task = Annotated[
    str,
    typer.Option("--task", rich_help_panel=_SPEECH, help=f"{' or '.join(TASKS)} (any language to English)."),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        rich_help_panel=_SPEECH,
        help="A sentence in the spelling and punctuation wanted, as if said before.",
    ),
]
Hotwords = Annotated[
    str | None,
    typer.Option("--hotwords", rich_help_panel=_SPEECH, help="Names and terms to expect: 'Sundbyberg, Hallonbergen'."),
]
Glossary = Annotated[
    Path | None,
    typer.Option(
        "--glossary",
        metavar="FILE",
        rich_help_panel=_SPEECH,
        help=f"The same from a UTF-8 file, one a line, # for comments; {_ROOM}.",
    ),
]

Clip = Annotated[
    str | None, typer.Option("--clip", metavar="START-END", rich_help_panel=_RECORDING, help=f"Only a part, {FORMS}.")
]
Channels = Annotated[
    str,
    typer.Option(
        "--channels",
        rich_help_panel=_RECORDING,
        help=f"{' or '.join(CHANNEL_MODES)}: each channel a speaker of its own, for two-sided calls.",
    ),
]
Vad = Annotated[
    str,
    typer.Option(
        "--vad",
        rich_help_panel=_RECORDING,
        help=f"{', '.join(VAD_MODES)}: sensitive keeps faint speech too, off takes everything for speech.",
    ),
]

Formats = Annotated[list[str] | None, typer.Option("--format", "-f", rich_help_panel=OUTPUT, help=_FORMATS_HELP)]
Words = Annotated[
    bool,
    typer.Option("--words", rich_help_panel=OUTPUT, help="Word times in json even where no other format needs them."),
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        rich_help_panel=_MODEL,
        help="See `avskrift models list`. Default: kb-whisper-small if it can be had, else base.",
    ),
]
Style = Annotated[
    str,
    typer.Option(
        "--style",
        rich_help_panel=_MODEL,
        help=f"{', '.join(STYLES)}: KB-Whisper's, each weights of its own; subtitle shortens.",
    ),
]
BeamSize = Annotated[
    int, typer.Option("--beam-size", rich_help_panel=_MODEL, help="1 is fastest; 5 is a little better.")
]
Device = Annotated[str, typer.Option("--device", rich_help_panel=_MODEL, help=f"{', '.join(DEVICES)}.")]
ComputeType = Annotated[
    str,
    typer.Option(
        "--compute-type",
        rich_help_panel=_MODEL,
        help=f"{', '.join(COMPUTE_TYPES)}. default is int8 on a CPU, float16 on a GPU.",
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", rich_help_panel=_MODEL, help="CPU threads. Default: every core.")
]
Batch = Annotated[
    int | None, typer.Option("--batch", rich_help_panel=_MODEL, help="Chunks decoded together; fewer need less memory.")
]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory", metavar="MB", rich_help_panel=_MODEL, help="Memory to stay within on a CPU. Default: 1500."
    ),
]


@dataclass(frozen=True)
class Speech:
    """What is said, and which part of the recording is listened to."""

    language: Language = "auto"
    home_language: HomeLanguage = None
    task: Task = "transcribe"
    prompt: Prompt = None
    hotwords: Hotwords = None
    glossary: Glossary = None
    clip: Clip = None
    channels: Channels = "mix"
    vad: Vad = "default"

    def transcribe_options(self, *, words: bool, beam_size: int) -> TranscribeOptions:
        """For the engine; raises ``BadOptions`` for a clip or a glossary that cannot be read."""
        return TranscribeOptions(
            language=None if self.language == "auto" else self.language,
            home_language=self.home_language,
            task=self.task,
            beam_size=beam_size,
            words=words,
            prompt=self.prompt,
            hotwords=self.hotwords,
            glossary=read_glossary(self.glossary) if self.glossary else (),
            vad=self.vad,
            clip=parse_clip(self.clip) if self.clip else None,
            channels=self.channels,
        )


@dataclass(frozen=True)
class Machine:
    """With which model, and on what."""

    model: Model = None
    style: Style = "standard"
    beam_size: BeamSize = 1
    device: Device = "auto"
    compute_type: ComputeType = "default"
    threads: Threads = None
    batch: Batch = None
    memory: Memory = None

    def engine_config(self) -> EngineConfig:
        """For the engine: of the preferred model, where none was named."""
        return EngineConfig(
            model=self.model or PREFERRED_MODEL,
            style=self.style,
            device=self.device,
            compute_type=self.compute_type,
            threads=self.threads,
            batch=self.batch,
            memory_mb=self.memory,
        )
