"""This project's engine as a process that answers as ``bench.faster_whisper_run`` does.

    python -m bench.asr.engine_run MODEL SETTINGS_JSON

Settings: fields of ``EngineConfig`` (``cores``: its threads). Its first line has ``load_s``: from the start of the
worker to a loaded model; the answers also ``retried``, the share of chunks that were decoded more than once.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from avskrift.asr.engine import Engine, EngineConfig, Progress, TranscribeOptions


def main() -> None:
    settings = json.loads(sys.argv[2])
    threads = settings.pop("cores")
    with Engine(EngineConfig(model=sys.argv[1], device="cpu", threads=threads, **settings)) as engine:
        _say({"load_s": engine.start().load_s})
        for line in sys.stdin:
            _say(_transcribe(engine, json.loads(line)))


def _transcribe(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    began, first_text_s = time.perf_counter(), None

    def heard(progress: Progress) -> None:
        nonlocal first_text_s
        if progress.done_s > 0 and first_text_s is None:
            first_text_s = time.perf_counter() - began

    options = TranscribeOptions(language=request["language"], beam_size=request["beam"], words=request["words"])
    transcript = engine.transcribe(Path(request["recording"]), options, heard)
    transcribe_s = time.perf_counter() - began
    return {
        "transcribe_s": transcribe_s,
        "first_text_s": first_text_s if transcript.text else None,
        "text": transcript.text,
        "retried": share_retried(getattr(transcript, "audit", None) or {}),
    }


def share_retried(audit: dict[str, Any]) -> float | None:
    """Of the chunks; None where nothing was audited."""
    chunks = len(audit.get("chunks") or ())
    return audit["retried"] / chunks if chunks else None


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
