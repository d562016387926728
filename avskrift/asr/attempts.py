"""One batch of chunks to text: encoded once, decoded for all of them together, aligned where words are wanted."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avskrift.asr.audit import AttemptAudit, ChunkAudit, How
from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.language import languages_by_chunk
from avskrift.asr.options import MULTI, TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.whisper import Encoded, Generated, Generation, Whisper, estimated_words, split_words
from avskrift.errors import Cancelled


@dataclass(frozen=True)
class Task:
    """What is asked of every chunk of one recording."""

    options: TranscribeOptions
    language: str
    """Of the recording; each chunk may have its own where the options say so."""
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
    languages = languages_of(whisper, encoded, task)
    prompts = [prompt(whisper, language, task) for language in languages]
    generated = whisper.generate(encoded, prompts, Generation(task.options.beam_size))
    words = words_of(whisper, encoded, languages, generated, task)
    return [
        DecodedChunk(chunk.clock, spoken, language, _audit(chunk, one, language))
        for chunk, spoken, one, language in zip(chunks, words, generated, languages, strict=True)
    ]


def languages_of(whisper: Whisper, encoded: Encoded, task: Task) -> list[str]:
    """Each chunk's: the recording's, or what it is heard to be in."""
    if task.options.language != MULTI or not whisper.is_multilingual:
        return [task.language] * len(encoded.durations_s)
    heard = whisper.language_probabilities(encoded)
    return languages_by_chunk(heard, task.options.home_language, task.language)


def _audit(chunk: Chunk, generated: Generated, language: str) -> ChunkAudit:
    attempt = AttemptAudit(
        how=How.FIRST,
        faults=(),
        tokens=len(generated.tokens),
        tokens_per_s=len(generated.tokens) / chunk.clock.duration_s if chunk.clock.duration_samples else 0.0,
        compression=1.0,
        log_probability=generated.log_probability,
        no_speech_probability=generated.no_speech_probability,
        uncovered_s=None,
        language=language,
    )
    return ChunkAudit((attempt,))


def encode(whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> Encoded:
    """The chunks' encodings; what was encoded before is not encoded again where all of it was."""
    if len(chunks) == 1 and chunks[0] in task.encoded:
        return task.encoded[chunks[0]]
    return whisper.encode([chunk.samples for chunk in chunks])


def prompt(whisper: Whisper, language: str, task: Task, *, timestamps: bool = False) -> list[int]:
    """The tokens before the text: context, language, task."""
    tokenizer = whisper.tokenizer(language, task.options.task)
    context = [tokenizer.sot_prev, *task.context] if task.context else []
    return [*context, *tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]


def words_of(
    whisper: Whisper, encoded: Encoded, languages: Sequence[str], generated: Sequence[Generated], task: Task
) -> list[tuple[AlignedWord, ...]]:
    """The words of each window: with times from alignment, or estimated ones, which cost nothing."""
    words: list[tuple[AlignedWord, ...]] = [()] * len(generated)
    for language in dict.fromkeys(languages):
        rows = [row for row, its_own in enumerate(languages) if its_own == language]
        tokenizer = whisper.tokenizer(language, task.options.task)
        said = [generated[row] for row in rows]
        if task.options.words:
            timed = whisper.align(encoded.select(rows), tokenizer, [one.tokens for one in said])
        else:
            durations_s = [encoded.durations_s[row] for row in rows]
            timed = [_estimated(tokenizer, one, duration_s) for one, duration_s in zip(said, durations_s, strict=True)]
        for row, spoken in zip(rows, timed, strict=True):
            words[row] = spoken
    return words


def _estimated(tokenizer: Any, generated: Generated, duration_s: float) -> tuple[AlignedWord, ...]:
    return estimated_words(split_words(tokenizer, generated.tokens), duration_s, math.exp(generated.log_probability))
