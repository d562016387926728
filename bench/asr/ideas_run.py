"""The engine's own pieces with one idea taken out or changed, on one recording.

    python -m bench.asr.ideas_run RECORDING CHANGES_JSON

Changes: ``workers``, ``threads``, ``batch``, ``compute_type`` of the plan; ``sorted``, ``overlap``, ``one_by_one``
false to leave that out; ``silence_behind_s``: the encoder's output is cut so far behind the speech; ``words`` true to
align; ``attempts`` 1 for no retries. Prints the text. The product has no switches for these: what is changed here is
changed from outside, in this process alone.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np

from avskrift.asr import decoding, gate, models, whisper
from avskrift.asr.options import EngineConfig, TranscribeOptions
from avskrift.asr.plan import DecodingPlan, plan_for
from avskrift.asr.transcriber import Job, Transcriber
from bench.speech import COMPUTE_TYPE, LANGUAGE, MODEL

_OF_THE_PLAN = ("workers", "threads", "batch", "compute_type")


def main() -> None:
    path, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
    apply(changes)
    model = models.resolve(MODEL)
    decoder = decoding.Decoder(model, EngineConfig(model=MODEL, device="cpu", compute_type=COMPUTE_TYPE))
    options = TranscribeOptions(language=LANGUAGE, words=changes.get("words", False))
    job = Job(path, options, lambda _: None, threading.Event())
    sys.stdout.write(Transcriber(model, decoder).transcribe(job).text)


def apply(changes: dict[str, Any]) -> None:
    """Change the engine in this process; raises ``AttributeError`` where it is not built so any more."""
    of_the_plan = {name: value for name, value in changes.items() if name in _OF_THE_PLAN}
    if of_the_plan:
        _put(decoding, "plan_for", lambda *given: replace(plan_for(*given), **of_the_plan))
    if not changes.get("sorted", True):
        batches = DecodingPlan.batches
        _put(DecodingPlan, "batches", lambda self, chunks, **_: batches(self, chunks, in_order=True))
    if not changes.get("overlap", True):
        decode = decoding.Decoder.decode
        _put(decoding.Decoder, "decode", lambda self, windows, *rest: decode(self, list(windows), *rest))
    if not changes.get("one_by_one", True):
        _put(whisper, "_HOST_TYPES", ())
    if "silence_behind_s" in changes:
        _put(whisper._HostEncoded, "view", _cutting(changes["silence_behind_s"]))
    if "attempts" in changes:
        _put(gate, "MAX_ATTEMPTS", changes["attempts"])


def _cutting(silence_behind_s: float) -> Callable[[Any], Any]:
    """A view of the encodings as far as the longest speech among them reaches, and so much more."""

    def view(encoded: Any) -> Any:
        positions = math.ceil((max(encoded.durations_s) + silence_behind_s) * whisper.POSITIONS_PER_S)
        return ctranslate2.StorageView.from_array(np.stack([window[:positions] for window in encoded.windows]))

    return view


def _put(owner: Any, name: str, value: Any) -> None:
    getattr(owner, name)
    setattr(owner, name, value)


if __name__ == "__main__":
    main()
