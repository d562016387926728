"""A chunk in two: nothing lost, nothing twice, the cut where nobody speaks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.halving import can_be_halved, halves
from avskrift.asr.packing import Chunk
from avskrift.asr.vad import SpeechSpan
from avskrift.audio import SAMPLE_RATE_HZ, Samples


def chunk(*lengths_s: float, samples: Samples | None = None) -> Chunk:
    total = sum(round(length_s * SAMPLE_RATE_HZ) for length_s in lengths_s)
    sound = np.random.default_rng(1).standard_normal(total).astype(np.float32) if samples is None else samples
    spans, at = [], 0
    for length_s in lengths_s:
        end = at + round(length_s * SAMPLE_RATE_HZ)
        spans.append(SpeechSpan(2 * at, sound[at:end]))
        at = end
    return Chunk(tuple(spans))


@given(st.lists(st.floats(0.3, 15), min_size=1, max_size=6))
def test_halves_are_the_chunk_and_neither_is_long(lengths_s: list[float]) -> None:
    whole = chunk(*lengths_s)
    if not can_be_halved(whole):
        return
    first, second = halves(whole)
    assert np.array_equal(np.concatenate([first.samples, second.samples]), whole.samples)
    assert first.offset_s == 0
    assert second.offset_s == len(first.samples) / SAMPLE_RATE_HZ
    assert max(first.duration_s, second.duration_s) <= 0.61 * whole.clock.duration_s


def test_the_cut_lies_between_two_spans_where_one_ends_near_the_middle() -> None:
    first, second = halves(chunk(4.0, 9.5, 12.0, 2.0))
    assert (first.duration_s, second.duration_s) == (13.5, 14.0)


def test_one_long_span_is_cut_in_its_quietest_place_near_the_middle() -> None:
    sound = np.random.default_rng(2).standard_normal(20 * SAMPLE_RATE_HZ).astype(np.float32)
    sound[round(9.1 * SAMPLE_RATE_HZ) : round(9.3 * SAMPLE_RATE_HZ)] *= 0.01
    first, _ = halves(chunk(20.0, samples=sound))
    assert 9.1 <= first.duration_s <= 9.3


def test_pure_silence_can_be_cut_too() -> None:
    first, second = halves(chunk(10.0, samples=np.zeros(10 * SAMPLE_RATE_HZ, np.float32)))
    assert first.duration_s + second.duration_s == 10.0
    assert min(first.duration_s, second.duration_s) >= 4.0


def test_a_few_seconds_stay_in_one_piece() -> None:
    assert not can_be_halved(chunk(1.5, 2.0))
    assert can_be_halved(chunk(4.0))
