"""Faster-whisper's own modes as a process: what ``avskrift.asr`` is held against.

    python -m bench.faster_whisper_run MODEL_DIRECTORY SETTINGS_JSON

Settings: ``compute_type``, ``cores``, ``batch`` (0: its sequential mode), ``fallback`` (that mode as
installed: higher temperatures where a chunk fails, the text before as context). Says ``{}`` once the model is loaded.
Then one JSON object a line: ``recording``, ``language``, ``beam``, ``words`` in; ``transcribe_s``, ``first_text_s``
(both from the line's arrival), ``text`` out. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel


def main() -> None:
    directory, settings = sys.argv[1], json.loads(sys.argv[2])
    model = WhisperModel(directory, device="cpu", compute_type=settings["compute_type"], cpu_threads=settings["cores"])
    _say({})
    for line in sys.stdin:
        _say(_transcribe(model, settings, json.loads(line)))


def _transcribe(model: Any, settings: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    began, first_text_s, texts = time.perf_counter(), None, []
    options: dict[str, Any] = {
        "language": request["language"],
        "beam_size": request["beam"],
        "word_timestamps": request["words"],
    }
    if settings["batch"]:
        pipeline = BatchedInferencePipeline(model)
        segments, _ = pipeline.transcribe(request["recording"], batch_size=settings["batch"], **options)
    else:
        options |= {} if settings["fallback"] else {"temperature": 0.0, "condition_on_previous_text": False}
        segments, _ = model.transcribe(request["recording"], **options)
    for segment in segments:  # the generator does the work
        first_text_s = first_text_s or time.perf_counter() - began
        texts.append(segment.text.strip())
    transcribe_s = time.perf_counter() - began
    return {"transcribe_s": transcribe_s, "first_text_s": first_text_s, "text": " ".join(texts)}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
