"""One recording from file to Transcript: reading and decoding overlap, memory stays bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

from avskrift import __version__
from avskrift.asr.audit import audit_of
from avskrift.asr.checkpoints import Checkpoint, Finished, MadeBy, recording_identity, weights_identity
from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.decoding import DecodedBatch, Decoder
from avskrift.asr.isa import instruction_set
from avskrift.asr.language import CLEAR, DetectedLanguage
from avskrift.asr.loudness import Loudness
from avskrift.asr.meter import Meter
from avskrift.asr.models import ResolvedModel
from avskrift.asr.options import MULTI, Progress, TranscribeOptions
from avskrift.asr.packing import CHUNK_S
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.reading import Misfit, Window, windows
from avskrift.asr.vad import Bounds, Vad
from avskrift.asr.words import build_segments, place_words
from avskrift.audio import SAMPLE_RATE_HZ, AudioFile, Samples, probe
from avskrift.errors import BadOptions, Cancelled
from avskrift.transcript import Segment, Speaker, Transcript

#: Below this, the detected language is worth a word to the reader.
UNSURE_LANGUAGE = 0.5
#: Where the language is detected in every chunk: one that holds two is heard in that which it begins with. With our
#: Swedish and English samples in turn, chunks of 30 s missed all of the English, those of 10 s none.
MULTI_CHUNK_S = 10.0
#: A two-sided call has two; nobody has asked for a choir.
MAX_SPLIT_CHANNELS = 8
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


@dataclass(frozen=True)
class Heard:
    """What one pass over a recording found, on the recording's clock. ``channel`` is None where all were mixed."""

    channel: int | None
    chunks: tuple[DecodedChunk, ...]
    loud_without_speech: tuple[Bounds, ...]
    end_s: float
    """Where the sound ended that could be read; of a pass that was cut short, its text."""
    warnings: tuple[str, ...]


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
        checkpoint = self._checkpoint(job)
        finished = checkpoint.load() if may_resume else None
        channels = _channels(job)
        run = Run(self.decoder, job, checkpoint, finished, Meter(job.on_progress, len(channels)))
        try:
            for channel in channels:
                run.listen(channel)
        except Cancelled as cancelled:
            partial = self.put_together(run, finished)
            cancelled.partial = replace(partial, warnings=(*partial.warnings, _cut_short(run.heard, channels)))
            raise
        return self.put_together(run, finished)

    def put_together(self, run: Run, finished: Finished | None) -> Transcript:
        """Of what has been heard so far: whole sentences or not, it is in order and has its times."""
        heard, language, options = run.heard, run.language, run.job.options
        chunks = sorted(chain.from_iterable(one.chunks for one in heard), key=lambda chunk: chunk.clock.spans)
        loud = sorted(chain.from_iterable(one.loud_without_speech for one in heard))
        warnings = chain(
            *(one.warnings for one in heard), _language_warnings(language, options), run.checkpoint.warnings
        )
        return Transcript(
            language=language.code if language else run.asked_language,
            language_probability=language.probability if language and not run.asked_language else None,
            duration_s=max((one.end_s for one in heard), default=0.0),
            speech_s=sum(chunk.clock.duration_samples for chunk in chunks) / SAMPLE_RATE_HZ,
            model=self.model.name,
            segments=_segments(heard, language, options),
            speakers=_speakers(heard),
            engine=self._describe(options, finished),
            warnings=tuple(dict.fromkeys(warnings)),
            audit=audit_of(chunks, loud, self.decoder.limits.to_dict()),
        )

    def _checkpoint(self, job: Job) -> Checkpoint:
        if job.checkpoint is None or _is_too_large(job):
            return Checkpoint.nowhere()
        weights = weights_identity(self.model.directory / "model.bin")
        identity = {
            "recording": recording_identity(job.path),
            "model": {"name": self.model.name, "revision": self.model.revision, **weights},
            "options": {name: value for name, value in asdict(job.options).items() if name not in _LIMITS},
            "compute_type": self.decoder.plan.compute_type,
            "vad": VAD,
            "versions": library_versions(),
        }
        return Checkpoint(job.checkpoint, identity, _made_by(self.decoder.plan))

    def _describe(self, options: TranscribeOptions, finished: Finished | None) -> dict[str, Any]:
        plan = self.decoder.arranged
        made_by = _made_by(plan)
        return {
            "name": "avskrift",
            **asdict(made_by),
            "compute_type": plan.compute_type,
            "workers": plan.workers,
            "threads": plan.threads,
            "batch": plan.batch,
            "revision": self.model.revision,
            "style": self.model.style,
            "times": "aligned" if options.words else "estimated",
            "task": options.task,
            "beam_size": options.beam_size,
            "vad": VAD if options.vad == "default" else f"{VAD}, {options.vad}" if options.vad != "off" else "off",
            "versions": library_versions(),
            **({"clip": list(options.clip)} if options.clip else {}),
            **(_resumed(finished, made_by) if finished else {}),
        }


class Run:
    """The passes over one recording; they share its language, its checkpoint and its progress."""

    def __init__(
        self, decoder: Decoder, job: Job, checkpoint: Checkpoint, finished: Finished | None, meter: Meter
    ) -> None:
        self.job = job
        self.checkpoint = checkpoint
        self.heard: list[Heard] = []
        """Passes in order; the last one may be cut short."""
        self._decoder = decoder
        self._finished = finished
        self._meter = meter
        self.asked_language = None if job.options.language == MULTI else job.options.language
        self.language = finished.language if finished else None
        """Known since the first speech."""

    @classmethod
    def over(cls, decoder: Decoder, job: Job, language: DetectedLanguage | None) -> Run:
        """Passes that were made elsewhere, for ``heard``."""
        run = cls(decoder, job, Checkpoint.nowhere(), None, Meter(job.on_progress))
        run.language = language
        return run

    def listen(self, channel: int | None) -> None:
        """A pass over the whole recording, or over what of it is not finished."""
        options, loudness = self.job.options, Loudness()
        finished = self._finished.passes.get(channel) if self._finished else None
        with AudioFile(
            self.job.path, options.max_duration_s, options.max_size_bytes, channel=channel, clip=options.clip
        ) as media:
            self._meter.begin(media, finished.end_s if finished else 0.0)
            upcoming = windows(
                self._blocks(media, loudness),
                self._decoder.expect(media.expected_duration_s),
                finished.after if finished else None,
                cast(Vad, options.vad),
                MULTI_CHUNK_S if options.language == MULTI else CHUNK_S,
            )
            chunks = list(finished.chunks) if finished else []
            is_whole = False
            try:
                for chunk in self._decode(channel, upcoming):
                    chunks.append(chunk)
                self._meter.finish()
                is_whole = True
            finally:
                self.heard.append(heard(channel, chunks, media, loudness, is_whole=is_whole))

    def _blocks(self, media: AudioFile, loudness: Loudness) -> Iterator[Samples]:
        for block in media.blocks():
            if self.job.cancel.is_set():
                raise Cancelled("Transcription was cancelled.")
            loudness.hear(block)
            yield block
        self._meter.read_all()

    def _decode(self, channel: int | None, upcoming: Iterator[Window]) -> Iterator[DecodedChunk]:
        first = list(islice(upcoming, 1))
        if not first:
            return
        self._decoder.arrange(first[0])
        if self.language is None:
            self.language = self._find_language(first, upcoming)
            self.checkpoint.begin(self.language)
        reading = self._meter.given(chain(first, upcoming))
        del first  # or its sound would be kept for as long as the recording is read
        batches = self._decoder.decode(reading, self.job.options, self.language.code, self.job.cancel)
        yield from self._keep(channel, self._meter.decoded(batches))

    def _find_language(self, first: list[Window], upcoming: Iterator[Window]) -> DetectedLanguage:
        """Listens to the first window of speech; to the second too, which ``first`` then has, if it is not clear."""
        if self.asked_language:
            return DetectedLanguage(self.asked_language, 1.0)
        home = self.job.options.home_language
        language = self._decoder.detect_language(first[0].chunks, home)
        if language.probability >= CLEAR:
            return language
        first += islice(upcoming, 1)
        return self._decoder.detect_language([chunk for window in first for chunk in window.chunks], home)

    def _keep(self, channel: int | None, batches: Iterable[DecodedBatch]) -> Iterator[DecodedChunk]:
        """The chunks in order of time, each window's once it is in the checkpoint."""
        window: list[DecodedChunk] = []
        for batch in batches:
            window += batch.chunks
            if batch.completes_window:
                window.sort(key=lambda chunk: chunk.clock.spans)
                self.checkpoint.append(window, batch.after, channel)
                yield from window
                window = []


def _is_too_large(job: Job) -> bool:
    """It will be refused as soon as it is opened: so no gigabytes are read before that to tell it from others."""
    limit = job.options.max_size_bytes
    return limit is not None and job.path.stat().st_size > limit


def _made_by(plan: DecodingPlan) -> MadeBy:
    return MadeBy(plan.device, instruction_set() if plan.device == "cpu" else None)


def _resumed(finished: Finished, here: MadeBy) -> dict[str, Any]:
    """From where, and which other devices or CPUs made what was there."""
    elsewhere = [asdict(other) for other in finished.made_by if other != here]
    return {"resumed_at_s": round(finished.end_s, 3), **({"resumed_from": elsewhere} if elsewhere else {})}


def library_versions() -> dict[str, str]:
    """Of the libraries that decide the output."""
    return {"avskrift": __version__, **{name: version(name) for name in _LIBRARIES}}


def _cut_short(heard: Sequence[Heard], channels: Sequence[int | None]) -> str:
    """Of several channels the last one begun was cut short, and those after it were not begun."""
    last = heard[-1]
    if last.channel is None:
        return f"It was cancelled: the text ends at {last.end_s:.1f} s."
    later = ", and later channels have none" if last.channel != channels[-1] else ""
    return f"It was cancelled: the text of channel {last.channel + 1} ends at {last.end_s:.1f} s{later}."


def heard(
    channel: int | None, chunks: Sequence[DecodedChunk], media: AudioFile, loudness: Loudness, *, is_whole: bool = True
) -> Heard:
    """A pass's chunks, moved from the clip's clock onto the recording's.

    Where it was cut short, sound was read ahead of the last chunk, but nobody knows yet what of it is speech.
    """
    shift = media.clip_start_samples
    shifted = tuple(replace(chunk, clock=chunk.clock.later(shift)) for chunk in chunks)
    loud = loudness.loud_outside([span for chunk in chunks for span in chunk.clock.spans])
    end_s = media.duration_s
    if not is_whole:
        end_s = chunks[-1].clock.end_s if chunks else 0.0
        loud = [bounds for bounds in loud if bounds[1] <= end_s * SAMPLE_RATE_HZ]
    loud = [(start + shift, end + shift) for start, end in loud]
    return Heard(channel, shifted, tuple(loud), shift / SAMPLE_RATE_HZ + end_s, tuple(media.warnings))


def _channels(job: Job) -> list[int | None]:
    """One pass over all channels together, or one for each."""
    if job.options.channels == "mix":
        return [None]
    count = probe(job.path).channels
    if not 2 <= count <= MAX_SPLIT_CHANNELS:
        raise BadOptions(
            f"channels is split, which works for 2 to {MAX_SPLIT_CHANNELS} channels, but the recording has {count}: "
            "take mix."
        )
    return list(range(count))


def _segments(
    heard: Iterable[Heard], language: DetectedLanguage | None, options: TranscribeOptions
) -> tuple[Segment, ...]:
    segments = chain.from_iterable(_segments_of_pass(one, language, options) for one in heard)
    return tuple(sorted(segments, key=lambda segment: (segment.start_s, segment.end_s)))


def _segments_of_pass(heard: Heard, language: DetectedLanguage | None, options: TranscribeOptions) -> Iterator[Segment]:
    """Sentences of one pass; those in another language than the recording's say so."""
    placed = (place_words(chunk, aligned=options.words) for chunk in heard.chunks)
    for segment in build_segments(chain.from_iterable(placed)):
        own = segment.language if language and segment.language != language.code else None
        speaker = None if heard.channel is None else _speaker(heard.channel).id
        words = segment.words if options.words else ()
        yield replace(segment, words=words, speaker=speaker, language=own)


def _speakers(heard: Iterable[Heard]) -> tuple[Speaker, ...]:
    """One for each channel on which somebody speaks."""
    return tuple(_speaker(one.channel) for one in heard if one.channel is not None and one.chunks)


def _speaker(channel: int) -> Speaker:
    return Speaker(f"channel-{channel + 1}", f"Channel {channel + 1}")


def _language_warnings(language: DetectedLanguage | None, options: TranscribeOptions) -> tuple[str, ...]:
    if language is None or options.language or language.probability >= UNSURE_LANGUAGE:
        return ()
    return (
        f"The language was taken for {language.code!r} with a probability of only {language.probability:.2f}; "
        "name it if that is wrong.",
    )
