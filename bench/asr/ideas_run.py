"""The engine's own pieces with one idea taken out or changed, on one recording.

    python -m bench.asr.ideas_run RECORDING CHANGES_JSON

Changes: ``workers``, ``threads``, ``batch``, ``compute_type`` of the plan; ``sorted``, ``overlap``, ``one_by_one``
false to leave that out; ``silence_behind_s`` (30: the encoder's output is not cut); ``words`` true to align. Prints the
text.
The product has no switches for these: what is changed here is changed from outside, in this process alone.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from avskrift.asr import decoding, models, whisper
from avskrift.asr.options import EngineConfig, TranscribeOptions
from avskrift.asr.plan import DecodingPlan, plan_for
from avskrift.asr.transcriber import Job, Transcriber
from bench.speech import COMPUTE_TYPE, LANGUAGE, MODEL

_OF_THE_PLAN = ("workers", "threads", "batch", "compute_type")


def main() -> None:
    path, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
    _change_plan({name: value for name, value in changes.items() if name in _OF_THE_PLAN})
    _change_order(changes)
    whisper._SILENCE_BEHIND_S = changes.get("silence_behind_s", whisper._SILENCE_BEHIND_S)
    model = models.resolve(MODEL)
    config = EngineConfig(model=MODEL, device="cpu", compute_type=COMPUTE_TYPE)
    decoder = decoding.Decoder(model, config)
    decoder.whisper._encodes_one_by_one = changes.get("one_by_one", True)
    options = TranscribeOptions(language=LANGUAGE, words=changes.get("words", False))
    job = Job(path, options, lambda _: None, threading.Event())
    sys.stdout.write(Transcriber(model, decoder).transcribe(job).text)


def _change_plan(changes: dict[str, Any]) -> None:
    vars(decoding)["plan_for"] = lambda *given: replace(plan_for(*given), **changes)


def _change_order(changes: dict[str, Any]) -> None:
    """Chunks in the order in which they were said; everything read before anything is decoded."""
    batches, decode = DecodingPlan.batches, decoding.Decoder.decode
    if not changes.get("sorted", True):
        DecodingPlan.batches = lambda self, chunks, **_: batches(self, chunks, in_order=True)  # type: ignore[method-assign]
    if not changes.get("overlap", True):
        decoding.Decoder.decode = lambda self, windows, *rest: decode(self, list(windows), *rest)  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
