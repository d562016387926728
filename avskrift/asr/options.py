"""What a caller can ask of the engine, checked before any work starts.

An option that cannot be honoured is refused with a sentence, never swallowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from avskrift.clip import Clip, checked_clip
from avskrift.errors import BadOptions
from avskrift.languages import LANGUAGES

TASKS = ("transcribe", "translate")
STYLES = ("standard", "subtitle", "verbatim")
VAD_MODES = ("default", "sensitive", "off")
CHANNEL_MODES = ("mix", "split")
#: The value of ``language`` that detects it in every chunk.
MULTI = "multi"
DEVICES = ("auto", "cpu", "cuda")
COMPUTE_TYPES = (
    "default",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
    "int16",
    "float16",
    "bfloat16",
    "float32",
)
MAX_BEAM_SIZE = 20

#: Whisper's decoder takes half of its 448 positions (224) as context; one is the token that begins it.
MAX_CONTEXT_TOKENS = 223


@dataclass(frozen=True)
class EngineConfig:
    """Which model runs where; fixed for the life of an engine."""

    model: str = "base"
    """A name (``avskrift models list``), a hub repository ``owner/name@revision``, or a directory."""
    style: str = "standard"
    """standard, subtitle (shorter) or verbatim (word for word): KB-Whisper's revisions, so weights of their own."""
    device: str = "auto"
    """auto, cpu or cuda; auto takes a GPU where there is one."""
    compute_type: str = "default"
    """CTranslate2's; default is int8 on CPU and float16 on a GPU."""
    threads: int | None = None
    """CPU threads in all; None takes every core this process may use."""
    batch: int | None = None
    """Chunks decoded together; None takes at most 5 on CPU, fewer where memory_mb says so, and 16 on a GPU."""
    memory_mb: int | None = None
    """What the worker may take of the machine's memory, in MB; None takes 1500. On the CPU only."""
    models_dir: Path | None = None
    """Where named models lie; None takes AVSKRIFT_MODELS_DIR, else /opt/avskrift/models."""
    require_confinement: bool = False
    """Whether, on Linux, a worker that can't give up the network and its privileges may read no media at all."""

    def validate(self) -> None:
        """Raise ``BadOptions`` for what no machine could run."""
        _require_one_of("device", self.device, DEVICES)
        _require_one_of("compute_type", self.compute_type, COMPUTE_TYPES)
        _require_one_of("style", self.style, STYLES)
        if not self.model:
            raise BadOptions("model is empty: name one of `avskrift models list`, or a directory.")
        for name, count in (("threads", self.threads), ("batch", self.batch), ("memory_mb", self.memory_mb)):
            if count is not None and not _is_count(count):
                raise BadOptions(f"{name} must be a whole number of at least 1, not {count!r}.")
        if self.memory_mb is not None and self.device == "cuda":
            raise BadOptions("memory_mb bounds the memory on a CPU only: with device cuda, choose a smaller batch.")


@dataclass(frozen=True)
class TranscribeOptions:
    """How one recording is transcribed."""

    language: str | None = None
    """ISO 639-1 code; None detects it on the speech; ``multi`` detects it in every chunk."""
    home_language: str | None = None
    """Where the language is detected: the one expected, which its close relatives are weighed towards."""
    task: str = "transcribe"
    """transcribe, or translate (Whisper's own: any language to English)."""
    beam_size: int = 1
    """1 is greedy."""
    words: bool = True
    """Whether segments carry their words with times."""
    prompt: str | None = None
    """Text in the style and spelling wanted; with ``hotwords`` and ``glossary`` at most 223 tokens."""
    hotwords: str | None = None
    """Names and terms to expect."""
    glossary: tuple[str, ...] = ()
    """Terms to expect, one an entry: as ``hotwords``, but from a list."""
    vad: str = "default"
    """default, sensitive (keeps faint and short speech) or off (everything is taken for speech)."""
    clip: Clip | None = None
    """Start and end in seconds of the part to transcribe; an end of None is the recording's."""
    channels: str = "mix"
    """mix, or split: each channel by itself, as a speaker of its own."""
    max_duration_s: float | None = None
    """Longer recordings are refused as ``TooLong``."""
    max_size_bytes: int | None = None
    """Bigger files are refused as ``TooLarge``."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TranscribeOptions:
        """Read options that crossed a boundary, as ``asdict`` or JSON give them; unknown names are refused."""
        unknown = sorted(set(data) - {option.name for option in fields(cls)})
        if unknown:
            known = ", ".join(option.name for option in fields(cls))
            raise BadOptions(f"Unknown option {', '.join(unknown)}. Known are: {known}.")
        values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in data.items()}
        options = cls(**values)
        options.validate()
        return options

    def validate(self) -> None:
        """Raise ``BadOptions`` for what cannot be honoured by any model."""
        self._check_languages()
        _require_one_of("task", self.task, TASKS)
        _require_one_of("vad", self.vad, VAD_MODES)
        _require_one_of("channels", self.channels, CHANNEL_MODES)
        if not _is_count(self.beam_size) or self.beam_size > MAX_BEAM_SIZE:
            raise BadOptions(f"beam_size must be a whole number from 1 to {MAX_BEAM_SIZE}, not {self.beam_size!r}.")
        if not isinstance(self.words, bool):
            raise BadOptions(f"words must be true or false, not {self.words!r}.")
        self._check_context()
        if self.clip is not None:
            checked_clip(self.clip)
        if self.max_duration_s is not None and not self.max_duration_s > 0:
            raise BadOptions(f"max_duration_s must be above 0, not {self.max_duration_s!r}.")
        if self.max_size_bytes is not None and not _is_count(self.max_size_bytes):
            raise BadOptions(f"max_size_bytes must be a whole number of at least 1, not {self.max_size_bytes!r}.")

    def _check_languages(self) -> None:
        if self.language not in (None, MULTI) and not _is_language(self.language):
            raise BadOptions(
                f"Unknown language {self.language!r}. Give a code such as sv, en or de, {MULTI} to detect it in every "
                "chunk, or leave it out to detect it once."
            )
        if self.home_language is None:
            return
        if not _is_language(self.home_language):
            raise BadOptions(f"Unknown home_language {self.home_language!r}. Give a code such as sv, en or de.")
        if self.language not in (None, MULTI):
            raise BadOptions(
                f"home_language is for a language that has to be detected, but language is {self.language!r} already: "
                "leave one of them out."
            )

    def _check_context(self) -> None:
        for name, text in (("prompt", self.prompt), ("hotwords", self.hotwords)):
            if text is not None and not _is_text(text):
                raise BadOptions(f"{name} must be text, or be left out.")
        if not isinstance(self.glossary, tuple) or not all(_is_text(term) for term in self.glossary):
            raise BadOptions("glossary must be a list of terms, none of them empty.")


def context_text(options: TranscribeOptions) -> str:
    """What the model is told before each chunk: terms to expect, then the prompt; empty where nothing is.

    Terms come first, as in faster-whisper: what stands next to the speech sets style and spelling most. The space at
    the start makes its first word the same token as in running text.
    """
    terms = ", ".join(term.strip() for term in (*options.glossary, options.hotwords or "") if term.strip())
    return "".join(f" {part}" for part in (terms, (options.prompt or "").strip()) if part)


def require_context_fits(tokens: int) -> None:
    """Raise ``BadOptions`` where :func:`context_text` is more tokens than a Whisper model has room for."""
    if tokens > MAX_CONTEXT_TOKENS:
        raise BadOptions(
            f"prompt, hotwords and glossary are {tokens} tokens together; the model has room for "
            f"{MAX_CONTEXT_TOKENS} (half of its 448 positions, less one). Leave out what it gets right without help."
        )


@dataclass(frozen=True)
class Progress:
    """Seconds of the recording whose text is finished, of how many (as far as the header and decoding tell)."""

    done_s: float
    total_s: float


@dataclass(frozen=True)
class EngineInfo:
    """What is loaded."""

    model: str
    device: str
    compute_type: str
    load_s: float
    """From the start of the worker process to a model ready to decode."""
    revision: str | None = None
    """The weights' revision where they have one."""
    style: str = "standard"
    """The weights' style."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the libraries that decide the output."""
    unconfined: str | None = None
    """Why the worker kept its network and privileges; None: it gave them up."""


def _require_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadOptions(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")


def _is_language(value: object) -> bool:
    return isinstance(value, str) and value in LANGUAGES


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
