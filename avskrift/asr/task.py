"""What is asked of every chunk of one recording, and the tokens that say so to the model."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from avskrift.asr.gate import BASE, Thresholds
from avskrift.asr.language import languages_by_chunk
from avskrift.asr.options import MULTI, TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.whisper import Encoded, Whisper
from avskrift.errors import Cancelled


class Stop:
    """Set once the caller cancels, or by whoever gives up what is asked: the caller's event serves other files too."""

    def __init__(self, cancel: threading.Event) -> None:
        self._cancel = cancel
        self._given_up = threading.Event()

    def set(self) -> None:
        """Give up; the caller's event stays as it is."""
        self._given_up.set()

    def is_set(self) -> bool:
        return self._given_up.is_set() or self._cancel.is_set()


@dataclass(frozen=True)
class Task:
    """What is asked of every chunk of one recording."""

    options: TranscribeOptions
    language: str
    """Of the recording; each chunk may have its own where the options say so."""
    context: tuple[int, ...]
    """Tokens of the prompt and the hotwords."""
    cancel: threading.Event | Stop
    encoded: Mapping[Chunk, Encoded] = field(default_factory=dict)
    """Chunks whose language was listened for have been encoded already."""
    limits: Thresholds = BASE
    """Of the quality gate."""
    languages: Mapping[Chunk, str] = field(default_factory=dict)
    """Of each chunk, where they are of several recordings."""

    def raise_if_cancelled(self) -> None:
        if self.cancel.is_set():
            raise Cancelled("Transcription was cancelled.")


def encode(whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> Encoded:
    """The chunks' encodings; what was encoded before is not encoded again, where it can be had one by one."""
    known = [task.encoded.get(chunk) for chunk in chunks]
    if len(known) == 1 and known[0]:
        return known[0]
    samples = [chunk.samples for chunk in chunks]
    return whisper.encode(samples, known) if any(known) else whisper.encode(samples)


def languages_of(whisper: Whisper, chunks: Sequence[Chunk], encoded: Encoded, task: Task) -> list[str]:
    """Each chunk's: its recording's, or what it is heard to be in."""
    if task.options.language != MULTI or not whisper.is_multilingual:
        return [task.languages.get(chunk, task.language) for chunk in chunks]
    heard = whisper.language_probabilities(encoded)
    return languages_by_chunk(heard, task.options.home_language, task.language)


def prompt(whisper: Whisper, language: str, task: Task, *, timestamps: bool = False) -> list[int]:
    """The tokens before the text: context, language, task."""
    tokenizer = whisper.tokenizer(language, task.options.task)
    context = [tokenizer.sot_prev, *task.context] if task.context else []
    return [*context, *tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]
