"""SubStation Alpha: by pysubs2's reader and ffmpeg's, in hundredths of a second."""

from __future__ import annotations

import re
from itertools import pairwise

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats.cues import Cue
from avskrift.formats.overrides import without_overrides
from avskrift.transcript import Transcript
from tests.formats.subtitles import (
    CUES,
    DIALOGUE,
    OFTEN,
    SILENCE,
    TALK,
    ReadCue,
    assert_in_order,
    cues_of,
    line,
    rendered,
    transcripts,
    written,
)

EVENT = re.compile(r"Dialogue: 0,(\d+):(\d\d):(\d\d)\.(\d\d),(\d+):(\d\d):(\d\d)\.(\d\d),Default,[^,]*,0,0,0,,(.*)")


def read(text: str) -> list[ReadCue]:
    """The events, line by line: their times, and their text without overrides as pysubs2 has it."""
    _, _, events = text.partition("\n[Events]\nFormat: ")
    found = [EVENT.fullmatch(event) for event in events.split("\n")[1:-1]]
    return [
        ReadCue(_ms(event.groups()[:4]), _ms(event.groups()[4:8]), pysubs2.SSAEvent(text=event[9]).plaintext)
        for event in found
        if event or pytest.fail("not an event")
    ]


def read_by_pysubs2(text: str) -> list[ReadCue]:
    """Times below 100 hours: it knows no others."""
    return [
        ReadCue(event.start, event.end, event.plaintext) for event in pysubs2.SSAFile.from_string(text, format_="ass")
    ]


def _ms(parts: tuple[str, ...]) -> int:
    hours, minutes, seconds, hundredths = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + hundredths * 10


def shown(cues: list[Cue]) -> list[str]:
    return [text for cue in cues for text in without_overrides(cue.text).split("\n")]


@OFTEN
@given(transcripts)
def test_any_transcript_reads_back_with_every_line(transcript: Transcript) -> None:
    for highlight_words in (False, True):
        content = written(transcript, "ass", highlight_words=highlight_words)
        cues = read(content)
        assert_in_order(cues)
        assert re.search(r",\d{3,}:", content) or read_by_pysubs2(content) == cues
        assert [text for cue in cues for text in cue.text.split("\n")] == shown(cues_of(transcript))


moments_ms = st.lists(st.integers(0, 300), min_size=2, max_size=80, unique=True).map(sorted)


@OFTEN
@given(moments_ms)
def test_cues_too_short_for_hundredths_are_joined_without_delay(bounds_ms: list[int]) -> None:
    cues = [Cue(start, end, (line((start, end, f"{start}")),)) for start, end in pairwise(bounds_ms)]
    events = read_by_pysubs2(rendered(cues, "ass"))
    assert_in_order(events)
    assert [text for event in events for text in event.text.split("\n")] == shown(cues)
    for cue in cues:
        (event,) = (event for event in events if str(cue.start_ms) in event.text.split("\n"))
        assert abs(event.start_ms - cue.start_ms) < 20


def test_events_as_editors_expect_them() -> None:
    *_, first, second, third = rendered(CUES, "ass").splitlines()
    assert first == "Dialogue: 0,0:00:00.50,0:00:02.00,Default,,0,0,0,,Hej & välkommen!"
    assert second == r"Dialogue: 0,0:00:02.10,0:00:03.00,Default,,0,0,0,,1 < 2 \N--> sant."
    assert third == "Dialogue: 0,0:00:08.00,0:00:09.00,Default,,0,0,0,,Slut."


def test_who_speaks_is_the_name_of_the_event() -> None:
    names = [event.name for event in pysubs2.SSAFile.from_string(rendered(DIALOGUE, "ass", TALK), format_="ass")]
    assert names == ["Anna <&> Öberg Bo  den äldre", "Anna <&> Öberg", "Bo  den äldre"]


def test_ten_hours_and_a_hundred_are_times_as_well() -> None:
    late = [Cue(at_ms, at_ms + 1000, (line((at_ms, at_ms + 1000, "Sent.")),)) for at_ms in (36_000_000, 360_000_000)]
    assert re.findall(r"Dialogue: 0,([^,]+),([^,]+),", rendered(late, "ass")) == [
        ("10:00:00.00", "10:00:01.00"),
        ("100:00:00.00", "100:00:01.00"),
    ]


def test_what_looks_like_markup_is_shown() -> None:
    cue = Cue(0, 2000, (line((0, 2000, r"{\an8} a\Nb \x {")),))
    assert read(rendered([cue], "ass")) == [ReadCue(0, 2000, "｛\\an8｝ a\\\u2060Nb \\x ｛")]


def test_each_word_is_coloured_while_it_is_spoken() -> None:
    text = rendered(CUES, "ass", highlight_words=True)
    spoken, unspoken = r"\c&H00FFFF&", r"\c&HFFFFFF&"
    assert (
        rf"{{{spoken}\t(400,401,{unspoken})}}Hej {{\r}}"
        rf"{{\t(400,401,{spoken})\t(600,601,{unspoken})}}& {{\r}}"
        rf"{{\t(600,601,{spoken})\t(1500,1501,{unspoken})}}välkommen!{{\r}}"
    ) in text
    assert read(text) == read(rendered(CUES, "ass"))


def test_a_title_is_one_line() -> None:
    assert "\nTitle: Ett möte: [Events] {x}\n" in rendered(CUES, "ass", name="Ett möte:\n[Events]\n{x}")


def test_silence_has_styles_and_no_events() -> None:
    silent = pysubs2.SSAFile.from_string(written(SILENCE, "ass"), format_="ass")
    assert (list(silent.styles), silent.events) == (["Default"], [])
