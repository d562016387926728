"""One recording from file to Transcript: reading and decoding overlap, memory stays bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

from avskrift import __version__
from avskrift.asr.decoding import LANGUAGE_CHUNKS, DecodedChunk, Decoder, DetectedLanguage
from avskrift.asr.models import ResolvedModel
from avskrift.asr.options import Progress, TranscribeOptions
from avskrift.asr.packing import Chunk, pack
from avskrift.asr.vad import SpeechSpan, speech_spans
from avskrift.asr.words import build_segments, place_words
from avskrift.audio import SAMPLE_RATE_HZ, AudioFile, Samples
from avskrift.errors import Cancelled
from avskrift.transcript import Segment, Transcript

#: Below this, the detected language is worth a word to the reader.
UNSURE_LANGUAGE = 0.5

_LIBRARIES = ("faster-whisper", "ctranslate2", "av", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Job:
    """One recording to transcribe."""

    path: Path
    options: TranscribeOptions
    on_progress: Callable[[Progress], None]
    cancel: threading.Event


class Transcriber:
    """A loaded model and what it takes to use it on files, one after the other."""

    def __init__(self, model: ResolvedModel, decoder: Decoder) -> None:
        self.model = model
        self.decoder = decoder

    def transcribe(self, job: Job) -> Transcript:
        """Raises the errors of :class:`AudioFile`, ``BadOptions`` and ``Cancelled``."""
        self.decoder.check(job.options)
        with AudioFile(job.path, job.options.max_duration_s, job.options.max_size_bytes) as media:
            meter = _Meter(media, job)
            meter.begin()
            chunks = pack(meter.speech(speech_spans(meter.blocks())))
            heard = list(islice(chunks, LANGUAGE_CHUNKS))
            language = self._language(job.options, heard)
            segments = self._segments(chain(heard, chunks), job, language, meter) if language else ()
            meter.finish()
            warnings = (*media.warnings, *_language_warnings(language, job.options))
            return Transcript(
                language=language.code if language else job.options.language,
                language_probability=language.probability if language and not job.options.language else None,
                duration_s=media.duration_s,
                speech_s=meter.speech_samples / SAMPLE_RATE_HZ,
                model=self.model.name,
                segments=segments,
                engine=self._describe(job.options),
                warnings=warnings,
            )

    def _language(self, options: TranscribeOptions, heard: list[Chunk]) -> DetectedLanguage | None:
        if not heard:
            return None
        return DetectedLanguage(options.language, 1.0) if options.language else self.decoder.detect_language(heard)

    def _segments(
        self, chunks: Iterable[Chunk], job: Job, language: DetectedLanguage, meter: _Meter
    ) -> tuple[Segment, ...]:
        decoded = list(meter.decoded(self.decoder.decode(chunks, job.options, language.code, job.cancel)))
        decoded.sort(key=lambda done: done.chunk.spans[0].start)
        segments = build_segments(chain.from_iterable(place_words(done) for done in decoded))
        return tuple(segments if job.options.words else (replace(segment, words=()) for segment in segments))

    def _describe(self, options: TranscribeOptions) -> dict[str, Any]:
        plan = self.decoder.plan
        return {
            "name": "avskrift",
            "device": plan.device,
            "compute_type": plan.compute_type,
            "revision": self.model.revision,
            "task": options.task,
            "beam_size": options.beam_size,
            "vad": "silero-v6",
            "versions": library_versions(),
        }


class _Meter:
    """Counts what passes: audio read, speech found, audio finished; and ends the work when it is cancelled."""

    def __init__(self, media: AudioFile, job: Job) -> None:
        self._media = media
        self._job = job
        self._read_to_end = False
        self._done_speech_samples = 0
        self.speech_samples = 0

    def begin(self) -> None:
        self._job.on_progress(Progress(0.0, self._total_s()))

    def blocks(self) -> Iterator[Samples]:
        for block in self._media.blocks():
            if self._job.cancel.is_set():
                raise Cancelled("Transcription was cancelled.")
            yield block
        self._read_to_end = True

    def speech(self, spans: Iterable[SpeechSpan]) -> Iterator[SpeechSpan]:
        for span in spans:
            self.speech_samples += len(span.samples)
            yield span

    def decoded(self, chunks: Iterable[DecodedChunk]) -> Iterator[DecodedChunk]:
        for done in chunks:
            self._done_speech_samples += len(done.chunk.samples)
            self._job.on_progress(Progress(self._finished_s(), self._total_s()))
            yield done

    def finish(self) -> None:
        self._job.on_progress(Progress(self._media.duration_s, self._media.duration_s))

    def _finished_s(self) -> float:
        """Seconds of the recording read so far, times the share of its speech whose text is there."""
        return self._media.duration_s * self._done_speech_samples / self.speech_samples

    def _total_s(self) -> float:
        if self._read_to_end:
            return self._media.duration_s
        return max(self._media.duration_s, self._media.info.duration_s or 0.0)


def library_versions() -> dict[str, str]:
    """Of the libraries that decide the output."""
    return {"avskrift": __version__, **{name: version(name) for name in _LIBRARIES}}


def _language_warnings(language: DetectedLanguage | None, options: TranscribeOptions) -> tuple[str, ...]:
    if language is None or options.language or language.probability >= UNSURE_LANGUAGE:
        return ()
    return (
        f"The language was taken for {language.code!r} with a probability of only {language.probability:.2f}; "
        "name it if that is wrong.",
    )
