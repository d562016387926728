"""Speech to text for a caller that must not crash: the media and the model live in a process of their own.

    with Engine(EngineConfig(model="base")) as engine:
        transcript = engine.transcribe(Path("interview.mp3"), TranscribeOptions(language="sv"))

The worker starts at the first use and keeps its model between files. A crash costs one file: it raises
``WorkerCrashed``, and the next call starts a new worker. One that dies while it has nothing to do costs none. No numpy,
av or ctranslate2 is imported here.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType

from avskrift.asr import models
from avskrift.asr.options import EngineConfig, EngineInfo, Progress, TranscribeOptions
from avskrift.asr.process import Message, WorkerProcess
from avskrift.errors import AvskriftError, Cancelled, InternalError, WorkerCrashed, error_from_code
from avskrift.transcript import Transcript

__all__ = ["Engine", "EngineConfig", "EngineInfo", "Progress", "TranscribeOptions"]

log = logging.getLogger(__name__)

#: How long a worker may take to notice that its file was cancelled before it is killed.
CANCEL_GRACE_S = 10.0

_POLL_S = 0.1


class Engine:
    """One worker process with one loaded model. Calls from several threads take turns."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self.config.validate()
        self._worker: WorkerProcess | None = None
        self._info: EngineInfo | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def worker_pid(self) -> int | None:
        """The running worker's process id."""
        return self._worker.pid if self._worker else None

    def start(self, cancel: threading.Event | None = None) -> EngineInfo:
        """Load the model if it is not loaded.

        Raises ``ModelUnavailable``, ``BadOptions``, ``NotConfined``, ``WorkerCrashed`` and, once ``cancel`` is set,
        ``Cancelled``.
        """
        with self._turn:
            return self._start(cancel or threading.Event())

    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        checkpoint: Path | None = None,
    ) -> Transcript:
        """What is said in a file; silence gives a transcript without segments.

        In the file ``checkpoint`` the worker keeps what is finished, some minutes of speech at a time, cancelled or
        killed as it may be. A file that is there and belongs to this recording, model and options is gone on from:
        what it holds is not done again, and ``engine["resumed_at_s"]`` of the transcript says so. Any other is
        overwritten.

        Raises ``UnsupportedMedia``, ``NoAudioStream``, ``TooLong``, ``TooLarge``, ``BadOptions``,
        ``ModelUnavailable``, ``WorkerCrashed`` and, once ``cancel`` is set, ``Cancelled`` with what was finished as
        its ``partial`` transcript; while the model is being loaded, that ends the worker. ``on_progress`` is called
        from this thread.
        """
        cancel = cancel or threading.Event()
        options = options or TranscribeOptions()
        options.validate()
        options = models.fitted(options, self.config.model)
        with self._turn:
            self._start(cancel)
            worker = self._running()
            worker.send(
                {
                    "command": "transcribe",
                    "path": str(path.absolute()),
                    "options": asdict(options),
                    "checkpoint": str(checkpoint.absolute()) if checkpoint else None,
                }
            )
            try:
                return self._await_transcript(on_progress, cancel)
            except _Answered as answered:
                raise answered.error from None
            except BaseException:
                self._drop_worker()
                raise

    def transcribe_many(
        self,
        paths: Sequence[Path],
        options: TranscribeOptions | None = None,
        on_progress: Callable[[int, Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Transcript | AvskriftError]:
        """What is said in each of several files, in order, or why nobody can say: an error costs one file.

        Those under two minutes that follow one another are decoded together, which is faster than one by one; who
        shares a batch with whom, and with it the last bits of the probabilities, depends on their order alone.
        After a crash, those that were together are done again one at a time; one that was not opened yet is none of
        them. ``on_progress`` gets a file's place, too.

        Raises ``BadOptions`` at once; while iterated over, ``ModelUnavailable``, ``BadOptions`` for what this model
        cannot honour, ``WorkerCrashed`` when the worker dies twice before it opens a file, and, once ``cancel`` is set,
        ``Cancelled``. Until then other calls wait; whoever stops early ends the worker.
        """
        options = options or TranscribeOptions()
        options.validate()
        options = models.fitted(options, self.config.model)
        return self._many(list(paths), options, on_progress or (lambda *_: None), cancel or threading.Event())

    def close(self) -> None:
        """End the worker; a later call would start another."""
        worker, self._worker, self._info = self._worker, None, None
        if worker:
            worker.close()

    def _start(self, cancel: threading.Event) -> EngineInfo:
        if self._worker and self._info and not self._worker.has_ended:
            return self._info
        self._drop_worker()
        if cancel.is_set():
            raise Cancelled("Transcription was cancelled before its model was loaded.")
        began = time.monotonic()
        model = models.resolve(self.config.model, self.config.models_dir, self.config.style)
        self._worker = WorkerProcess(
            [
                json.dumps(
                    {
                        "name": model.name,
                        "directory": os.fspath(model.directory),
                        "revision": model.revision,
                        "style": model.style,
                        "device": self.config.device,
                        "compute_type": self.config.compute_type,
                        "threads": self.config.threads,
                        "batch": self.config.batch,
                        "memory_mb": self.config.memory_mb,
                        "require_confinement": self.config.require_confinement,
                    }
                )
            ]
        )
        try:
            ready = self._await_ready(cancel)
        except _Answered as answered:
            self._drop_worker()
            raise answered.error from None
        except BaseException:
            self._drop_worker()
            raise
        self._info = EngineInfo(
            model=model.name,
            device=ready["device"],
            compute_type=ready["compute_type"],
            load_s=time.monotonic() - began,
            revision=model.revision,
            style=model.style,
            versions=ready["versions"],
            unconfined=ready["unconfined"],
        )
        if self._info.unconfined:
            log.warning("The worker that reads media is as free as this process. %s", self._info.unconfined)
        return self._info

    def _many(
        self,
        paths: list[Path],
        options: TranscribeOptions,
        on_progress: Callable[[int, Progress], None],
        cancel: threading.Event,
    ) -> Iterator[Transcript | AvskriftError]:
        answered, in_vain = 0, False
        while answered < len(paths):
            first, opened = answered, answered - 1
            try:
                for message in self._ask_for_many(paths[first:], options, cancel):
                    place = first + message["index"]
                    if message["event"] == "reading":
                        opened = place
                    elif message["event"] == "progress":
                        on_progress(place, Progress(message["done_s"], message["total_s"]))
                    else:
                        answered = place + 1
                        yield _result(message)
            except (WorkerCrashed, InternalError) as crash:
                together = range(answered, opened + 1)
                if in_vain and first > opened:
                    raise
                in_vain = first > opened
                if len(together) == 1:
                    yield crash
                else:
                    for place in together:
                        yield self._alone(paths[place], options, partial(on_progress, place), cancel)
                answered += len(together)

    def _ask_for_many(
        self, paths: list[Path], options: TranscribeOptions, cancel: threading.Event
    ) -> Iterator[Message]:
        with self._turn:
            self._start(cancel)
            absolute = [str(path.absolute()) for path in paths]
            self._running().send({"command": "transcribe_many", "paths": absolute, "options": asdict(options)})
            try:
                while (message := self._next_message(cancel))["event"] != "done":
                    yield message
            except _Answered as answered:
                raise answered.error from None
            except BaseException:
                self._drop_worker()
                raise

    def _alone(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: Callable[[Progress], None],
        cancel: threading.Event,
    ) -> Transcript | AvskriftError:
        try:
            return self.transcribe(path, options, on_progress, cancel)
        except Cancelled:
            raise
        except AvskriftError as error:
            return error

    def _await_transcript(self, on_progress: Callable[[Progress], None] | None, cancel: threading.Event) -> Transcript:
        while True:
            message = self._next_message(cancel)
            if message["event"] == "transcript":
                return Transcript.from_dict(message["transcript"])
            if on_progress:
                on_progress(Progress(message["done_s"], message["total_s"]))

    def _await_ready(self, cancel: threading.Event) -> Message:
        """The worker's first word. While it loads it hears nothing: once cancelled, it is not waited for."""
        worker = self._running()
        while not cancel.is_set():
            with suppress(queue.Empty):
                return _well(worker, worker.receive(_POLL_S))
        raise Cancelled("Transcription was cancelled while the model was being loaded; the worker was killed.")

    def _next_message(self, cancel: threading.Event) -> Message:
        """The worker's next word; raises what it reports, ``WorkerCrashed`` when it is gone, ``Cancelled``."""
        worker = self._running()
        kill_at: float | None = None
        while True:
            if cancel.is_set() and kill_at is None:
                worker.send({"command": "cancel"})
                kill_at = time.monotonic() + CANCEL_GRACE_S
            if kill_at is not None and time.monotonic() > kill_at:
                raise Cancelled("Transcription was cancelled; the worker did not stop by itself and was killed.")
            try:
                message = _well(worker, worker.receive(_POLL_S))
            except queue.Empty:
                continue
            if kill_at is None or message["event"] in ("transcript", "done"):
                return message

    def _running(self) -> WorkerProcess:
        if self._worker is None:
            raise WorkerCrashed("The engine was closed while it was at work.")
        return self._worker

    def _drop_worker(self) -> None:
        worker, self._worker, self._info = self._worker, None, None
        if worker:
            worker.kill()


def _well(worker: WorkerProcess, message: Message | None) -> Message:
    """What was received from a worker that is there and has no fault to report."""
    if message is None:
        raise WorkerCrashed(
            f"The process that reads media and runs the model died ({worker.last_words()}). "
            "The next file starts a new one; if the same file does it again, it is too big or too broken."
        )
    if message["event"] == "error":
        raise _Answered(_reported(message))
    return message


def _result(message: Message) -> Transcript | AvskriftError:
    if message["event"] == "failed":
        return _reported(message)
    return Transcript.from_dict(message["transcript"])


def _reported(message: Message) -> AvskriftError:
    error = error_from_code(message["code"], message["message"])
    if isinstance(error, Cancelled) and message.get("partial"):
        error.partial = Transcript.from_dict(message["partial"])
    return error


class _Answered(Exception):
    """The worker reported an error and is well itself."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
