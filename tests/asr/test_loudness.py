"""Loud stretches that speech detection dropped are found wherever they are, and nothing else is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avskrift.asr.loudness import BELOW_SPEECH_DB, LOUD_DB, MIN_LOUD_S, Loudness
from avskrift.asr.vad import Bounds
from avskrift.audio import SAMPLE_RATE_HZ, Samples

SPEECH_DB = -20.0


def sound(*parts: tuple[float, float]) -> Samples:
    """Noise, of so many seconds at such a level each."""
    random = np.random.default_rng(8)
    pieces = [random.normal(size=round(seconds * SAMPLE_RATE_HZ)) * 10 ** (level / 20) for seconds, level in parts]
    return np.concatenate(pieces).astype(np.float32)


def heard(audio: Samples, block: int = 160_000) -> Loudness:
    loudness = Loudness()
    for start in range(0, len(audio), block):
        loudness.hear(audio[start : start + block])
    return loudness


def samples(*spans: tuple[float, float]) -> list[Bounds]:
    return [(round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)) for start_s, end_s in spans]


def in_seconds(spans: list[Bounds]) -> list[tuple[float, float]]:
    return [(start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ) for start, end in spans]


def test_music_between_speech_is_listed() -> None:
    audio = sound((10, SPEECH_DB), (5, -70), (8, SPEECH_DB - 5), (5, -70), (10, SPEECH_DB))
    found = heard(audio).loud_outside(samples((0, 10), (28, 38)))
    assert in_seconds(found) == [(15, 23)]


def test_speech_that_was_found_is_not_listed() -> None:
    audio = sound((2, -70), (10, SPEECH_DB), (2, -70))
    assert heard(audio).loud_outside(samples((2, 12))) == []
    assert in_seconds(heard(audio).loud_outside(samples((2, 6)))) == [(6, 12)]


@pytest.mark.parametrize(("below_db", "is_listed"), [(BELOW_SPEECH_DB - 2, True), (BELOW_SPEECH_DB + 2, False)])
def test_background_is_not_listed(below_db: float, is_listed: bool) -> None:
    audio = sound((10, SPEECH_DB), (10, SPEECH_DB - below_db))
    assert bool(heard(audio).loud_outside(samples((0, 9.6)))) == is_listed


@pytest.mark.parametrize(("seconds", "is_listed"), [(MIN_LOUD_S - 0.6, False), (MIN_LOUD_S, True)])
def test_only_what_lasts_is_listed(seconds: float, is_listed: bool) -> None:
    audio = sound((10, SPEECH_DB), (5, -70), (seconds, SPEECH_DB), (5, -70))
    assert bool(heard(audio).loud_outside(samples((0, 10)))) == is_listed


def test_a_short_pause_does_not_end_a_stretch_but_speech_does() -> None:
    audio = sound((2.5, SPEECH_DB), (0.5, -70), (2.5, SPEECH_DB), (1.5, -70), (2.5, SPEECH_DB))
    assert in_seconds(heard(audio).loud_outside([], SPEECH_DB)) == [(0, 5.5)]
    assert heard(audio).loud_outside(samples((2.5, 3)), SPEECH_DB) == []


def test_without_any_speech_a_fixed_level_is_loud() -> None:
    audio = sound((10, LOUD_DB - 3), (10, LOUD_DB + 3))
    loudness = heard(audio)
    assert loudness.speech_level([]) is None
    assert in_seconds(loudness.loud_outside([])) == [(10, 20)]


def test_the_level_of_speech_is_its_median() -> None:
    audio = sound((6, SPEECH_DB), (2, 0), (2, -60), (6, SPEECH_DB))
    assert heard(audio).speech_level(samples((0, 16))) == pytest.approx(SPEECH_DB, abs=0.5)


def test_silence_and_nothing_are_not_loud() -> None:
    assert heard(np.zeros(10 * SAMPLE_RATE_HZ, np.float32)).loud_outside([]) == []
    assert Loudness().loud_outside([]) == []
    assert Loudness().speech_level(samples((0, 1))) is None


def test_the_last_half_second_may_be_cut_short() -> None:
    audio = sound((4.3, SPEECH_DB))
    assert heard(audio).loud_outside([]) == [(0, len(audio))]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[Samples, list[Bounds]]:
    parts = st.tuples(st.sampled_from([0.1, 0.5, 1.7, 3.0, 6.25]), st.sampled_from([-70.0, -45.0, -28.0, SPEECH_DB]))
    audio = sound(*draw(st.lists(parts, min_size=1, max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(audio)), max_size=8, unique=True)))
    return audio, list(zip(cuts[::2], cuts[1::2], strict=False))


def blocks(audio: Samples, lengths: list[int]) -> Iterator[Samples]:
    start = 0
    while start < len(audio):
        for length in lengths:
            yield audio[start : start + length]
            start += length


@settings(deadline=None)
@given(recordings(), st.lists(st.sampled_from([0, 999, 7_999, 8_000, 8_001, 50_000]), min_size=1, max_size=4))
def test_any_blocks_give_the_same_and_nothing_touches_speech(
    recording: tuple[Samples, list[Bounds]], lengths: list[int]
) -> None:
    audio, spans = recording
    in_pieces = Loudness()
    for block in blocks(audio, [*lengths, 1_234]):
        in_pieces.hear(block)
    found = heard(audio, len(audio)).loud_outside(spans)
    assert in_pieces.loud_outside(spans) == found
    assert all(0 <= start < end <= len(audio) and end - start >= MIN_LOUD_S * SAMPLE_RATE_HZ for start, end in found)
    assert all(left[1] <= right[0] for left, right in pairwise(found))
    for start, end in found:
        assert all(end <= span_start or span_end <= start for span_start, span_end in spans)


def test_ten_hours_take_less_than_a_megabyte() -> None:
    block = sound((10, SPEECH_DB))
    spans = [(start * 160_000, start * 160_000 + 80_000) for start in range(3600)]
    loudness = Loudness()
    loudness.hear(block)
    tracemalloc.start()
    for _ in range(3599):
        loudness.hear(block)
    kept, _ = tracemalloc.get_traced_memory()
    stretches = loudness.loud_outside(spans)
    tracemalloc.stop()
    assert kept < 1_000_000
    assert len(stretches) == 3600
