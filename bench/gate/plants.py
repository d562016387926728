"""Failures made on purpose: sound that no text belongs to, speech that is spoiled, and text that is spoiled.

Everything is made from fixed seeds: the same at every run. Samples are float32, mono, 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from avskrift.asr.whisper import split_words
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from bench.asr.sounds import SOUNDS

SNR_DB = -5.0
LONG_S, SHORT_S = 30.0, 8.0
_LOOP_WORDS = 6
_LOOP_TIMES = 8


def without_speech() -> Iterator[tuple[str, Samples]]:
    """Noise, music and silence as if VAD had let them through: three long and three short pieces of each."""
    for name, make in SOUNDS.items():
        whole = np.asarray(make(3 * LONG_S), np.float32)
        for start_s in (0.0, LONG_S, 2 * LONG_S):
            start = round(start_s * SAMPLE_RATE_HZ)
            for length_s in (LONG_S, SHORT_S):
                yield name, whole[start : start + round(length_s * SAMPLE_RATE_HZ)]


def backwards(speech: Samples) -> Samples:
    return np.ascontiguousarray(speech[::-1])


def double_speed(speech: Samples) -> Samples:
    """Twice as fast and an octave higher; neighbours are averaged, so that little is mirrored into the band."""
    pairs = speech[: len(speech) // 2 * 2].reshape(-1, 2)
    return np.ascontiguousarray(pairs.mean(axis=1), np.float32)


def under_noise(speech: Samples) -> Samples:
    """Under white noise of 5 dB more power than the speech has, both over the whole."""
    noise = np.random.default_rng(4).standard_normal(len(speech))
    power = float(np.mean(speech**2)) / 10 ** (SNR_DB / 10)
    mixed = speech + noise * np.sqrt(power)
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)


SPOILED_SPEECH: dict[str, Callable[[Samples], Samples]] = {
    "reversed": backwards,
    "double speed": double_speed,
    "−5 dB SNR": under_noise,
}


def lost_middle(words: Sequence[Sequence[int]]) -> list[int]:
    """The first and the last sixth of the words: two thirds are lost."""
    keep = max(1, len(words) // 6)
    return _joined([*words[:keep], *words[-keep:]])


def lost_end(words: Sequence[Sequence[int]]) -> list[int]:
    """The first third of the words."""
    return _joined(words[: max(1, len(words) // 3)])


def looped(words: Sequence[Sequence[int]]) -> list[int]:
    """The first half of the words, then the last few of these over and over."""
    half = list(words[: max(_LOOP_WORDS, len(words) // 2)])
    return _joined([*half, *(half[-_LOOP_WORDS:] * _LOOP_TIMES)])


def stuck(words: Sequence[Sequence[int]]) -> list[int]:
    """The first half of the words, then the last one to the end."""
    half = list(words[: max(1, len(words) // 2)])
    return _joined([*half, *([half[-1]] * 60)])


SPOILED_TEXT: dict[str, Callable[[Sequence[Sequence[int]]], list[int]]] = {
    "lost middle": lost_middle,
    "lost end": lost_end,
    "loop of words": looped,
    "stuck word": stuck,
}


def words_of(tokenizer: Any, tokens: Sequence[int]) -> list[Sequence[int]]:
    """The tokens of each word."""
    words, at = [], 0
    for _, count in split_words(tokenizer, tokens):
        words.append(tokens[at : at + count])
        at += count
    return words


def _joined(words: Sequence[Sequence[int]]) -> list[int]:
    return [token for word in words for token in word]
