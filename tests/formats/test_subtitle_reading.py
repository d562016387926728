"""SubRip and WebVTT read back: our own to the same text, others' with what had to be mended said aloud."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given

from avskrift.errors import UnsupportedMedia
from avskrift.formats.cues import Cue
from avskrift.formats.readers import read_bytes, srt, vtt
from avskrift.transcript import Segment, Transcript, Word
from tests.formats.subtitles import (
    CUES,
    DIALOGUE,
    OFTEN,
    SILENCE,
    TALK,
    TRANSCRIPT,
    cues_of,
    line,
    rendered,
    transcripts,
    written,
)

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHej på\ndig.\n\n2\n00:00:03,000 --> 00:00:04,000\n2\n\n"


def texts(transcript: Transcript) -> list[str]:
    return [segment.text for segment in transcript.segments]


def said(texts: Iterable[str]) -> str:
    """Letters alone, as srt can keep them: no spaces, no dashes of dialogues, an arrow's head, braces as they are."""
    return re.sub(r"[\s–—-]", "", "".join(texts)).translate(str.maketrans("→｛｝", ">{}", "\u2060"))


@OFTEN
@given(transcripts)
def test_what_is_read_back_is_what_the_cues_show(transcript: Transcript) -> None:
    cues = cues_of(transcript)
    for options in ({}, {"highlight_words": True}):
        for name in ("srt", "vtt"):
            reading = read_bytes(written(transcript, name, **options).encode(), f"x.{name}")
            assert said(texts(reading.transcript)) == said(cue.text for cue in cues)
            assert reading.transcript.duration_s == (cues[-1].end_ms / 1000 if cues else 0.0)
            again = read_bytes(written(reading.transcript, name, **options).encode(), f"x.{name}").transcript
            assert said(texts(again)) == said(texts(reading.transcript))


def test_our_srt_comes_back_as_it_was() -> None:
    reading = srt.read(rendered(CUES, "srt"))
    assert reading.repairs == ()
    assert reading.transcript == Transcript(
        None,
        9.0,
        3.4,
        "unknown",
        (
            Segment(0.5, 2.0, "Hej & välkommen!"),
            Segment(2.1, 3.0, "1 < 2 → sant."),
            Segment(8.0, 9.0, "Slut."),
        ),
    )


def test_our_vtt_comes_back_with_voices_language_and_model() -> None:
    reading = vtt.read(rendered(DIALOGUE, "vtt", TALK))
    assert reading.repairs == ()
    assert (reading.transcript.language, reading.transcript.model) == ("sv", "base")
    assert [(speaker.id, speaker.name) for speaker in reading.transcript.speakers] == [
        ("speaker-1", "Anna <&> Öberg"),
        ("speaker-2", "Bo, den äldre"),
    ]
    assert [(segment.speaker, segment.text) for segment in reading.transcript.segments] == [
        ("speaker-1", "Hej!"),
        ("speaker-2", "Tjena."),
        ("speaker-1", "Hur mår du?"),
        ("speaker-2", "Bra."),
    ]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_marked_words_come_back_as_words_with_times(name: str) -> None:
    first, *_, last = read_bytes(rendered(CUES, name, highlight_words=True).encode(), "x").transcript.segments
    assert first.words == (Word(0.5, 0.9, "Hej"), Word(0.9, 1.1, "&"), Word(1.1, 2.0, "välkommen!"))
    assert last == Segment(8.0, 9.0, "Slut.", (Word(8.0, 9.0, "Slut."),))


@pytest.mark.parametrize("options", [{"highlight_words": True}, {"word_times": True}])
def test_words_of_scripts_without_spaces_come_back(options: dict[str, bool]) -> None:
    cue = Cue(0, 1500, (line((0, 500, "字幕"), (500, 900, "の"), (900, 1500, "幅。")),))
    (segment,) = vtt.read(rendered([cue], "vtt", **options)).transcript.segments
    assert segment.text == "字幕の幅。"
    assert segment.words == (Word(0.0, 0.5, "字幕"), Word(0.5, 0.9, "の"), Word(0.9, 1.5, "幅。"))


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_what_is_said_twice_comes_back_twice(name: str) -> None:
    twice = [Cue(at_ms, at_ms + 500, (line((at_ms, at_ms + 500, "Ja.")),)) for at_ms in (0, 500, 1000)]
    text = rendered(twice, name, highlight_words=True)
    assert texts(read_bytes(text.encode(), "x").transcript) == ["Ja.", "Ja.", "Ja."]


def test_word_times_of_vtt_come_back() -> None:
    first, second, last = vtt.read(rendered(CUES, "vtt", word_times=True)).transcript.segments
    assert first.words == (Word(0.5, 0.9, "Hej"), Word(0.9, 1.1, "&"), Word(1.1, 2.0, "välkommen!"))
    assert [(word.text, word.start_s) for word in second.words][-2:] == [("-->", 2.5), ("sant.", 2.687)]
    assert last.words == (Word(8.0, 9.0, "Slut."),)


def test_a_lone_word_says_nothing_of_its_time_where_no_word_does() -> None:
    assert all(segment.words == () for segment in vtt.read(rendered(CUES, "vtt")).transcript.segments)


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_words_too_fast_to_be_marked_one_by_one_come_back_one_after_the_other(name: str) -> None:
    cue = Cue(0, 1000, (line((0, 200, "Det "), (200, 240, "är "), (240, 280, "ju "), (280, 1000, "så.")),))
    reading = read_bytes(rendered([cue], name, highlight_words=True).encode(), "x")
    (segment,) = reading.transcript.segments
    assert [word.text for word in segment.words] == ["Det", "är", "ju", "så."]
    assert all(left.end_s <= right.start_s < right.end_s for left, right in pairwise(segment.words))
    assert reading.repairs == ()


def test_words_marked_at_once_share_their_time() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<u>Ja</u> <u>då</u>\n\n00:02.000 --> 00:03.000\nJa <u>då</u>\n"
    (segment,) = vtt.read(text).transcript.segments
    assert segment.words == (Word(1.0, 1.5, "Ja"), Word(1.5, 3.0, "då"))


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_silence_comes_back_as_silence(name: str) -> None:
    reading = read_bytes(written(SILENCE, name).encode(), f"silence.{name}")
    assert (reading.transcript.segments, reading.transcript.duration_s, reading.repairs) == ((), 0.0, ())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", "."),
        lambda text: text.replace("00:00:0", "0:0"),
        lambda text: text.replace("00:00:0", "0:0:"),
        lambda text: text.replace(" --> ", "-->"),
        lambda text: re.sub(r"^1\n|\n2\n(?=0)", "\n", text),
        lambda text: text.replace("Hej", "<i>Hej</i>").replace("dig", '<font color="#fff">dig</font>'),
        lambda text: text.replace("Hej", "{\\an8}Hej"),
        lambda text: text.replace(",500", ",500  X1:1 X2:9 Y1:1 Y2:9"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("på\ndig", "på\n\ndig"),
        lambda text: "\n\n\n" + text.replace("\n\n", "\n\n\n"),
    ],
)
def test_srt_of_other_programs_means_the_same(change) -> None:  # type: ignore[no-untyped-def]
    assert srt.read(change(SRT)) == srt.read(SRT)
    assert texts(srt.read(SRT).transcript) == ["Hej på dig.", "2"]


def test_a_number_without_an_empty_line_above_is_text() -> None:
    two = "1\n00:00:01,000 --> 00:00:02,000\nVi är\n7\n\n2\n00:00:03,000 --> 00:00:04,000\nDå."
    assert texts(srt.read(two).transcript) == ["Vi är 7", "Då."]


@pytest.mark.parametrize(
    ("lines", "said_by_each"),
    [
        ("- Hej!\n- Tjena.", ["- Hej!", "- Tjena."]),
        ("Kommer du?\n-Ja.", ["Kommer du?", "-Ja."]),
        ("–Nu går vi\nhem.\n–Inte än!", ["–Nu går vi hem.", "–Inte än!"]),
        ("<i>-Hej!</i>\n<i>-Tjena.</i>", ["-Hej!", "-Tjena."]),
        ("Det var\n-5 grader.", ["Det var -5 grader."]),
        ("Vi gick\n– sa han – hem.", ["Vi gick – sa han – hem."]),
        ("-Hej,\nsa hon.", ["-Hej, sa hon."]),
    ],
)
def test_dashes_tell_two_speakers_apart(lines: str, said_by_each: list[str]) -> None:
    assert texts(srt.read(f"1\n00:00:01,000 --> 00:00:03,000\n{lines}\n").transcript) == said_by_each
    assert texts(vtt.read(f"WEBVTT\n\n00:01.000 --> 00:03.000\n{lines}\n").transcript) == said_by_each


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_dialogue_keeps_its_lines_on_the_way_through_a_file(name: str) -> None:
    dialogue = (
        "1\n00:00:01,000 --> 00:00:02,520\n-Kommer du?\n-Ja.\n\n"
        "2\n00:00:02,600 --> 00:00:04,920\n- Nu går vi hem härifrån.\n- Inte än!\n\n"
        "3\n00:00:05,000 --> 00:00:07,020\nVill du ha mer?\n-Nej.\n\n"
        "4\n00:00:07,100 --> 00:00:09,000\nDet var -5 grader.\n\n"
    )
    there = written(srt.read(dialogue).transcript, name)
    assert written(read_bytes(there.encode(), f"x.{name}").transcript, "srt") == dialogue


def test_our_own_dialogue_comes_back_as_lines_that_keep_their_dashes() -> None:
    again = srt.read(rendered(DIALOGUE, "srt", TALK)).transcript
    assert written(again, "srt").split("\n\n")[0].endswith("\n- Hej!\n- Tjena.")


def test_what_is_mended_is_said() -> None:
    reading = srt.read(
        "Undertext av någon\n\n"
        "1\n00:00:05,000 --> 00:00:07,000\nSist.\n\n"
        "2\n00:00:02,000 --> 00:00:01,000\nFörst.\n\n"
        "3\n00:00:06,000 --> 00:00:08,000\nÖver.\n\n"
        "4\n00:00:09,000 --> 00:00:10,000\n\n"
    )
    assert texts(reading.transcript) == ["Först.", "Sist.", "Över."]
    assert [(segment.start_s, segment.end_s) for segment in reading.transcript.segments] == [(1, 2), (5, 6), (6, 8)]
    said_aloud = " ".join(reading.repairs)
    for part in ("before the first time", "without text", "out of order", "exchanged", "reaching into the next"):
        assert part in said_aloud


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n00:00:0a,000 --> 00:00:02,000\nHej\n", "line 2"),
        ("1\n00:00:01,000 --> \nHej\n", "line 2"),
        ("1\n9999999:00:01,000 --> 9999999:00:02,000\nHej\n", "no time of a recording"),
        ("hej", "no SubRip file"),
    ],
)
def test_what_has_no_plain_meaning_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnsupportedMedia, match=message):
        srt.read(text)


def test_vtt_of_other_programs() -> None:
    reading = vtt.read(
        "WEBVTT - en titel\nKind: captions\nLanguage: en\n\nSTYLE\n::cue { color: red }\n\nNOTE hej\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start position:10%\n"
        "<v.loud Mary &amp; Co>Hi <c.red>you</c> <i>all</i>&nbsp;&lt;3</v>\n\n"
        "00:02.000 --> 00:03.000\n<b>Bye.\n00:03.000 --> 00:04.000\nLast\n"
    )
    assert texts(reading.transcript) == ["Hi you all <3", "Bye.", "Last"]
    assert reading.transcript.language == "en"
    assert reading.transcript.speakers[0].name == "Mary & Co"
    assert reading.repairs == ("1 block of styles or regions: left out.",)


def test_vtt_without_its_header_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="WEBVTT"):
        vtt.read("WEBVTTX\n\n00:01.000 --> 00:02.000\nHej\n")


def test_a_language_that_nobody_knew_is_none() -> None:
    assert vtt.read(written(SILENCE, "vtt")).transcript.language is None
    assert vtt.read(written(TRANSCRIPT, "vtt")).transcript.language == "sv"
