"""WebVTT: by the standard's rules, whatever was said, by parsers that are not ours. Chromium has a test of its own."""

from __future__ import annotations

import html
import re
from io import StringIO

import pytest
import webvtt
from hypothesis import given

from avskrift.errors import BadOptions
from avskrift.formats import RenderOptions
from avskrift.formats.cues import Cue
from avskrift.transcript import Transcript
from tests.formats.subtitles import (
    CUES,
    DIALOGUE,
    OFTEN,
    SILENCE,
    TALK,
    ReadCue,
    assert_in_order,
    expected,
    joined,
    line,
    rendered,
    transcripts,
    written,
)

STAMP = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
#: What cue text may hold (https://www.w3.org/TR/webvtt1/#webvtt-cue-text-span): characters, three escapes, four tags.
PLAIN = r"(?:[^<&>\0]|&(?:amp|lt|gt);)+"
CUE_TEXT = re.compile(rf"(?:{PLAIN}|<v {PLAIN}>|</v>|<u>|</u>|<{STAMP}>)+")


def read_as_the_standard_does(text: str) -> list[ReadCue]:
    """The header, a comment block, then cue blocks; what is no text is taken away, and what is left unescaped."""
    header, note, *blocks = text.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    assert note.startswith("NOTE\n")
    assert "-->" not in note
    cues = []
    for block in blocks:
        times, *lines = block.split("\n")
        stamps = re.fullmatch(f"{STAMP} --> {STAMP}", times)
        assert stamps
        assert all(lines)
        assert CUE_TEXT.fullmatch("\n".join(lines))
        assert_rising(block)
        said = html.unescape(re.sub("<[^>]*>", "", "\n".join(lines)))
        cues.append(ReadCue(ms(stamps.groups()[:4]), ms(stamps.groups()[4:]), said))
    return cues


def assert_rising(block: str) -> None:
    """Times within a cue are later than its start and one another, and before its end."""
    start_ms, end_ms = (ms(found.groups()) for found in re.finditer(STAMP, block.split("\n", maxsplit=1)[0]))
    within = [ms(found.groups()) for found in re.finditer(f"<{STAMP}>", block)]
    assert [start_ms, *within, end_ms] == sorted({start_ms, *within, end_ms})


def ms(parts: tuple[str, ...]) -> int:
    hours, minutes, seconds, milliseconds = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds


def read_by_webvtt(text: str) -> list[ReadCue]:
    return [
        ReadCue(ms(tuple(re.split("[:.]", cue.start))), ms(tuple(re.split("[:.]", cue.end))), html.unescape(cue.text))
        for cue in webvtt.from_buffer(StringIO(text))
    ]


@OFTEN
@given(transcripts)
def test_any_transcript_reads_back_as_its_cues(transcript: Transcript) -> None:
    text = written(transcript, "vtt")
    cues = read_as_the_standard_does(text)
    assert cues == expected(transcript)
    assert_in_order(cues)
    assert read_by_webvtt(text) == cues


@OFTEN
@given(transcripts)
def test_marked_words_leave_text_and_times_as_they_are(transcript: Transcript) -> None:
    moments = read_as_the_standard_does(written(transcript, "vtt", highlight_words=True))
    assert_in_order(moments)
    assert joined(moments) == joined(expected(transcript))


@OFTEN
@given(transcripts)
def test_word_times_leave_cues_as_they_are(transcript: Transcript) -> None:
    assert read_as_the_standard_does(written(transcript, "vtt", word_times=True)) == expected(transcript)


def test_as_browsers_expect_it() -> None:
    assert rendered(CUES, "vtt") == (
        "WEBVTT\n\n"
        "NOTE\nMade by avskrift\nLanguage: sv\nModel: base\n\n"
        "00:00:00.500 --> 00:00:02.000\nHej &amp; välkommen!\n\n"
        "00:00:02.100 --> 00:00:03.000\n1 &lt; 2 \n--&gt; sant.\n\n"
        "00:00:08.000 --> 00:00:09.000\nSlut.\n"
    )


def test_who_speaks_is_a_voice() -> None:
    first, second, third = rendered(DIALOGUE, "vtt", TALK).split("\n\n")[2:]
    assert first.endswith("\n<v Anna &lt;&amp;&gt; Öberg>- Hej!</v>\n<v Bo, den äldre>- Tjena.</v>")
    assert second.endswith("\n<v Anna &lt;&amp;&gt; Öberg>Hur mår\ndu?</v>")
    assert third.endswith("\n<v Bo, den äldre>Bra.</v>\n")
    assert webvtt.from_buffer(StringIO(rendered(DIALOGUE, "vtt", TALK)))[2].voice == "Bo, den äldre"


def test_words_carry_their_times_on_request() -> None:
    text = rendered(CUES, "vtt", word_times=True)
    assert "Hej <00:00:00.900>&amp; <00:00:01.100>välkommen!\n" in text
    assert "1 &lt; 2 \n<00:00:02.500>--&gt; sant.\n" in text


def test_times_that_do_not_rise_are_left_out() -> None:
    words = line((500, 900, "ett "), (700, 800, "två "), (600, 900, "tre "), (2000, 2500, "fyra"))
    assert "ett <00:00:00.700>två tre fyra\n" in rendered([Cue(500, 2000, (words,))], "vtt", word_times=True)


def test_each_word_is_marked_while_it_is_spoken() -> None:
    text = rendered(CUES, "vtt", highlight_words=True)
    assert "00:00:00.500 --> 00:00:00.900\n<u>Hej</u> &amp; välkommen!\n" in text
    assert "00:00:00.900 --> 00:00:01.100\nHej <u>&amp;</u> välkommen!\n" in text


def test_silence_is_a_header_and_a_note() -> None:
    assert written(SILENCE, "vtt") == "WEBVTT\n\nNOTE\nMade by avskrift\nLanguage: und\nModel: base\n"


def test_two_ways_of_following_the_voice_are_one_too_many() -> None:
    with pytest.raises(BadOptions, match="choose one"):
        RenderOptions(highlight_words=True, word_times=True)
