"""The process that reads strangers' media and runs the model: commands in on stdin, events out on stdout, JSON lines.

    python -m avskrift.asr.worker PARENT_PID SETTINGS_JSON

Commands: ``{"command": "transcribe", "path", "options", "checkpoint"}``, the last a path or null, and
``{"command": "cancel"}``. Events: ``ready`` once the model is loaded; then for each file ``progress`` any number of
times and one ``transcript`` or ``error``. It ends when its input ends, and with its parent. Before anything else it
gives up the network and its privileges (:mod:`avskrift.asr.confinement`); ``ready`` says whether it could.

``{"command": "transcribe_many", "paths", "options"}`` gives events with the ``index`` of their file: ``reading`` before
it is opened, ``progress``, and one ``transcript`` or ``failed`` each, in order; then ``done``, or one ``error`` for all
that had none yet.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from avskrift.asr.confinement import NotConfined, confine
from avskrift.errors import AvskriftError, Cancelled, InternalError

_PR_SET_PDEATHSIG = 1


class Outbox:
    """The one way out: the stdout that we were given, which no library can reach any more."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = threading.Lock()

    def send(self, event: str, **values: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps({"event": event, **values}) + "\n")
            self._stream.flush()

    def send_error(self, error: AvskriftError) -> None:
        self.send("error", code=error.code, message=error.message)


class Inbox:
    """Commands as they come; ``cancel`` takes effect at once, on the file being worked on."""

    def __init__(self, stream: IO[str]) -> None:
        self.cancel = threading.Event()
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def next_command(self) -> dict[str, Any]:
        return self._commands.get()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            command = json.loads(line)
            if command["command"] == "cancel":
                self.cancel.set()
            else:
                self.cancel.clear()  # of the file before; here, where the order of the commands is known
                self._commands.put(command)
        os._exit(0)  # the caller has left: nobody waits for what is going on in the other threads


def main() -> None:
    """Serve until stdin ends."""
    outbox = Outbox()
    _die_with_parent(int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    try:
        unconfined = _confine(settings["require_confinement"])
        inbox = Inbox(sys.stdin)
        transcriber = _load(settings)
    except AvskriftError as error:
        outbox.send_error(error)
        return
    outbox.send("ready", unconfined=unconfined, **_describe(transcriber))
    while True:
        _serve(transcriber, inbox, outbox)


def _die_with_parent(parent_pid: int) -> None:
    """Even a parent that is killed takes us along (Linux; elsewhere the end of stdin does)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def _confine(is_required: bool) -> str | None:
    """None, or why we are as free as our parent; raises ``NotConfined`` if that must not be."""
    try:
        confine()
    except NotConfined as error:
        if is_required and sys.platform == "linux":
            raise
        return error.message
    return None


def _load(settings: dict[str, Any]) -> Any:
    from avskrift.asr.models import ResolvedModel
    from avskrift.asr.options import EngineConfig
    from avskrift.asr.plan import plan_for
    from avskrift.asr.replicas import Replicas
    from avskrift.asr.weights import read_size

    model = ResolvedModel(settings["name"], Path(settings["directory"]), settings["revision"], settings["style"])
    config = EngineConfig(
        model=model.name,
        device=settings["device"],
        compute_type=settings["compute_type"],
        threads=settings["threads"],
        batch=settings["batch"],
        memory_mb=settings["memory_mb"],
    )
    replicas = Replicas(model, plan_for(config, read_size(model.directory)))
    # The model loads while everything else is imported.
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # strangers' speech is nobody's business
    from avskrift.asr.decoding import Decoder
    from avskrift.asr.transcriber import Transcriber

    return Transcriber(model, Decoder(model, config, replicas))


def _describe(transcriber: Any) -> dict[str, Any]:
    from avskrift.asr.transcriber import library_versions

    plan = transcriber.decoder.plan
    return {"device": plan.device, "compute_type": plan.compute_type, "versions": library_versions()}


def _serve(transcriber: Any, inbox: Inbox, outbox: Outbox) -> None:
    from avskrift.asr.options import Progress, TranscribeOptions
    from avskrift.asr.transcriber import Job

    command = inbox.next_command()
    if command["command"] == "transcribe_many":
        _serve_many(transcriber, command, inbox, outbox)
        return

    def report(progress: Progress) -> None:
        outbox.send("progress", done_s=progress.done_s, total_s=progress.total_s)

    try:
        options = TranscribeOptions.from_dict(command["options"])
        checkpoint = Path(command["checkpoint"]) if command["checkpoint"] else None
        transcript = transcriber.transcribe(Job(Path(command["path"]), options, report, inbox.cancel, checkpoint))
    except Cancelled as cancelled:
        partial = cancelled.partial.to_dict() if cancelled.partial else None
        outbox.send("error", code=cancelled.code, message=cancelled.message, partial=partial)
    except AvskriftError as error:
        outbox.send_error(error)
    except MemoryError:
        outbox.send_error(InternalError("The machine ran out of memory on this file."))
    else:
        outbox.send("transcript", transcript=transcript.to_dict())


def _serve_many(transcriber: Any, command: dict[str, Any], inbox: Inbox, outbox: Outbox) -> None:
    from avskrift.asr.options import Progress, TranscribeOptions
    from avskrift.asr.short_files import transcribe_many
    from avskrift.asr.transcriber import Job

    def reporter(index: int) -> Callable[[Progress], None]:
        return lambda progress: outbox.send("progress", index=index, done_s=progress.done_s, total_s=progress.total_s)

    try:
        options = TranscribeOptions.from_dict(command["options"])
        jobs = [Job(Path(path), options, reporter(i), inbox.cancel) for i, path in enumerate(command["paths"])]
        for index, result in transcribe_many(transcriber, jobs, lambda index: outbox.send("reading", index=index)):
            if isinstance(result, AvskriftError):
                outbox.send("failed", index=index, code=result.code, message=result.message)
            else:
                outbox.send("transcript", index=index, transcript=result.to_dict())
    except AvskriftError as error:
        outbox.send_error(error)
    except MemoryError:
        outbox.send_error(InternalError("The machine ran out of memory on these files."))
    else:
        outbox.send("done")


if __name__ == "__main__":
    main()
