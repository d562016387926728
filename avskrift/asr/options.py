"""What a caller can ask of the engine, checked before any work starts.

An option that cannot be honoured is refused with a sentence, never swallowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from avskrift.errors import BadOptions
from avskrift.languages import LANGUAGES

Task = Literal["transcribe", "translate"]
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

#: Whisper's decoder takes half of its 448 positions as context; one is the start token.
MAX_CONTEXT_TOKENS = 223


@dataclass(frozen=True)
class EngineConfig:
    """Which model runs where; fixed for the life of an engine."""

    model: str = "base"
    """A name (``avskrift models list``), a hub repository ``owner/name@revision``, or a directory."""
    device: str = "auto"
    """auto, cpu or cuda; auto takes a GPU where there is one."""
    compute_type: str = "default"
    """CTranslate2's; default is int8 on CPU and float16 on a GPU."""
    threads: int | None = None
    """CPU threads in all; None takes every core this process may use."""
    batch: int | None = None
    """Chunks decoded together; None takes 4 on CPU and 16 on a GPU. Fewer need less memory."""
    models_dir: Path | None = None
    """Where named models lie; None takes AVSKRIFT_MODELS_DIR, else /opt/avskrift/models."""

    def validate(self) -> None:
        """Raise ``BadOptions`` for what no machine could run."""
        _require_one_of("device", self.device, DEVICES)
        _require_one_of("compute_type", self.compute_type, COMPUTE_TYPES)
        if not self.model:
            raise BadOptions("model is empty: name one of `avskrift models list`, or a directory.")
        for name, count in (("threads", self.threads), ("batch", self.batch)):
            if count is not None and not _is_count(count):
                raise BadOptions(f"{name} must be a whole number of at least 1, not {count!r}.")


@dataclass(frozen=True)
class TranscribeOptions:
    """How one recording is transcribed."""

    language: str | None = None
    """ISO 639-1 code; None detects it on the speech."""
    task: str = "transcribe"
    """transcribe, or translate (Whisper's own: any language to English)."""
    beam_size: int = 1
    """1 is greedy."""
    words: bool = True
    """Whether segments carry their words with times."""
    prompt: str | None = None
    """Text in the style and spelling wanted; at most 223 tokens together with ``hotwords``."""
    hotwords: str | None = None
    """Names and terms to expect."""
    max_duration_s: float | None = None
    """Longer recordings are refused as ``TooLong``."""
    max_size_bytes: int | None = None
    """Bigger files are refused as ``TooLarge``."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TranscribeOptions:
        """Read options that crossed a boundary; unknown names are refused."""
        unknown = sorted(set(data) - {option.name for option in fields(cls)})
        if unknown:
            known = ", ".join(option.name for option in fields(cls))
            raise BadOptions(f"Unknown option {', '.join(unknown)}. Known are: {known}.")
        options = cls(**data)
        options.validate()
        return options

    def validate(self) -> None:
        """Raise ``BadOptions`` for what cannot be honoured by any model."""
        if self.language is not None and self.language not in LANGUAGES:
            raise BadOptions(
                f"Unknown language {self.language!r}. Give a code such as sv, en or de, or leave it out to detect it."
            )
        _require_one_of("task", self.task, get_args(Task))
        if not _is_count(self.beam_size) or self.beam_size > MAX_BEAM_SIZE:
            raise BadOptions(f"beam_size must be a whole number from 1 to {MAX_BEAM_SIZE}, not {self.beam_size!r}.")
        if not isinstance(self.words, bool):
            raise BadOptions(f"words must be true or false, not {self.words!r}.")
        for name, text in (("prompt", self.prompt), ("hotwords", self.hotwords)):
            if text is not None and (not isinstance(text, str) or not text.strip()):
                raise BadOptions(f"{name} must be text, or be left out.")
        if self.max_duration_s is not None and not self.max_duration_s > 0:
            raise BadOptions(f"max_duration_s must be above 0, not {self.max_duration_s!r}.")
        if self.max_size_bytes is not None and not _is_count(self.max_size_bytes):
            raise BadOptions(f"max_size_bytes must be a whole number of at least 1, not {self.max_size_bytes!r}.")


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
    versions: dict[str, str] = field(default_factory=dict)
    """Of the libraries that decide the output."""


def _require_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadOptions(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
