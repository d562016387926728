"""Audio to measure with: the corpus' ten minutes of Swedish, and pieces and multiples of it.

Pieces end where a sentence ends, so that what is said in them is known.
"""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from avskrift.audio import SAMPLE_RATE_HZ, load
from bench.speech import Recording, recording


@dataclass(frozen=True)
class Sentence:
    """One sentence of a recording."""

    start_s: float
    end_s: float
    text: str


class Recordings:
    """What is asked for, made at the first time in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.whole = recording(folder, quick=False)
        self.sentences = sentences_of(self.whole.path)
        self._samples = cache(lambda: load(self.whole.path))
        self._made: dict[str, Recording] = {}

    def piece(self, limit_s: float) -> Recording:
        """As many whole sentences as fit; cut at ``limit_s`` where sentence times are not known or none fits."""
        name = f"{limit_s:.0f}s"
        if name not in self._made:
            said = [sentence for sentence in self.sentences if sentence.end_s <= limit_s]
            end_s = said[-1].end_s if len(said) > 2 else limit_s
            spoken = " ".join(sentence.text for sentence in said) if len(said) > 2 else ""
            self._made[name] = self._write(name, self._samples()[: round(end_s * SAMPLE_RATE_HZ)], spoken)
        return self._made[name]

    def repeated(self, times: int) -> Recording:
        name = f"{times}-times"
        if name not in self._made:
            spoken = "\n".join([self.whole.spoken] * times)
            self._made[name] = self._write(name, np.tile(self._samples(), times), spoken)
        return self._made[name]

    def _write(self, name: str, samples: Any, spoken: str) -> Recording:
        path = self._folder / f"{self.whole.path.stem}-{name}.wav"
        write_wav(path, samples)
        return Recording(path, len(samples) / SAMPLE_RATE_HZ, spoken)


def sentences_of(path: Path) -> list[Sentence]:
    """From the file beside a recording of the corpus, if it has one."""
    try:
        rows = json.loads(path.with_suffix(".segments.json").read_text(encoding="utf-8"))
    except OSError:
        return []
    return [Sentence(*row) for row in rows]


def write_wav(path: Path, samples: Any) -> None:
    """Mono at 16 kHz, 16 bit, from float samples within ±1."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
