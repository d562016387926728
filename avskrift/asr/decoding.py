"""Chunks of speech to text with aligned words, in batches, on every core or on the GPU.

Faster-whisper's batched pipeline supplies features, prompts, generation and alignment; what it gets wrong around them
(packing, times over removed silence, ignored options) is done here and in ``packing`` and ``words``.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens, merge_punctuations

from avskrift.asr.models import ResolvedModel
from avskrift.asr.options import MAX_CONTEXT_TOKENS, EngineConfig, TranscribeOptions
from avskrift.asr.packing import Chunk, ChunkClock
from avskrift.asr.reading import Window
from avskrift.errors import BadOptions, Cancelled, ModelUnavailable

#: Chunks decoded together. Above 5 or 6 on CPU, memory bandwidth for the cross-attention keys is the limit.
CPU_BATCH = 4
GPU_BATCH = 16
#: One thread each is fastest while there are cores for it; more than this many copies of the activations cost memory.
MAX_CPU_WORKERS = 4
#: Batches from which similar lengths are put together, per worker: no row waits long for the longest of its batch.
SORTED_BATCHES = 2

#: Speech is heard for its language until one reaches this probability, at most so many chunks of the first window.
LANGUAGE_CERTAIN = 0.8
LANGUAGE_CHUNKS = 4

_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
_MIN_CHUNK_SAMPLES = 400


@dataclass(frozen=True)
class DecodingPlan:
    """How the machine is used: ``workers`` batches at a time, ``threads`` each."""

    device: str
    compute_type: str
    workers: int
    threads: int
    batch: int

    @property
    def window(self) -> int:
        """Chunks that are shared out among the batches together: no batch reaches over a window's end."""
        return self.workers * self.batch * SORTED_BATCHES


@dataclass(frozen=True)
class AlignedWord:
    """A word on its chunk's clock; ``text`` keeps the space before it, if the language has one there."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class DecodedChunk:
    """What was said in a chunk; its samples are gone."""

    clock: ChunkClock
    words: tuple[AlignedWord, ...]


@dataclass(frozen=True)
class DecodedBatch:
    """Some chunks of a window; when it is the last batch of it, all chunks of all windows up to it are decoded."""

    chunks: tuple[DecodedChunk, ...]
    window: Window
    completes_window: bool


@dataclass(frozen=True)
class DetectedLanguage:
    """The likeliest language of the speech heard, and how likely."""

    code: str
    probability: float


class Decoder:
    """One loaded model. Not for several recordings at a time."""

    def __init__(self, model: ResolvedModel, config: EngineConfig) -> None:
        self.plan = plan_for(config)
        try:
            self._model = WhisperModel(
                str(model.directory),
                device=self.plan.device,
                compute_type=self.plan.compute_type,
                cpu_threads=self.plan.threads,
                num_workers=self.plan.workers,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelUnavailable(
                f"Model {model.name!r} in {model.directory} could not be loaded on {self.plan.device} as "
                f"{self.plan.compute_type}: {error}. Download it again, or choose another device or compute type."
            ) from error
        self._pipeline = BatchedInferencePipeline(self._model)

    @property
    def is_multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    def check(self, options: TranscribeOptions) -> None:
        """Raise ``BadOptions`` for what this model cannot honour."""
        if not self.is_multilingual and (options.language not in (None, "en") or options.task != "transcribe"):
            raise BadOptions("This model knows English only: leave out language and task, or choose another model.")
        if options.language not in (None, *self._model.supported_languages):
            raise BadOptions(f"This model does not know the language {options.language!r}.")
        context = self._tokenizer(options, options.language or "en").encode(
            f"{options.prompt or ''} {options.hotwords or ''}"
        )
        if len(context) > MAX_CONTEXT_TOKENS:
            raise BadOptions(
                f"prompt and hotwords are {len(context)} tokens together; the model has room for "
                f"{MAX_CONTEXT_TOKENS}. Shorten them."
            )

    def detect_language(self, chunks: Sequence[Chunk]) -> DetectedLanguage:
        """The language of the first speech, its probabilities averaged over chunks until one stands out."""
        if not self.is_multilingual:
            return DetectedLanguage("en", 1.0)
        totals: dict[str, float] = {}
        for heard, chunk in enumerate(chunks[:LANGUAGE_CHUNKS], 1):
            encoded = self._model.encode(self._features([chunk]))
            for token, probability in self._model.model.detect_language(encoded)[0]:
                code = token.strip("<|>")
                totals[code] = totals.get(code, 0.0) + probability
            best = max(totals, key=lambda code: totals[code])
            if totals[best] / heard >= LANGUAGE_CERTAIN:
                break
        return DetectedLanguage(best, totals[best] / heard)

    def decode(
        self, windows: Iterable[Window], options: TranscribeOptions, language: str, cancel: threading.Event
    ) -> Iterator[DecodedBatch]:
        """Text of every chunk, window by window, while the next window is still being read.

        Which chunks share a batch depends on their window alone. Raises ``Cancelled`` between batches; when it is
        ``windows`` that raises it, after the batches that were decoded by then.
        """
        task = self._task(options, language, cancel)
        reading, running = _Reading(windows), deque[_Submitted]()
        with ThreadPoolExecutor(self.plan.workers) as pool:
            try:
                for window in reading:
                    batches = self._batches(window.chunks)
                    running.append(_Submitted(window, [pool.submit(self._decode_batch, it, task) for it in batches]))
                    if len(running) > 1:
                        yield from running.popleft().results()
                for submitted in running:
                    yield from submitted.results()
                reading.finish()
            except BaseException:
                cancel.set()
                raise

    def _task(self, options: TranscribeOptions, language: str, cancel: threading.Event) -> _Task:
        task = _Task(self._tokenizer(options, language), _generation_options(options), cancel)
        task.generation.suppress_tokens = get_suppressed_tokens(task.tokenizer, [-1])
        return task

    def _batches(self, chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
        """Similar lengths together, and small enough that every worker has one."""
        size = min(self.plan.batch, math.ceil(len(chunks) / self.plan.workers))
        by_length = sorted(chunks, key=lambda chunk: -chunk.clock.duration_samples)
        yield from (by_length[i : i + size] for i in range(0, len(by_length), size))

    def _decode_batch(self, chunks: list[Chunk], task: _Task) -> list[DecodedChunk]:
        if task.cancel.is_set():
            raise Cancelled("Transcription was cancelled.")
        encoded, outputs = self._pipeline.generate_segment_batched(
            self._features(chunks), task.tokenizer, task.generation
        )
        texts = [[token for token in output["tokens"] if token < task.tokenizer.eot] for output in outputs]
        frames = [math.ceil(chunk.clock.duration_s) * self._model.frames_per_second for chunk in chunks]
        alignments = self._model.find_alignment(task.tokenizer, texts, encoded, frames)
        decoded = zip(chunks, alignments, strict=True)
        return [DecodedChunk(chunk.clock, _words_of(aligned)) for chunk, aligned in decoded]

    def _features(self, chunks: list[Chunk]) -> Any:
        """Log-mel frames, one 30 s window a chunk: float32 (chunks, mels, 3000)."""
        extract = self._model.feature_extractor
        return np.stack([pad_or_trim(extract(_at_least_one_frame(chunk.samples))[..., :-1]) for chunk in chunks])

    def _tokenizer(self, options: TranscribeOptions, language: str) -> Any:
        return Tokenizer(self._model.hf_tokenizer, self.is_multilingual, task=options.task, language=language)


@dataclass(frozen=True)
class _Task:
    tokenizer: Any
    generation: Any
    cancel: threading.Event


@dataclass(frozen=True)
class _Submitted:
    window: Window
    futures: list[Future[list[DecodedChunk]]]

    def results(self) -> Iterator[DecodedBatch]:
        for future in self.futures:
            yield DecodedBatch(tuple(future.result()), self.window, future is self.futures[-1])


class _Reading:
    """Windows until their reading is cancelled, which ``finish`` then reports: what is being decoded counts first."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows = windows
        self._cancelled: Cancelled | None = None

    def __iter__(self) -> Iterator[Window]:
        try:
            yield from self._windows
        except Cancelled as cancelled:
            self._cancelled = cancelled

    def finish(self) -> None:
        if self._cancelled:
            raise self._cancelled


def plan_for(config: EngineConfig) -> DecodingPlan:
    """Device, precision and parallelism; raises ``BadOptions`` for a device or precision that is not here."""
    device = config.device
    has_gpu = ctranslate2.get_cuda_device_count() > 0
    if device == "auto":
        device = "cuda" if has_gpu else "cpu"
    if device == "cuda" and not has_gpu:
        raise BadOptions("device is cuda, but this machine has no GPU that can be used. Take auto or cpu.")
    compute_type = config.compute_type
    if compute_type == "default":
        compute_type = "float16" if device == "cuda" else "int8"
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type not in supported:
        raise BadOptions(f"{device} here cannot compute in {compute_type}. It can in {', '.join(sorted(supported))}.")
    if device == "cuda":
        batch = config.batch or GPU_BATCH
        return DecodingPlan(device, compute_type, workers=1, threads=config.threads or 0, batch=batch)
    cores = config.threads or len(os.sched_getaffinity(0))
    workers = min(cores, MAX_CPU_WORKERS)
    return DecodingPlan(device, compute_type, workers, threads=cores // workers, batch=config.batch or CPU_BATCH)


def _words_of(alignment: list[dict[str, Any]]) -> tuple[AlignedWord, ...]:
    merge_punctuations(alignment, _PREPENDED, _APPENDED)
    return tuple(
        AlignedWord(word["word"], float(word["start"]), float(word["end"]), float(word["probability"]))
        for word in alignment
        if word["word"].strip()
    )


def _at_least_one_frame(samples: Any) -> Any:
    return samples if len(samples) >= _MIN_CHUNK_SAMPLES else np.pad(samples, (0, _MIN_CHUNK_SAMPLES - len(samples)))


def _generation_options(options: TranscribeOptions) -> Any:
    """The pipeline's options; those that its batched mode would ignore anyway are spelled out as what it does."""
    return TranscriptionOptions(
        beam_size=options.beam_size,
        best_of=1,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        log_prob_threshold=None,
        no_speech_threshold=None,
        compression_ratio_threshold=None,
        condition_on_previous_text=False,
        prompt_reset_on_temperature=0.5,
        temperatures=[0.0],
        initial_prompt=f" {options.prompt.strip()}" if options.prompt else None,
        prefix=None,
        suppress_blank=True,
        suppress_tokens=None,
        without_timestamps=True,
        max_initial_timestamp=0.0,
        word_timestamps=True,
        prepend_punctuations=_PREPENDED,
        append_punctuations=_APPENDED,
        multilingual=False,
        max_new_tokens=None,
        clip_timestamps=[],
        hallucination_silence_threshold=None,
        hotwords=options.hotwords,
    )
