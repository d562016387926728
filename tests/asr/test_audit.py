"""What the audit tells of chunks, and what it refuses to believe."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from avskrift.asr.audit import ChunkAudit, Fault, How, audit_of
from avskrift.asr.packing import ChunkClock
from avskrift.audio import SAMPLE_RATE_HZ
from tests.asr.decoded_samples import PASSED

FINE = PASSED.taken
LOOPED = replace(FINE, faults=(Fault.LOOP,), compression=9.0)
HALVES = replace(FINE, how=How.WINDOWS, tokens=44)


@dataclass(frozen=True)
class Spoken:
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Decoded:
    clock: ChunkClock
    words: tuple[Spoken, ...]
    audit: ChunkAudit


def clock(*spans_s: tuple[float, float]) -> ChunkClock:
    return ChunkClock(tuple((round(start * SAMPLE_RATE_HZ), round(end * SAMPLE_RATE_HZ)) for start, end in spans_s))


def steady(start_s: float, end_s: float) -> tuple[Spoken, ...]:
    """A word every half second."""
    return tuple(Spoken(" ord", start_s + i / 2, start_s + i / 2 + 0.5) for i in range(round((end_s - start_s) * 2)))


def test_a_chunk_that_passed_says_so_in_one_line() -> None:
    told = audit_of([Decoded(clock((10, 14)), steady(0, 4), ChunkAudit((FINE,)))])
    assert told["chunks"] == [
        {"start_s": 10.0, "end_s": 14.0, "speech_s": 4.0, "faults": [], "attempts": [], "chosen": "first"}
    ]
    assert told["retried"] == 0
    assert told["speech_without_text"] == []


def test_a_chunk_that_was_tried_again_tells_every_attempt_and_the_choice() -> None:
    told = audit_of([Decoded(clock((0, 4)), steady(0, 4), ChunkAudit((LOOPED, HALVES), chosen=1))])
    [chunk] = told["chunks"]
    assert told["retried"] == 1
    assert chunk["chosen"] == "windows"
    assert chunk["faults"] == []
    assert [(attempt["how"], attempt["faults"]) for attempt in chunk["attempts"]] == [
        ("first", ["loop"]),
        ("windows", []),
    ]
    assert json.loads(json.dumps(told)) == told


def test_a_fault_that_no_attempt_mended_stays_with_the_chunk() -> None:
    told = audit_of([Decoded(clock((0, 4)), steady(0, 4), ChunkAudit((LOOPED, replace(LOOPED, how=How.WINDOWS))))])
    assert told["chunks"][0]["faults"] == ["loop"]
    assert told["chunks"][0]["chosen"] == "first"


def test_speech_without_a_word_is_listed_on_the_recordings_clock() -> None:
    talk = Decoded(clock((5, 9), (20, 23), (30, 34)), steady(0, 4) + steady(7, 11), ChunkAudit((FINE,)))
    assert audit_of([talk])["speech_without_text"] == [[20.0, 23.0]]


def test_a_word_stretched_over_a_long_gap_does_not_hide_it() -> None:
    words = (*steady(0, 2), Spoken(" ord", 2.0, 9.0), *steady(9, 10))
    told = audit_of([Decoded(clock((0, 10)), words, ChunkAudit((FINE,)))])
    [[start_s, end_s]] = told["speech_without_text"]
    assert 2.5 < start_s < 4
    assert end_s == 9.0


def test_silence_between_spans_is_never_listed() -> None:
    """Neither stretch is long enough by itself, and what lies between them was no speech."""
    told = audit_of([Decoded(clock((0, 1.5), (60, 61.5)), (), ChunkAudit((FINE,)))])
    assert told["speech_without_text"] == []


def test_speech_without_text_goes_on_over_a_chunk_border() -> None:
    told = audit_of([Decoded(clock(span), (), ChunkAudit((FINE,))) for span in ((0, 1.5), (1.5, 3))])
    assert told["speech_without_text"] == [[0.0, 3.0]]


def test_loud_audio_that_is_no_speech_is_handed_on_in_seconds() -> None:
    assert audit_of([], [(16_000, 40_000)])["loud_without_speech"] == [[1.0, 2.5]]


def test_an_audit_survives_a_checkpoint_exactly() -> None:
    audit = ChunkAudit((LOOPED, replace(HALVES, uncovered_s=None, log_probability=-1 / 3)), chosen=1)
    assert ChunkAudit.from_dict(json.loads(json.dumps(audit.to_dict()))) == audit


NONSENSE: list[tuple[str, Any]] = [
    ("how", "guess"),
    ("how", None),
    ("faults", ["bad luck"]),
    ("faults", "loop"),
    ("tokens", -1),
    ("tokens", 2.0),
    ("tokens", True),
    ("tokens", 10**9),
    ("tokens_per_s", -0.1),
    ("tokens_per_s", float("nan")),
    ("tokens_per_s", float("inf")),
    ("compression", 10**400),
    ("compression", "1"),
    ("log_probability", 0.5),
    ("log_probability", float("-inf")),
    ("no_speech_probability", 2),
    ("no_speech_probability", None),
    ("uncovered_s", -1.0),
    ("language", "klingon"),
    ("language", ["sv"]),
]


@pytest.mark.parametrize(("name", "value"), NONSENSE, ids=repr)
def test_an_attempt_that_nobody_can_have_written_is_refused(name: str, value: Any) -> None:
    written = ChunkAudit((FINE,)).to_dict()
    written["attempts"][0][name] = value
    with pytest.raises(ValueError):
        ChunkAudit.from_dict(written)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"attempts": [], "chosen": 0},
        {"attempts": [FINE.to_dict()], "chosen": 1},
        {"attempts": [FINE.to_dict()], "chosen": -1},
        {"attempts": [FINE.to_dict()], "chosen": True},
        {"attempts": [FINE.to_dict()], "chosen": 0, "more": 1},
        {"attempts": [FINE.to_dict()] * 7, "chosen": 0},
        {"attempts": FINE.to_dict(), "chosen": 0},
        {"attempts": [{}], "chosen": 0},
    ],
    ids=repr,
)
def test_an_audit_that_nobody_can_have_written_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        ChunkAudit.from_dict(value)
