"""``python -m instance`` with a scripted engine: what it does is said by ``AVSKRIFT_TEST_ENGINE``.

``obedient``  works until it is cancelled
``deaf``      works, whatever it is told
``quick``     is done at once
``crash``     a fault nobody foresaw, outside of any job
``loading``   its model never loads
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import instance.__main__ as program
from avskrift.asr.engine import Progress, TranscribeOptions
from avskrift.errors import Cancelled
from avskrift.transcript import Transcript

MANNER = os.environ["AVSKRIFT_TEST_ENGINE"]


class ScriptedEngine:
    def transcribe(
        self,
        path: Path,
        options: TranscribeOptions,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        checkpoint: Path | None = None,
    ) -> Transcript:
        assert on_progress and cancel and checkpoint
        with checkpoint.open("a") as stream:
            stream.write('{"chunk": 1}\n')
        on_progress(Progress(1.0, 100.0))
        if MANNER == "deaf":
            threading.Event().wait()
        if MANNER == "obedient":
            cancel.wait()
            raise Cancelled("stopped")
        return Transcript("sv", 100.0, 0.0, "scripted")


class ScriptedEngines:
    def __init__(self, *_: object) -> None: ...

    def engine_for(self, model: str | None, style: str) -> ScriptedEngine:
        if MANNER == "crash":
            raise RuntimeError("injected")
        if MANNER == "loading":
            threading.Event().wait()
        return ScriptedEngine()

    def close(self) -> None: ...


if __name__ == "__main__":
    program.Engines = ScriptedEngines  # type: ignore[assignment, misc]
    program.STOP_GRACE_S = 1.0 if MANNER == "deaf" else 20.0
    program.MODEL_LOAD_LIMIT_S = 0.5
    sys.exit(program.main())
