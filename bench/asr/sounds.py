"""Sounds in which nobody speaks: silence, noise, music. Made, always the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from avskrift.audio import SAMPLE_RATE_HZ

_SEED = 7
_CHORDS_HZ = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6), (196.0, 246.9, 329.6))
_BEAT_S = 0.5


def silence(duration_s: float) -> Any:
    """The first half digital, the second with the hiss of a quiet microphone (−70 dB)."""
    samples = _noise(duration_s) * 10 ** (-70 / 20)
    samples[: len(samples) // 2] = 0
    return samples


def noise(duration_s: float) -> Any:
    """White, then brown, then white that swells and fades as wind does, at −20 dB."""
    white = _noise(duration_s)
    third = len(white) // 3
    brown = np.cumsum(white[third : 2 * third])
    brown -= np.convolve(brown, np.ones(801) / 801, "same")
    white[third : 2 * third] = brown / max(1e-9, float(np.std(brown)))
    gusts = 0.5 + 0.5 * np.sin(2 * np.pi * 0.2 * np.arange(len(white) - 2 * third) / SAMPLE_RATE_HZ)
    white[2 * third :] *= gusts
    return _limited(white, 0.1)


def music(duration_s: float) -> Any:
    """Chords with overtones, a melody above them, a drum on each beat."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    beat = (time_s / _BEAT_S).astype(int)
    since_s = time_s - beat * _BEAT_S
    chords = np.array(_CHORDS_HZ)[(beat // 4) % len(_CHORDS_HZ)]
    steps = np.random.default_rng(_SEED).choice([1.0, 1.125, 1.25, 1.5, 2.0], int(beat[-1]) + 1)
    sound = sum(_tone(chords[:, voice], time_s) for voice in range(3)) * np.exp(-since_s)
    sound += 1.5 * _tone(2 * chords[:, 0] * steps[beat], time_s) * np.exp(-4 * since_s)
    sound += 2 * _noise(duration_s)[: len(time_s)] * np.exp(-40 * since_s)
    return _limited(sound, 0.2)


SOUNDS: dict[str, Callable[[float], Any]] = {"silence": silence, "noise": noise, "music": music}


def _tone(frequency_hz: Any, time_s: Any) -> Any:
    return sum(np.sin(2 * np.pi * frequency_hz * overtone * time_s) / overtone for overtone in (1, 2, 3, 4))


def _noise(duration_s: float) -> Any:
    return np.random.default_rng(_SEED).standard_normal(round(duration_s * SAMPLE_RATE_HZ))


def _limited(samples: Any, loudness: float) -> Any:
    """Scaled to a root mean square of ``loudness`` of full scale."""
    return np.clip(samples * loudness / max(1e-9, float(np.sqrt(np.mean(samples**2)))), -1, 1)
