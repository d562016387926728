"""SubRip: as players expect it, whatever was said, by parsers that are not ours."""

from __future__ import annotations

import re
from dataclasses import replace

import srt
from hypothesis import given

from avskrift.formats.cues import Cue
from avskrift.formats.overrides import WORD_JOINER
from avskrift.formats.writers.srt import escaped
from avskrift.transcript import Transcript
from tests.formats.subtitles import (
    CUES,
    OFTEN,
    SILENCE,
    ReadCue,
    assert_in_order,
    expected,
    joined,
    line,
    rendered,
    transcripts,
    written,
)

TIME_LINE = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d),(\d{3})")


def read_as_players_do(text: str) -> list[ReadCue]:
    """Blocks apart by empty lines; number, times, text. No number is missing and no line is empty."""
    cues = []
    for number, block in enumerate(filter(None, text.split("\n\n")), 1):
        head, times, *lines = block.split("\n")
        assert head == str(number)
        stamps = TIME_LINE.fullmatch(times)
        assert stamps
        assert all(lines)
        assert lines
        assert not any("-->" in line for line in lines)
        cues.append(ReadCue(_ms(stamps.groups()[:4]), _ms(stamps.groups()[4:]), "\n".join(lines)))
    return cues


def _ms(parts: tuple[str, ...]) -> int:
    hours, minutes, seconds, ms = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms


def read_by_srt(text: str) -> list[ReadCue]:
    return [
        ReadCue(round(cue.start.total_seconds() * 1000), round(cue.end.total_seconds() * 1000), cue.content)
        for cue in srt.parse(text)
    ]


def shown(cues: list[ReadCue]) -> list[ReadCue]:
    return [replace(cue, text=escaped(cue.text)) for cue in cues]


@OFTEN
@given(transcripts)
def test_any_transcript_reads_back_as_its_cues(transcript: Transcript) -> None:
    text = written(transcript, "srt")
    assert read_as_players_do(text) == shown(expected(transcript))
    assert read_by_srt(text) == read_as_players_do(text)
    assert_in_order(read_as_players_do(text))


@OFTEN
@given(transcripts)
def test_marked_words_leave_text_and_times_as_they_are(transcript: Transcript) -> None:
    moments = read_as_players_do(written(transcript, "srt", highlight_words=True))
    assert_in_order(moments)
    assert all(moment.text.count("<u>") == moment.text.count("</u>") for moment in moments)
    plain = [replace(moment, text=_simple(re.sub("</?u>", "", moment.text))) for moment in moments]
    assert joined(plain) == joined([replace(cue, text=_simple(cue.text)) for cue in expected(transcript)])


def _simple(text: str) -> str:
    """As written, but that marks part what would be escaped together: an arrow, a tag, a backslash and its letter."""
    return escaped(text.replace("→", "-->")).replace(WORD_JOINER, "")


def test_as_players_expect_it() -> None:
    assert rendered(CUES, "srt") == (
        "1\n00:00:00,500 --> 00:00:02,000\nHej & välkommen!\n\n"
        "2\n00:00:02,100 --> 00:00:03,000\n1 < 2 \n→ sant.\n\n"
        "3\n00:00:08,000 --> 00:00:09,000\nSlut.\n\n"
    )


def test_each_word_is_marked_while_it_is_spoken() -> None:
    first, second, third, *_ = read_as_players_do(rendered(CUES, "srt", highlight_words=True))
    assert first == ReadCue(500, 900, "<u>Hej</u> & välkommen!")
    assert second == ReadCue(900, 1100, "Hej <u>&</u> välkommen!")
    assert third == ReadCue(1100, 2000, "Hej & <u>välkommen!</u>")


def test_what_looks_like_markup_is_shown() -> None:
    said = [Cue(0, 2000, (line((0, 2000, "<b>fet</b> {\\an8} {y:i} a < b a\\Nb")),))]
    (cue,) = read_as_players_do(rendered(said, "srt"))
    assert cue.text == "<\u2060b>fet<\u2060/b> ｛\\an8｝ ｛y:i｝ a < b a\\\u2060Nb"


def test_hours_grow_beyond_99() -> None:
    late = [Cue(360_000_000, 360_001_000, (line((360_000_000, 360_001_000, "Sent.")),))]
    assert rendered(late, "srt").startswith("1\n100:00:00,000 --> 100:00:01,000\n")


def test_silence_is_an_empty_file() -> None:
    assert written(SILENCE, "srt") == ""
    assert written(SILENCE, "srt", bom=True) == "\ufeff"


def test_a_byte_order_mark_only_on_request() -> None:
    assert rendered(CUES, "srt", bom=True) == "\ufeff" + rendered(CUES, "srt")
