"""Speech found in a stream is the speech that faster-whisper finds in the whole file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import faster_whisper.vad
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avskrift.asr import vad
from avskrift.asr.vad import DEFAULT, MAX_SPAN_S, SpeechSpan, speech_spans
from avskrift.audio import SAMPLE_RATE_HZ, Samples, load

WINDOW = 512
REFERENCE = faster_whisper.vad.VadOptions(
    max_speech_duration_s=MAX_SPAN_S, min_silence_duration_ms=DEFAULT.min_silence_ms
)


class ScriptedNetwork:
    """Says of each window what the test wants; stands in for Silero's network in both."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = np.array(probabilities, np.float32)
        self.heard = 0
        self.session = self

    def __call__(self, audio: Samples) -> Samples:
        return self.probabilities[: len(audio) // WINDOW]

    def run(self, _: None, inputs: dict[str, Any]) -> tuple[Samples, Samples, Samples]:
        first, self.heard = self.heard, self.heard + len(inputs["input"])
        return self.probabilities[first : self.heard, None], inputs["h"], inputs["c"]


@st.composite
def probabilities(draw: st.DrawFn) -> list[float]:
    """Runs of speech, doubt and silence of any length: pauses just too short to cut at, turns far above 30 s."""
    runs = st.tuples(st.sampled_from([0.0, 0.34, 0.36, 0.49, 0.5, 0.9]), st.sampled_from([1, 2, 4, 5, 6, 20, 60, 1200]))
    return [probability for probability, length in draw(st.lists(runs, max_size=30)) for _ in range(length)]


def in_blocks(audio: Samples, length: int) -> Iterator[Samples]:
    yield from (audio[start : start + length] for start in range(0, len(audio), length))


def bounds(spans: Iterable[SpeechSpan]) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in spans]


@settings(deadline=None)
@given(probabilities(), st.integers(0, WINDOW - 1), st.sampled_from([100, 5_000, 160_000, 10_000_000]))
@pytest.mark.slow  # parts of it are tried every time
def test_a_stream_is_cut_as_the_whole_file_is(script: list[float], odd_samples: int, block: int) -> None:
    audio = np.zeros(len(script) * WINDOW + odd_samples, np.float32)
    with patch("faster_whisper.vad.get_vad_model", lambda: ScriptedNetwork([*script, 0.0])):
        whole = faster_whisper.vad.get_speech_timestamps(audio, REFERENCE)
    with patch.object(vad, "get_vad_model", lambda: ScriptedNetwork([*script, 0.0])):
        streamed = bounds(speech_spans(in_blocks(audio, block)))
    assert streamed == [(span["start"], span["end"]) for span in whole]
    assert all(left[1] <= right[0] for left, right in pairwise(streamed))
    assert all(end - start <= MAX_SPAN_S * SAMPLE_RATE_HZ for start, end in streamed)


@pytest.mark.parametrize("block", [3_001, 160_000])
def test_real_speech_is_found_in_a_stream_as_in_the_whole(samples: Path, block: int) -> None:
    audio = np.concatenate([load(samples / "sv.ogg"), np.zeros(60_000, np.float32), load(samples / "en.ogg")])
    whole = faster_whisper.vad.get_speech_timestamps(audio, REFERENCE)
    streamed = list(speech_spans(in_blocks(audio, block)))
    assert bounds(streamed) == [(span["start"], span["end"]) for span in whole]
    assert all(np.array_equal(span.samples, audio[span.start : span.end]) for span in streamed)
    assert 0.5 * len(audio) < sum(len(span.samples) for span in streamed) < 0.95 * len(audio)


def test_silence_and_nothing_have_no_speech() -> None:
    assert list(speech_spans([np.zeros(20 * SAMPLE_RATE_HZ, np.float32)])) == []
    assert list(speech_spans([])) == []


def test_a_turn_is_handed_on_while_the_stream_goes_on() -> None:
    """So that decoding starts early, and a long silence keeps nothing in memory."""
    script = [*[0.9] * 100, *[0.0] * 20_000, *[0.9] * 100]
    heard = 0

    def blocks() -> Iterator[Samples]:
        nonlocal heard
        for block in in_blocks(np.zeros(len(script) * WINDOW, np.float32), 160_000):
            heard += 1
            yield block

    with patch.object(vad, "get_vad_model", lambda: ScriptedNetwork([*script, 0.0])):
        spans = speech_spans(blocks())
        next(spans)
        assert heard == 1
        next(spans)
    assert heard > 60
