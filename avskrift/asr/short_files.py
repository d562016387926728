"""Many recordings one after the other, those under two minutes together in common batches.

A clip of a few seconds fills no batch and no second core. So files that follow one another and are short are read
until there are chunks for every worker, and their chunks share batches, each row in its own file's language. Who
shares one with whom is decided by the files' order alone. Longer files go one by one, as do all where each has
channels or languages of its own to tell apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import cast

from avskrift.asr.decoded import DecodedChunk
from avskrift.asr.language import DetectedLanguage
from avskrift.asr.loudness import Loudness
from avskrift.asr.options import MULTI, Progress, TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.plan import FEW_CHUNKS, SHORT_S, WindowSizes
from avskrift.asr.reading import ResumePoint, Window, windows
from avskrift.asr.transcriber import Job, Run, Transcriber, heard
from avskrift.asr.vad import Vad
from avskrift.audio import AudioFile, Samples
from avskrift.errors import AvskriftError, Cancelled
from avskrift.transcript import Transcript

Result = Transcript | AvskriftError

_ALL_AT_ONCE = WindowSizes(first=1 << 30, later=1 << 30)


def transcribe_many(
    transcriber: Transcriber, jobs: Sequence[Job], on_reading: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, Result]]:
    """Each job's place and what came of it, in order; their options and cancel are one.

    ``on_reading`` is told the place of each file before it is opened. Raises ``Cancelled``, and ``BadOptions`` before
    any is.
    """
    for job in jobs[:1]:
        transcriber.decoder.check(job.options)
    place = 0
    while place < len(jobs):
        together = _Together(transcriber, jobs, place, on_reading)
        yield from together.results()
        place = together.end
        if place < len(jobs):
            on_reading(place)
            yield place, _alone(transcriber, jobs[place])
            place += 1


def _alone(transcriber: Transcriber, job: Job) -> Result:
    try:
        return transcriber.transcribe(job)
    except Cancelled:
        raise
    except AvskriftError as error:
        return error


class _TooLong(Exception):
    """The file is longer than its header says."""


@dataclass
class _File:
    """A short file that has been read: its chunks until they are decoded, and what became of them."""

    job: Job
    media: AudioFile
    loudness: Loudness
    chunks: tuple[Chunk, ...] = ()
    language: DetectedLanguage | None = None
    decoded: list[DecodedChunk] = field(default_factory=list)
    error: AvskriftError | None = None


class _Together:
    """A run of short files from ``place`` on; ``end`` is the place of the first that is not one of them."""

    def __init__(
        self, transcriber: Transcriber, jobs: Sequence[Job], place: int, on_reading: Callable[[int], None]
    ) -> None:
        self._transcriber = transcriber
        self._decoder = transcriber.decoder
        self._jobs = jobs
        self._on_reading = on_reading
        self._groups: deque[list[_File]] = deque()
        """Files of each window that is on its way, and last those that have none."""
        self._place = self.end = place

    def results(self) -> Iterator[tuple[int, Result]]:
        """Each file's place and what came of it, in order."""
        for group in self._decoded_groups():
            for file in group:
                yield self._place, self._result(file)
                self._place += 1

    def _decoded_groups(self) -> Iterator[list[_File]]:
        if not _can_share(self._jobs[self.end].options):
            return
        self._decoder.expect(None if len(self._jobs) - self.end >= FEW_CHUNKS else SHORT_S)
        self._decoder.listen_alone()
        upcoming = self._windows()
        first = next(upcoming, None)
        if first:
            self._decoder.arrange(first)
            job = self._jobs[self._place]
            places: dict[int, _File] = {}
            for batch in self._decoder.decode(chain([first], upcoming), job.options, "", job.cancel):
                places.update((id(chunk.clock), file) for file in self._groups[0] for chunk in file.chunks)
                for chunk in batch.chunks:
                    places[id(chunk.clock)].decoded.append(chunk)
                if batch.completes_window:
                    places.clear()
                    yield self._groups.popleft()
        yield from self._groups

    def _windows(self) -> Iterator[Window]:
        """Windows of whole files, with chunks enough for every worker."""
        waiting: list[_File] = []
        given = 0
        while self.end < len(self._jobs) and (file := self._read(self._jobs[self.end])):
            self.end += 1
            waiting.append(file)
            if sum(len(file.chunks) for file in waiting) >= self._decoder.plan.windows.later:
                yield self._window(waiting, is_whole=False)
                waiting, given = [], given + 1
        if any(file.chunks for file in waiting):
            yield self._window(waiting, is_whole=not given)
        elif waiting:
            self._groups.append(waiting)

    def _window(self, files: list[_File], *, is_whole: bool) -> Window:
        self._groups.append(files)
        spoken = [(chunk, file.language.code) for file in files if file.language for chunk in file.chunks]
        return Window(
            tuple(chunk for chunk, _ in spoken),
            ResumePoint(speech=None),
            is_whole,
            languages=tuple(code for _, code in spoken),
        )

    def _read(self, job: Job) -> _File | None:
        """The file's chunks and their language; None where it is no short one."""
        self._on_reading(self.end)
        options = job.options
        media = AudioFile(job.path, options.max_duration_s, options.max_size_bytes, clip=options.clip)
        file = _File(job, media, Loudness())
        try:
            with media:
                if (media.expected_duration_s or SHORT_S + 1) > SHORT_S:
                    return None
                job.on_progress(Progress(0.0, media.expected_duration_s or 0.0))
                upcoming = windows(_blocks(file), _ALL_AT_ONCE, None, cast(Vad, options.vad))
                file.chunks = tuple(chunk for window in upcoming for chunk in window.chunks)
        except _TooLong:
            return None
        except Cancelled:
            raise
        except AvskriftError as error:
            file.error = error
        else:
            self._find_language(file)
        return file

    def _find_language(self, file: _File) -> None:
        if not file.chunks:
            return
        asked = file.job.options.language
        file.language = (
            DetectedLanguage(asked, 1.0)
            if asked
            else self._decoder.detect_language(file.chunks, file.job.options.home_language)
        )

    def _result(self, file: _File) -> Result:
        if file.error:
            return file.error
        run = Run.over(self._decoder, file.job, file.language)
        file.decoded.sort(key=lambda chunk: chunk.clock.spans)
        run.heard.append(heard(None, file.decoded, file.media, file.loudness))
        file.job.on_progress(Progress(file.media.duration_s, file.media.duration_s))
        return self._transcriber.put_together(run, None)


def _can_share(options: TranscribeOptions) -> bool:
    return options.channels == "mix" and options.language != MULTI


def _blocks(file: _File) -> Iterator[Samples]:
    for block in file.media.blocks():
        if file.job.cancel.is_set():
            raise Cancelled("Transcription was cancelled.")
        if file.media.duration_s > SHORT_S:
            raise _TooLong
        file.loudness.hear(block)
        yield block
