"""A part of a recording, as it is written on a command line or in a header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.clip import parse_clip
from avskrift.errors import BadOptions


@pytest.mark.parametrize(
    ("text", "clip"),
    [
        ("10:00-12:00", (600.0, 720.0)),
        ("600-720", (600.0, 720.0)),
        ("1:02:03-1:05:00", (3723.0, 3900.0)),
        ("90.5-2:00", (90.5, 120.0)),
        ("10:00-", (600.0, None)),
        ("-1:30", (0.0, 90.0)),
        (" 0:05 - 0:10.25 ", (5.0, 10.25)),
        ("75:00-80:00", (4500.0, 4800.0)),
    ],
)
def test_a_clip_is_read_as_it_is_written(text: str, clip: tuple[float, float | None]) -> None:
    assert parse_clip(text) == clip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "10:00",
        "10:00-9:00",
        "10-10",
        "a-b",
        "1:60-2:00",
        "1:61:00-2:00:00",
        "1:2:3:4-",
        "-5--3",
        "nan-",
        "1e3-",
        "٣-٤",
        "9" * 400 + ":00:00-",
    ],
)
def test_what_is_no_clip_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadOptions, match="clip"):
        parse_clip(text)


@given(st.text(max_size=20))
def test_any_text_is_a_clip_or_refused(text: str) -> None:
    try:
        start_s, end_s = parse_clip(text)
    except BadOptions:
        return
    assert start_s >= 0
    assert end_s is None or end_s > start_s


@given(st.integers(0, 40_000), st.integers(1, 40_000))
def test_clock_times_and_seconds_mean_the_same(start_s: int, length_s: int) -> None:
    end_s = start_s + length_s
    assert parse_clip(f"{_clock(start_s)}-{_clock(end_s)}") == parse_clip(f"{start_s}-{end_s}") == (start_s, end_s)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
