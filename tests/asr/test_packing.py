"""One clock: what is packed comes back to where it was said."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.packing import CHUNK_S, Chunk, pack
from avskrift.asr.vad import MAX_SPAN_S, SpeechSpan
from avskrift.audio import SAMPLE_RATE_HZ


@st.composite
def spans(draw: st.DrawFn) -> list[SpeechSpan]:
    """Speech as VAD gives it: in order, apart or touching, each up to 30 s (here a thousandth of the samples)."""
    found, at = [], 0
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.integers(0, 200_000))
        length = draw(st.integers(1, round(MAX_SPAN_S * SAMPLE_RATE_HZ)))
        found.append(SpeechSpan(at, np.broadcast_to(np.float32(0), length)))
        at += length
    return found


@given(spans())
def test_all_speech_is_packed_once_and_in_order(found: list[SpeechSpan]) -> None:
    chunks = list(pack(found))
    assert [span for chunk in chunks for span in chunk.spans] == found
    assert all(chunk.clock.duration_s <= CHUNK_S for chunk in chunks)


@given(spans(), st.data())
def test_what_is_mapped_back_lies_within_one_span(found: list[SpeechSpan], data: st.DataObject) -> None:
    chunk = Chunk(tuple(found))
    start_s = data.draw(st.floats(0, chunk.clock.duration_s + 1))
    end_s = data.draw(st.floats(start_s, chunk.clock.duration_s + 2))
    start, end = chunk.clock.to_recording(start_s, end_s)
    assert start <= end
    assert any(
        span.start / SAMPLE_RATE_HZ - 1e-6 <= start and end <= span.end / SAMPLE_RATE_HZ + 1e-6 for span in found
    )


@given(spans(), st.data())
def test_the_clock_never_runs_backwards(found: list[SpeechSpan], data: st.DataObject) -> None:
    chunk = Chunk(tuple(found))
    times = sorted(data.draw(st.lists(st.floats(0, chunk.clock.duration_s), min_size=2, max_size=10)))
    mapped = [chunk.clock.to_recording(time_s, time_s)[0] for time_s in times]
    assert all(earlier <= later for earlier, later in pairwise(mapped))


def test_a_chunk_keeps_the_distance_between_words_of_a_span() -> None:
    silence = np.zeros(SAMPLE_RATE_HZ, np.float32)
    chunk = Chunk((SpeechSpan(2 * SAMPLE_RATE_HZ, silence), SpeechSpan(10 * SAMPLE_RATE_HZ, silence)))
    assert chunk.clock.to_recording(0.25, 0.75) == pytest.approx((2.25, 2.75))
    assert chunk.clock.to_recording(1.25, 1.75) == pytest.approx((10.25, 10.75))
    assert chunk.clock.to_recording(0.9, 1.5) == pytest.approx((10.0, 10.5)), (
        "a word over the seam belongs where most of it is"
    )
