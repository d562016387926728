"""OpenAI's ``verbose_json``: the fields its clients read, with values that somebody measured."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from avskrift import formats
from avskrift.transcript import Transcript
from tests.formats.documents import INTERVIEW, SILENCE, audited

#: Required of a transcription and of its segments by https://github.com/openai/openai-openapi.
ANSWER = {"language", "duration", "text"}
SEGMENT = {
    "id": int,
    "seek": int,
    "start": float,
    "end": float,
    "text": str,
    "tokens": list,
    "temperature": float,
    "avg_logprob": float,
    "compression_ratio": float,
    "no_speech_prob": float,
}


def written(transcript: Transcript) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(formats.write(transcript, "verbose_json"), parse_constant=pytest.fail)
    return answer


def test_it_has_what_clients_require() -> None:
    answer = written(INTERVIEW)
    assert set(answer) >= ANSWER
    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "swedish", 3725.0)
    for segment in answer["segments"]:
        assert set(segment) == set(SEGMENT)
        assert all(value is None or isinstance(value, SEGMENT[name]) for name, value in segment.items())


def test_words_have_their_times() -> None:
    first, *_ = written(INTERVIEW)["words"]
    assert first == {"word": "Välkommen", "start": 0.5, "end": 0.8}


def test_without_aligned_words_there_are_none() -> None:
    segments = tuple(replace(segment, words=()) for segment in INTERVIEW.segments)
    assert "words" not in written(replace(INTERVIEW, segments=segments))


def test_what_the_gate_measured_is_told_and_the_rest_is_null() -> None:
    first, *_, last = written(INTERVIEW)["segments"]
    assert (first["avg_logprob"], first["no_speech_prob"]) == (None, None)
    assert (last["avg_logprob"], last["no_speech_prob"]) == (-0.31, 0.02)


def test_seek_is_where_the_chunk_began() -> None:
    assert [segment["seek"] for segment in written(INTERVIEW)["segments"]] == [25, 25, 25, 25, 359_950]


def test_the_engine_never_samples_and_of_others_nothing_is_known() -> None:
    assert {segment["temperature"] for segment in written(INTERVIEW)["segments"]} == {0.0}
    assert {segment["temperature"] for segment in written(replace(INTERVIEW, engine={}))["segments"]} == {None}


def test_a_loop_compresses_well() -> None:
    loop = replace(INTERVIEW.segments[0], text="tack så mycket " * 40, words=())
    (told,) = written(replace(INTERVIEW, segments=(loop,)))["segments"]
    assert told["compression_ratio"] > 2.4


def test_silence_is_an_answer_without_segments() -> None:
    assert written(SILENCE) == {"task": "transcribe", "language": "", "duration": 5.0, "text": "", "segments": []}


@settings(max_examples=50)
@given(audited)
def test_segments_joined_are_the_text(transcript: Transcript) -> None:
    answer = written(transcript)
    assert "".join(segment["text"] for segment in answer["segments"]).strip() == answer["text"]
    assert [segment["id"] for segment in answer["segments"]] == list(range(len(answer["segments"])))
    assert all(0 <= segment["start"] <= segment["end"] for segment in answer["segments"])


@pytest.mark.parametrize("chunks", [None, "x", [None], [{"start_s": "x"}], [{"start_s": 0.0, "attempts": [None]}]])
def test_an_audit_that_is_none_of_ours_is_left_alone(chunks: Any) -> None:
    answer = written(replace(INTERVIEW, audit={"chunks": chunks}))
    assert {segment["avg_logprob"] for segment in answer["segments"]} == {None}


@pytest.mark.parametrize("value", ["x", 10**400, [0.5], None, float("nan")])
def test_what_is_no_number_was_not_measured(value: Any) -> None:
    attempt = {"how": "first", "log_probability": value, "no_speech_probability": value}
    chunk = {"start_s": 0.0, "attempts": [attempt], "chosen": "first"}
    segment, *_ = written(replace(INTERVIEW, audit={"chunks": [{"start_s": value}, chunk]}))["segments"]
    assert (segment["avg_logprob"], segment["no_speech_prob"], segment["seek"]) == (None, None, 0)
