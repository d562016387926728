"""How loud a recording is from half second to half second, and where it is loud although nobody was heard speaking.

What speech detection drops never reaches the model, and no check of the text can find it. So the audit lists stretches
that are about as loud as the speech itself: music mostly, but perhaps a voice that was missed. Levels are dB below
full scale (of a square wave), of the mean power.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avskrift.asr.vad import Bounds
from avskrift.audio import SAMPLE_RATE_HZ, Samples

CELL_SAMPLES = SAMPLE_RATE_HZ // 2
#: Shorter ones are coughs, doors, chords between sentences.
MIN_LOUD_S = 3.0
#: Quieter than the speech by more than this is background.
BELOW_SPEECH_DB = 10.0
#: What counts as loud where no speech was found to compare with: a voice in the room, not the room.
LOUD_DB = -40.0
#: Digital silence.
SILENT_DB = -120.0
#: A pause of so many cells does not end a loud stretch.
_BRIDGED_CELLS = 1


class Loudness:
    """Hears a recording block by block and keeps one number for each half second: 300 kB for ten hours."""

    def __init__(self) -> None:
        self._levels_db = array("f")
        self._samples = 0
        self._open_power = 0.0

    def hear(self, block: Samples) -> None:
        """The next samples of the recording, any number of them."""
        power = np.square(block, dtype=np.float64)
        edge = -self._samples % CELL_SAMPLES  # what completes the open cell
        if self._samples % CELL_SAMPLES and len(block) >= edge:
            self._levels_db.append(_decibels(self._open_power + power[:edge].sum(), CELL_SAMPLES))
            self._open_power, power = 0.0, power[edge:]
        self._samples += len(block)
        if len(power) >= CELL_SAMPLES:
            whole = len(power) - len(power) % CELL_SAMPLES
            cells = power[:whole].reshape(-1, CELL_SAMPLES).sum(axis=1)
            self._levels_db.extend(_decibels(cell, CELL_SAMPLES) for cell in cells)
            power = power[whole:]
        self._open_power += float(power.sum())

    def speech_level(self, spans: Sequence[Bounds]) -> float | None:
        """The median level within the spans of speech, in dB; None where there are none."""
        levels, inside = self._levels(), self._touched(spans)
        return float(np.median(levels[inside])) if inside.any() else None

    def loud_outside(self, spans: Sequence[Bounds], speech_level: float | None = None) -> list[Bounds]:
        """Stretches of ``MIN_LOUD_S`` or more that no span touches and that are about as loud as the speech, in order.

        ``speech_level`` is in dB; None takes that of the spans, or where there are none, ``LOUD_DB`` is loud.
        """
        level = self.speech_level(spans) if speech_level is None else speech_level
        touched = self._touched(spans)
        threshold = LOUD_DB if level is None else level - BELOW_SPEECH_DB
        loud = np.flatnonzero((self._levels() >= threshold) & ~touched)
        if not len(loud):
            return []
        spans_before = np.cumsum(touched)[loud]
        ends_here = (np.diff(loud) > 1 + _BRIDGED_CELLS) | (np.diff(spans_before) > 0)
        stretches = np.split(loud, np.flatnonzero(ends_here) + 1)
        bounds = [(int(cells[0]) * CELL_SAMPLES, self._end_of(int(cells[-1]))) for cells in stretches]
        return [(start, end) for start, end in bounds if end - start >= MIN_LOUD_S * SAMPLE_RATE_HZ]

    def _end_of(self, cell: int) -> int:
        return min((cell + 1) * CELL_SAMPLES, self._samples)

    def _levels(self) -> NDArray[np.float32]:
        """Of all cells, the open one too."""
        levels = np.array(self._levels_db, np.float32)
        rest = self._samples % CELL_SAMPLES
        return np.append(levels, np.float32(_decibels(self._open_power, rest))) if rest else levels

    def _touched(self, spans: Sequence[Bounds]) -> NDArray[np.bool_]:
        """Which cells hold a sample of a span."""
        touched = np.zeros(-(-self._samples // CELL_SAMPLES), np.bool_)
        for start, end in spans:
            if start < end:
                touched[start // CELL_SAMPLES : -(-end // CELL_SAMPLES)] = True
        return touched


def _decibels(power: float, samples: int) -> float:
    """Of the power that so many samples have together."""
    return max(SILENT_DB, 10 * float(np.log10(power / samples))) if power > 0 else SILENT_DB
