"""One recording from file to Transcript: reading and decoding overlap, memory stays bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from avskrift import __version__
from avskrift.asr.audit import audit_of
from avskrift.asr.checkpoints import Checkpoint, Finished, file_identity
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.decoding import DecodedBatch, Decoder
from avskrift.asr.language import DetectedLanguage
from avskrift.asr.models import ResolvedModel
from avskrift.asr.options import Progress, TranscribeOptions
from avskrift.asr.reading import Misfit, Window, windows
from avskrift.asr.words import build_segments, place_words
from avskrift.audio import SAMPLE_RATE_HZ, AudioFile, Samples
from avskrift.errors import Cancelled
from avskrift.transcript import Segment, Transcript

#: Below this, the detected language is worth a word to the reader.
UNSURE_LANGUAGE = 0.5
VAD = "silero-v6"
#: Options that decide whether a recording is taken, not what is made of it.
_LIMITS = ("max_duration_s", "max_size_bytes")

_LIBRARIES = ("faster-whisper", "ctranslate2", "av", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Job:
    """One recording to transcribe; ``checkpoint`` is where to keep what is finished, and to go on from."""

    path: Path
    options: TranscribeOptions
    on_progress: Callable[[Progress], None]
    cancel: threading.Event
    checkpoint: Path | None = None


class Transcriber:
    """A loaded model and what it takes to use it on files, one after the other."""

    def __init__(self, model: ResolvedModel, decoder: Decoder) -> None:
        self.model = model
        self.decoder = decoder

    def transcribe(self, job: Job) -> Transcript:
        """Raises the errors of :class:`AudioFile`, ``BadOptions`` and ``Cancelled``."""
        self.decoder.check(job.options)
        try:
            return self._transcribe(job, may_resume=True)
        except Misfit:
            return self._transcribe(job, may_resume=False)

    def _transcribe(self, job: Job, *, may_resume: bool) -> Transcript:
        with AudioFile(job.path, job.options.max_duration_s, job.options.max_size_bytes) as media:
            checkpoint = self._checkpoint(job)
            finished = checkpoint.load() if may_resume else None
            meter = _Meter(media, job, finished)
            meter.begin()
            upcoming = windows(meter.blocks(), self.decoder.plan.windows, finished.after if finished else None)
            first = next(upcoming, None)
            language = finished.language if finished else self._language(job.options, first)
            chunks = list(finished.chunks) if finished else []
            if language and first:
                if not finished:
                    checkpoint.begin(language)
                reading = meter.windows(chain([first], upcoming))
                batches = self.decoder.decode(reading, job.options, language.code, job.cancel)
                chunks += _keep(checkpoint, meter.decoded(batches))
            meter.finish()
            warnings = (*media.warnings, *_language_warnings(language, job.options), *checkpoint.warnings)
            return Transcript(
                language=language.code if language else job.options.language,
                language_probability=language.probability if language and not job.options.language else None,
                duration_s=media.duration_s,
                speech_s=sum(chunk.clock.duration_samples for chunk in chunks) / SAMPLE_RATE_HZ,
                model=self.model.name,
                segments=_segments(chunks, job.options),
                audit=audit_of(chunks),
                engine=self._describe(job.options, finished),
                warnings=warnings,
            )

    def _language(self, options: TranscribeOptions, first: Window | None) -> DetectedLanguage | None:
        if first is None:
            return None
        if options.language:
            return DetectedLanguage(options.language, 1.0)
        return self.decoder.detect_language(first.chunks, options.home_language)

    def _checkpoint(self, job: Job) -> Checkpoint:
        if job.checkpoint is None:
            return Checkpoint(None, {}, {})
        weights = file_identity(self.model.directory / "model.bin")
        asked, plan = job.options, self.decoder.plan
        identity = {
            "recording": file_identity(job.path),
            "model": {"name": self.model.name, "revision": self.model.revision, **weights},
            "options": {name: value for name, value in asdict(asked).items() if name not in _LIMITS},
            "vad": VAD,
            "versions": library_versions(),
        }
        made_by = {
            "device": plan.device,
            "compute_type": plan.compute_type,
            "workers": plan.workers,
            "batch": plan.batch,
        }
        return Checkpoint(job.checkpoint, identity, made_by)

    def _describe(self, options: TranscribeOptions, finished: Finished | None) -> dict[str, Any]:
        plan = self.decoder.plan
        resumed = {"resumed_at_s": round(finished.end_s, 3)} if finished else {}
        return {
            "name": "avskrift",
            "device": plan.device,
            "compute_type": plan.compute_type,
            "workers": plan.workers,
            "threads": plan.threads,
            "batch": plan.batch,
            "revision": self.model.revision,
            "times": "aligned" if options.words else "estimated",
            "task": options.task,
            "beam_size": options.beam_size,
            "vad": VAD,
            "versions": library_versions(),
            **resumed,
        }


class _Meter:
    """Says how much of the recording is finished, and ends the work when it is cancelled."""

    def __init__(self, media: AudioFile, job: Job, finished: Finished | None) -> None:
        self._media = media
        self._job = job
        self._read_to_end = False
        self._finished_to_s = self._given_to_s = finished.end_s if finished else 0.0
        done = sum(chunk.clock.duration_samples for chunk in finished.chunks) if finished else 0
        self._given_samples = self._done_samples = done

    def begin(self) -> None:
        self._job.on_progress(Progress(self._finished_to_s, self._total_s()))

    def blocks(self) -> Iterator[Samples]:
        for block in self._media.blocks():
            if self._job.cancel.is_set():
                raise Cancelled("Transcription was cancelled.")
            yield block
        self._read_to_end = True

    def windows(self, windows: Iterable[Window]) -> Iterator[Window]:
        for window in windows:
            self._given_samples += sum(chunk.clock.duration_samples for chunk in window.chunks)
            self._given_to_s = window.chunks[-1].clock.end_s
            yield window

    def decoded(self, batches: Iterable[DecodedBatch]) -> Iterator[DecodedBatch]:
        for batch in batches:
            self._done_samples += sum(chunk.clock.duration_samples for chunk in batch.chunks)
            self._finished_to_s = max(self._finished_to_s, self._share_finished_s())
            self._job.on_progress(Progress(self._finished_to_s, self._total_s()))
            yield batch

    def finish(self) -> None:
        self._job.on_progress(Progress(self._media.duration_s, self._media.duration_s))

    def _share_finished_s(self) -> float:
        """Seconds of the recording given out so far, times the share of their speech whose text is there."""
        return self._given_to_s * self._done_samples / self._given_samples

    def _total_s(self) -> float:
        if self._read_to_end:
            return self._media.duration_s
        return max(self._media.duration_s, self._media.info.duration_s or 0.0, self._finished_to_s)


def library_versions() -> dict[str, str]:
    """Of the libraries that decide the output."""
    return {"avskrift": __version__, **{name: version(name) for name in _LIBRARIES}}


def _keep(checkpoint: Checkpoint, batches: Iterable[DecodedBatch]) -> Iterator[DecodedChunk]:
    """The chunks in order of time, each window's once it is in the checkpoint."""
    window: list[DecodedChunk] = []
    for batch in batches:
        window += batch.chunks
        if batch.completes_window:
            window.sort(key=lambda chunk: chunk.clock.spans)
            checkpoint.append(window, batch.window.after)
            yield from window
            window = []


def _segments(chunks: Iterable[DecodedChunk], options: TranscribeOptions) -> tuple[Segment, ...]:
    placed = (place_words(chunk, aligned=options.words) for chunk in chunks)
    segments = build_segments(chain.from_iterable(placed))
    return tuple(segments if options.words else (replace(segment, words=()) for segment in segments))


def _language_warnings(language: DetectedLanguage | None, options: TranscribeOptions) -> tuple[str, ...]:
    if language is None or options.language or language.probability >= UNSURE_LANGUAGE:
        return ()
    return (
        f"The language was taken for {language.code!r} with a probability of only {language.probability:.2f}; "
        "name it if that is wrong.",
    )
