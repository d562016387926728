"""How much is taken for speech can be asked for; whatever it is, streams, resumed ones too, are cut as the whole is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
from avskrift.asr.checkpoint_lines import FinishedWindow, parse, window_from, window_line
from avskrift.asr.packing import Chunk
from avskrift.asr.reading import ResumePoint
from avskrift.asr.vad import (
    MAX_SPAN_S,
    SENSITIVE,
    WINDOW_SAMPLES,
    SpeechSpan,
    SpeechState,
    Vad,
    speech_finder,
    speech_spans,
)
from avskrift.audio import SAMPLE_RATE_HZ, Samples, load
from tests.asr.decoded_samples import decoded

#: Around the longest span, around two, and far above.
LENGTHS_S = (0.0, 5.0, 19.9, 29.9, 30.0, 31.0, 50.0, 60.0, 100.0)
MAX_SPAN = round(MAX_SPAN_S * SAMPLE_RATE_HZ)
SENSITIVE_REFERENCE = faster_whisper.vad.VadOptions(
    threshold=SENSITIVE.onset,
    neg_threshold=SENSITIVE.offset,
    max_speech_duration_s=MAX_SPAN_S,
    min_silence_duration_ms=SENSITIVE.min_silence_ms,
    speech_pad_ms=SENSITIVE.padding_ms,
)


class ScriptedNetwork:
    """Says of each window what the test wants. Where it is in its script, only its recurrent state tells."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = np.array(probabilities, np.float32)
        self.session = self

    def __call__(self, audio: Samples) -> Samples:
        return self.probabilities[: len(audio) // WINDOW_SAMPLES]

    def run(self, _: None, inputs: dict[str, Any]) -> tuple[Samples, Samples, Samples]:
        first, count = int(inputs["h"][0, 0, 0]), len(inputs["input"])
        return self.probabilities[first : first + count, None], inputs["h"] + np.float32(count), inputs["c"]


def no_network() -> None:
    raise AssertionError("the network was asked for")


@st.composite
def scripts(draw: st.DrawFn) -> list[float]:
    """Runs of speech, doubt and silence around the sensitive thresholds; turns far above 30 s."""
    runs = st.tuples(st.sampled_from([0.0, 0.09, 0.11, 0.19, 0.3, 0.9]), st.sampled_from([1, 4, 9, 10, 20, 60, 1200]))
    return [probability for probability, length in draw(st.lists(runs, max_size=30)) for _ in range(length)]


def in_blocks(audio: Samples, length: int) -> Iterator[Samples]:
    yield from (audio[start : start + length] for start in range(0, len(audio), length))


def passed_on(state: SpeechState) -> SpeechState:
    """As it comes out of a checkpoint."""
    nothing = Chunk((SpeechSpan(0, np.zeros(0, np.float32)),))
    line = json.dumps(window_line(FinishedWindow((decoded(nothing),), ResumePoint(speech=state)))).encode() + b"\n"
    restored = window_from(parse(line), lambda _: 0).after.speech
    assert restored is not None
    return restored


def found_with_resumes(audio: Samples, block: int, how: Vad) -> list[tuple[int, int]]:
    """The spans found by a new finder for each block, which knows only what a checkpoint holds."""
    state, spans = SpeechState(), []
    for samples in in_blocks(audio, block):
        start, end = state.tape_bounds
        finder = speech_finder(how, state, audio[start:end])
        spans += finder.hear(samples)
        state = passed_on(finder.state())
    spans += speech_finder(how, state, audio[slice(*state.tape_bounds)]).finish()
    assert all(np.array_equal(span.samples, audio[span.start : span.end]) for span in spans)
    return [span.bounds for span in spans]


@settings(deadline=None, max_examples=60)
@given(scripts(), st.integers(0, WINDOW_SAMPLES - 1), st.sampled_from([5_000, 160_000, 10_000_000]))
def test_sensitive_is_what_faster_whisper_finds_with_those_thresholds(
    script: list[float], odd_samples: int, block: int
) -> None:
    audio = np.zeros(len(script) * WINDOW_SAMPLES + odd_samples, np.float32)
    network: Callable[[], ScriptedNetwork] = lambda: ScriptedNetwork([*script, 0.0])  # noqa: E731
    with patch("faster_whisper.vad.get_vad_model", network):
        whole = faster_whisper.vad.get_speech_timestamps(audio, SENSITIVE_REFERENCE)
    with patch.object(vad, "get_vad_model", network):
        streamed = [span.bounds for span in speech_spans(in_blocks(audio, block), "sensitive")]
        if block > 5_000:
            assert found_with_resumes(audio, block, "sensitive") == streamed
    assert streamed == [(span["start"], span["end"]) for span in whole]


def seconds_of_speech(audio: Samples, how: Vad) -> float:
    spans = speech_spans([audio.astype(np.float32)], how)
    return sum(len(span.samples) for span in spans) / SAMPLE_RATE_HZ


def test_sensitive_hears_speech_that_is_far_away(samples: Path) -> None:
    """A voice in an echoing room, 5 dB below the noise."""
    near = load(samples / "sv.ogg")
    random = np.random.default_rng(4)
    room = np.convolve(near, random.normal(size=8_000) * np.exp(-np.arange(8_000) / 1_800))[: len(near)]
    noise = random.normal(size=len(near)) * np.sqrt(np.mean(room**2)) * 10 ** (5 / 20)
    level = 0.01 / np.abs(room + noise).max()
    heard = seconds_of_speech(near, "default")
    assert seconds_of_speech((room + noise) * level, "default") < 0.85 * heard
    assert seconds_of_speech((room + noise) * level, "sensitive") > heard
    assert seconds_of_speech(noise * level, "sensitive") == 0, "but no noise"


def test_sensitive_hears_speech_that_is_quiet(samples: Path) -> None:
    """At 50 dB below full scale."""
    near = load(samples / "sv.ogg")
    assert seconds_of_speech(near * 0.003, "default") < 0.85 * seconds_of_speech(near, "default")
    assert seconds_of_speech(near * 0.003, "sensitive") > seconds_of_speech(near, "default")


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(LENGTHS_S), st.integers(0, 999), st.sampled_from([9_999, 160_000, 5_000_000]))
def test_off_gives_the_whole_recording_in_spans_that_fit_a_chunk(length_s: float, odd: int, block: int) -> None:
    audio = np.random.default_rng(odd).normal(size=round(length_s * SAMPLE_RATE_HZ) + odd).astype(np.float32)
    with patch.object(vad, "get_vad_model", no_network):
        spans = list(speech_spans(in_blocks(audio, block), "off"))
        assert found_with_resumes(audio, max(block, 160_000), "off") == [span.bounds for span in spans]
    assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *(span.samples for span in spans)]), audio)
    assert all(left.end == right.start for left, right in pairwise(spans))
    assert all(0 < len(span.samples) <= MAX_SPAN for span in spans)
    assert all(len(span.samples) > MAX_SPAN * 2 // 3 for span in spans[:-1])
    assert all(len(span.samples) >= SAMPLE_RATE_HZ for span in spans[1:])


@pytest.mark.parametrize("quiet_at_s", [20.1, 23.4, 29.9])
def test_off_cuts_where_the_last_third_is_quietest(quiet_at_s: float) -> None:
    audio = np.random.default_rng(1).normal(size=40 * SAMPLE_RATE_HZ).astype(np.float32)
    for at_s, level in ((5.0, 0.0), (25.0, 0.5), (quiet_at_s, 0.1)):
        audio[round((at_s - 0.06) * SAMPLE_RATE_HZ) : round((at_s + 0.06) * SAMPLE_RATE_HZ)] *= level
    first, _ = speech_spans([audio], "off")
    assert first.end / SAMPLE_RATE_HZ == pytest.approx(quiet_at_s, abs=0.035)


@pytest.mark.parametrize("extra", [1, 1_920, SAMPLE_RATE_HZ - 1, SAMPLE_RATE_HZ])
def test_off_leaves_no_crumb_of_a_recording_for_a_chunk_of_its_own(extra: int) -> None:
    """Quietest just before the 30th second: there it would be cut if it went on for longer."""
    audio = np.random.default_rng(2).normal(size=MAX_SPAN + extra).astype(np.float32)
    audio[round(29.7 * SAMPLE_RATE_HZ) : round(29.9 * SAMPLE_RATE_HZ)] *= 0.01
    for block in (160_000, MAX_SPAN, len(audio)):
        first, rest = speech_spans(in_blocks(audio, block), "off")
        assert first.end == rest.start
        assert len(first.samples) > MAX_SPAN * 2 // 3
        assert SAMPLE_RATE_HZ <= len(rest.samples) <= MAX_SPAN
    assert [len(span.samples) for span in speech_spans([audio[:MAX_SPAN]], "off")] == [MAX_SPAN]


def test_off_hears_digital_silence_in_as_few_spans_as_it_can() -> None:
    spans = list(speech_spans([np.zeros(60 * SAMPLE_RATE_HZ, np.float32)], "off"))
    assert [len(span.samples) / SAMPLE_RATE_HZ for span in spans] == pytest.approx([30, 29, 1], abs=0.2)
    assert list(speech_spans([], "off")) == []
