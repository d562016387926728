"""A recording read on from any point gives the windows that reading it through gives, and is heard only once."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avskrift.asr import vad
from avskrift.asr.checkpoint_lines import FinishedWindow, parse, window_from, window_line
from avskrift.asr.reading import Misfit, ResumePoint, Window, WindowSizes, windows
from avskrift.asr.vad import WINDOW_SAMPLES
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from tests.asr.decoded_samples import decoded

MIB = 1 << 20


class ScriptedNetwork:
    """Says of each window what the test wants. Where it is in its script, only its recurrent state tells."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = np.array(probabilities, np.float32)
        self.heard: list[tuple[int, int]] = []
        self.session = self

    def run(self, _: None, inputs: dict[str, Any]) -> tuple[Samples, Samples, Samples]:
        first = int(inputs["h"][0, 0, 0])
        assert first == inputs["c"][0, 0, 0]
        count = len(inputs["input"])
        self.heard += [(first + n, zlib.crc32(window.tobytes())) for n, window in enumerate(inputs["input"])]
        return self.probabilities[first : first + count, None], inputs["h"] + np.float32(count), inputs["c"] + count


@st.composite
def scripts(draw: st.DrawFn) -> list[float]:
    """Runs of speech, doubt and silence; up to some minutes."""
    runs = st.tuples(st.sampled_from([0.0, 0.36, 0.5, 0.9, 0.9]), st.sampled_from([1, 4, 6, 20, 60, 300, 700]))
    return [
        probability for probability, length in draw(st.lists(runs, min_size=20, max_size=50)) for _ in range(length)
    ]


def in_blocks(audio: Samples, lengths: list[int]) -> Iterator[Samples]:
    start = 0
    for number in range(len(audio)):
        if start >= len(audio):
            return
        end = start + lengths[number % len(lengths)]
        yield audio[start:end]
        start = end


def of(size: int) -> WindowSizes:
    return WindowSizes(size, size)


def line_of(window: Window) -> dict[str, Any]:
    """A window as it is written when its text is there."""
    return window_line(FinishedWindow(tuple(decoded(chunk) for chunk in window.chunks), window.after))


def written_and_read(window: Window) -> ResumePoint:
    line = json.dumps(line_of(window)).encode() + b"\n"
    return window_from(parse(line), lambda _: window.chunks[0].clock.spans[0][0]).after


def described(found: Iterable[Window]) -> list[tuple[list[bytes], dict[str, Any]]]:
    return [([chunk.samples.tobytes() for chunk in window.chunks], line_of(window)) for window in found]


#: A short turn, and one too long for a chunk: both chunks are known when the last silence is heard.
TWO_CHUNKS_IN_A_BLOCK = [*[0.0] * 15, 0.5, *[0.0] * 20, *[0.5] * 1_000, *[0.0] * 60]


@settings(deadline=None, max_examples=30)
@given(
    scripts(),
    st.integers(0, WINDOW_SAMPLES - 1),
    st.lists(st.sampled_from([300, 40_000, 160_000, 170_321]), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(0, 100),
)
@example(TWO_CHUNKS_IN_A_BLOCK, 0, [160_000], 1, 0)
def test_reading_on_from_any_window_gives_the_windows_after_it(
    script: list[float], odd_samples: int, lengths: list[int], size: int, cut: int
) -> None:
    audio = (np.arange(len(script) * WINDOW_SAMPLES + odd_samples) % 65_521).astype(np.float32)
    network = ScriptedNetwork([*script, 0.0])
    with patch.object(vad, "get_vad_model", lambda: network):
        whole = list(windows(in_blocks(audio, lengths), of(size)))
        if not whole:
            return
        cut %= len(whole)
        heard, network.heard = network.heard, []
        point = written_and_read(whole[cut])
        rest = list(windows(in_blocks(audio, lengths), of(size), point))
    assert described(rest) == described(whole[cut + 1 :])
    already_heard = point.speech.turns.position // WINDOW_SAMPLES if point.speech else len(heard)
    assert network.heard == heard[already_heard:], "the network goes on where it was, context and all"


@settings(deadline=None, max_examples=20)
@given(scripts(), st.integers(1, 3), st.integers(1, 3))
def test_other_windows_after_resuming_hold_the_same_chunks(script: list[float], size: int, other_size: int) -> None:
    audio = np.zeros(len(script) * WINDOW_SAMPLES, np.float32)
    with patch.object(vad, "get_vad_model", lambda: ScriptedNetwork([*script, 0.0])):
        whole = list(windows(in_blocks(audio, [160_000]), of(size)))
        for cut, window in enumerate(whole):
            rest = list(windows(in_blocks(audio, [160_000]), of(other_size), written_and_read(window)))
            assert [len(found.chunks) for found in rest[:-1]] == [other_size] * (len(rest) - 1)
            assert clocks(rest) == clocks(whole[cut + 1 :])


def clocks(found: list[Window]) -> list[Any]:
    return [chunk.clock for window in found for chunk in window.chunks]


#: A second of speech in each ten.
SPARSE = [*[0.9] * 31, *[0.0] * 281]


def sparse_recording(minutes: int) -> Iterator[Samples]:
    return (np.zeros(10 * SAMPLE_RATE_HZ, np.float32) for _ in range(6 * minutes))


def test_reading_keeps_the_speech_of_a_window_and_not_the_silence_around_it() -> None:
    with patch.object(vad, "get_vad_model", lambda: ScriptedNetwork(SPARSE * 800)):
        tracemalloc.start()
        try:
            window = next(windows(sparse_recording(120), of(8)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    speech_bytes = sum(chunk.samples.nbytes for chunk in window.chunks)
    assert 10 * MIB < speech_bytes < peak < speech_bytes + 12 * MIB


def test_resuming_keeps_only_what_is_still_needed_of_the_recording() -> None:
    """More than an hour lies before the point: 220 MiB of sound."""
    with patch.object(vad, "get_vad_model", lambda: ScriptedNetwork(SPARSE * 1_500)):
        point = next(islice(windows(sparse_recording(240), of(20)), 1, None)).after
        assert point.speech
        assert point.speech.heard > 60 * 60 * SAMPLE_RATE_HZ
        tracemalloc.start()
        try:
            next(windows(sparse_recording(240), of(1), point))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 12 * MIB


def test_a_recording_that_does_not_reach_the_point_is_told() -> None:
    script = [*[0.9] * 700, *[0.0] * 30] * 6
    audio = np.zeros(len(script) * WINDOW_SAMPLES, np.float32)
    with patch.object(vad, "get_vad_model", lambda: ScriptedNetwork([*script, 0.0])):
        first = next(windows(in_blocks(audio, [160_000]), of(2)))
        assert first.after.speech
        heard = first.after.speech.heard
        for blocks in (in_blocks(audio[: heard - 1], [160_000]), in_blocks(audio, [160_001]), iter(())):
            with pytest.raises(Misfit):
                next(windows(blocks, of(2), first.after))
