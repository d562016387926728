"""The model's wrapper where two workers meet."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avskrift.asr import embedded, models
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.whisper import Whisper

pytestmark = pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")

TOKENS = [1002, 1003]


class MeetingModel:
    """Stands for CTranslate2's; notes whether two calls of ``align`` are ever inside together."""

    n_mels = 80
    is_multilingual = True

    def __init__(self) -> None:
        self.meeting = threading.Barrier(2)
        self.met = False

    def encode(self, _: Any) -> Any:
        return np.zeros((1, 1500, 512), np.float32)

    def align(self, _: Any, prompt: Any, tokens: list[list[int]], *rest: Any, **more: Any) -> list[Any]:
        try:
            self.meeting.wait(timeout=0.3)
            self.met = True
        except threading.BrokenBarrierError:
            self.meeting.reset()
        return [SimpleNamespace(alignments=[(0, 0), (1, 5)], text_token_probs=[0.9] * len(row)) for row in tokens]


def test_workers_align_one_after_the_other() -> None:
    model = MeetingModel()
    replicas: Any = SimpleNamespace(current=model)
    whisper = Whisper(models.resolve("base"), DecodingPlan("cpu", "int8", 2, 1, 5), replicas)
    tokenizer = whisper.tokenizer("en", "transcribe")
    encoded = whisper.encode([np.zeros(16_000, np.float32)])
    with ThreadPoolExecutor(2) as workers:
        heard = [workers.submit(whisper.align, encoded, tokenizer, [TOKENS]) for _ in range(2)]
        assert all(words for future in heard for words in future.result())
    assert not model.met, "two batches' logits would be in memory at once"
