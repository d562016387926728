"""One batch of chunks to text: encoded once, decoded for all of them together, aligned where words are wanted."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avskrift.asr.audit import AttemptAudit, ChunkAudit, How
from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.options import TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.whisper import Encoded, Generated, Generation, Whisper, estimated_words, split_words
from avskrift.errors import Cancelled


@dataclass(frozen=True)
class Task:
    """What is asked of every chunk of one recording."""

    options: TranscribeOptions
    language: str
    context: tuple[int, ...]
    """Tokens of the prompt and the hotwords."""
    cancel: threading.Event
    encoded: Mapping[Chunk, Encoded] = field(default_factory=dict)
    """Chunks whose language was listened for have been encoded already."""

    def raise_if_cancelled(self) -> None:
        if self.cancel.is_set():
            raise Cancelled("Transcription was cancelled.")


def decode_batch(whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> list[DecodedChunk]:
    """What is said in each chunk. Raises ``Cancelled``."""
    task.raise_if_cancelled()
    encoded = encode(whisper, chunks, task)
    tokenizer = whisper.tokenizer(task.language, task.options.task)
    generated = whisper.generate(encoded, [prompt(tokenizer, task)] * len(chunks), Generation(task.options.beam_size))
    words = words_of(whisper, encoded, tokenizer, generated, aligned=task.options.words)
    return [
        DecodedChunk(chunk.clock, spoken, task.language, _audit(chunk, one, task))
        for chunk, spoken, one in zip(chunks, words, generated, strict=True)
    ]


def _audit(chunk: Chunk, generated: Generated, task: Task) -> ChunkAudit:
    attempt = AttemptAudit(
        how=How.FIRST,
        faults=(),
        tokens=len(generated.tokens),
        tokens_per_s=len(generated.tokens) / chunk.clock.duration_s if chunk.clock.duration_samples else 0.0,
        compression=1.0,
        log_probability=generated.log_probability,
        no_speech_probability=generated.no_speech_probability,
        uncovered_s=None,
        language=task.language,
    )
    return ChunkAudit((attempt,))


def encode(whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> Encoded:
    """The chunks' encodings; what was encoded before is not encoded again where all of it was."""
    if len(chunks) == 1 and chunks[0] in task.encoded:
        return task.encoded[chunks[0]]
    return whisper.encode([chunk.samples for chunk in chunks])


def prompt(tokenizer: Any, task: Task, *, timestamps: bool = False) -> list[int]:
    """The tokens before the text: context, language, task."""
    context = [tokenizer.sot_prev, *task.context] if task.context else []
    return [*context, *tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]


def words_of(
    whisper: Whisper, encoded: Encoded, tokenizer: Any, generated: Sequence[Generated], *, aligned: bool
) -> list[tuple[AlignedWord, ...]]:
    """The words of each window: with times from alignment, or estimated ones, which cost nothing."""
    if aligned:
        return whisper.align(encoded, tokenizer, [one.tokens for one in generated])
    return [
        estimated_words(split_words(tokenizer, one.tokens), duration_s, math.exp(one.log_probability))
        for one, duration_s in zip(generated, encoded.durations_s, strict=True)
    ]
