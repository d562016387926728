"""Windows of chunks to text, in batches, on every core or on the GPU, while the recording is still being read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from avskrift.asr.attempts import decode_batch
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.gate import BASE, Thresholds, thresholds_for
from avskrift.asr.language import CLEAR, DetectedLanguage, choose_language
from avskrift.asr.models import ResolvedModel
from avskrift.asr.options import MULTI, EngineConfig, TranscribeOptions, context_text, require_context_fits
from avskrift.asr.packing import Chunk
from avskrift.asr.plan import SHORT_S, DecodingPlan, WindowSizes, plan_for
from avskrift.asr.reading import ResumePoint, Window
from avskrift.asr.replicas import Replicas
from avskrift.asr.task import Stop, Task
from avskrift.asr.weights import read_size
from avskrift.asr.whisper import Encoded, Whisper
from avskrift.errors import BadOptions, Cancelled

#: Chunks that are heard for the language until one is clear; each costs an encoding, which decoding then uses.
LANGUAGE_CHUNKS = 4


@dataclass(frozen=True)
class DecodedBatch:
    """Some chunks of a window; when it is the last batch of it, all chunks of all windows up to it are decoded."""

    chunks: tuple[DecodedChunk, ...]
    after: ResumePoint
    """Where to resume once the window is complete. Not the window itself: its sound is no longer needed."""
    completes_window: bool


class Decoder:
    """One loaded model. Not for several recordings at a time."""

    limits: Thresholds = BASE
    """Of the quality gate, for this model."""

    def __init__(self, model: ResolvedModel, config: EngineConfig, replicas: Replicas | None = None) -> None:
        """With ``replicas`` that are being loaded already."""
        self.plan = replicas.plan if replicas else plan_for(config, read_size(model.directory))
        self.whisper = Whisper(model, self.plan, replicas)
        self.limits = thresholds_for(model.name)
        self.arranged = self.plan
        self._encoded: dict[Chunk, Encoded] = {}

    def check(self, options: TranscribeOptions) -> None:
        """Raise ``BadOptions`` for what this model cannot honour."""
        if not self.whisper.is_multilingual and (options.language not in (None, "en") or options.task != "transcribe"):
            raise BadOptions("This model knows English only: leave out language and task, or choose another model.")
        if options.language not in (None, MULTI) and options.language not in self.whisper.languages:
            raise BadOptions(f"This model does not know the language {options.language!r}.")
        require_context_fits(len(self._context(options)))

    def expect(self, duration_s: float | None) -> WindowSizes:
        """A recording comes whose header says that it lasts so long: the windows to read it in."""
        self.arranged = self.plan
        if duration_s is None or duration_s > SHORT_S:
            self._expect(self.plan)
        return self.plan.windows_of(duration_s)

    def arrange(self, first: Window) -> None:
        """Use the cores as suits the recording that begins with this window: a function of it, of nothing before."""
        self.arranged = self.plan.for_all_of(first.chunks) if first.is_whole else self.plan
        self._use(self.arranged)

    def listen_alone(self) -> None:
        """The next speech is heard for its language by one batch on every core, whatever was done before."""
        self._use(self.plan.alone)

    def detect_language(self, chunks: Sequence[Chunk], home: str | None) -> DetectedLanguage:
        """The language of the first speech: one chunk after the other is heard until one stands out."""
        if not self.whisper.is_multilingual:
            return DetectedLanguage("en", 1.0)
        heard: list[dict[str, float]] = []
        for chunk in chunks[:LANGUAGE_CHUNKS]:
            self._encoded[chunk] = self.whisper.encode([chunk.samples])
            heard += self.whisper.language_probabilities(self._encoded[chunk])
            language = choose_language(heard, home)
            if language.probability >= CLEAR:
                break
        return language

    def decode(
        self, windows: Iterable[Window], options: TranscribeOptions, language: str, cancel: threading.Event
    ) -> Iterator[DecodedBatch]:
        """Text of every chunk, window by window, while the next window is still being read.

        Which chunks share a batch depends on their window alone. Raises ``Cancelled`` between batches; when it is
        ``windows`` that raises it, after the batches that were decoded by then. Whatever ends it ends its batches;
        ``cancel``, which other recordings may share, is the caller's alone to set.
        """
        stop = Stop(cancel)
        task = self._task(options, language, stop)
        reading, running = _Reading(windows), deque[_Submitted]()
        with ThreadPoolExecutor(self.arranged.workers) as pool:
            try:
                for window in reading:
                    batches = self.arranged.batches(window.chunks, in_order=options.language == MULTI)
                    of_window = self._task_of(window, task)
                    futures = [pool.submit(self._decode_batch, batch, of_window) for batch in batches]
                    running.append(_Submitted(window.after, futures))
                    del window, batches, of_window  # with their sound
                    if len(running) > 1:
                        yield from running.popleft().results()
                for submitted in running:
                    yield from submitted.results()
                reading.finish()
            except BaseException:
                stop.set()
                raise

    def _task(self, options: TranscribeOptions, language: str, stop: Stop) -> Task:
        known, self._encoded = self._encoded, {}
        return Task(options, language, self._context(options), stop, known, self.limits)

    def _task_of(self, window: Window, task: Task) -> Task:
        """Its chunks are of several recordings where they have languages of their own."""
        if not window.languages:
            return task
        known, self._encoded = self._encoded, {}
        languages = dict(zip(window.chunks, window.languages, strict=True))
        return replace(task, encoded=known or task.encoded, languages=languages)

    def _decode_batch(self, chunks: Sequence[Chunk], task: Task) -> list[DecodedChunk]:
        return decode_batch(self.whisper, chunks, task)

    def _expect(self, plan: DecodingPlan) -> None:
        self.whisper.replicas.expect(plan)

    def _use(self, plan: DecodingPlan) -> None:
        self.whisper.replicas.use(plan)

    def _context(self, options: TranscribeOptions) -> tuple[int, ...]:
        return tuple(self.whisper.tokenizer("en", "transcribe").encode(context_text(options)))


@dataclass(frozen=True)
class _Submitted:
    after: ResumePoint
    futures: list[Future[list[DecodedChunk]]]

    def results(self) -> Iterator[DecodedBatch]:
        for future in self.futures:
            yield DecodedBatch(tuple(future.result()), self.after, future is self.futures[-1])


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
