"""The page, read with an HTML5 parser: what it shows, and that nothing said becomes markup."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from selectolax.lexbor import LexborHTMLParser, LexborNode

from avskrift import formats
from avskrift.errors import BadOptions
from avskrift.formats import RenderOptions
from avskrift.formats.paragraphs import paragraphs_of
from avskrift.formats.tidy import clock_s, speaker_names
from avskrift.local.settings import CHECKOUT
from avskrift.transcript import Segment, Transcript, Word
from tests.formats.documents import INTERVIEW, SILENCE, spoken, transcripts

#: Every element that the page is made of; a transcript can add none.
ELEMENTS = set(
    "html head meta title style body header h1 p dl div dt dd aside h2 ul li audio label input form output button main "
    "section a span script".split()
)


def written(transcript: Transcript, media_url: str | None = None, name: str = "Sammanträde 12") -> str:
    return formats.write(transcript, "html", RenderOptions(media_url=media_url, name=name)).decode()


def parsed(transcript: Transcript, media_url: str | None = None, name: str = "Sammanträde 12") -> LexborHTMLParser:
    return LexborHTMLParser(written(transcript, media_url, name))


def texts(page: LexborHTMLParser, selector: str) -> list[str]:
    return [node.text(strip=True) for node in page.css(selector)]


def policy_of(page: LexborHTMLParser) -> dict[str, str]:
    content = page.css_first("meta[http-equiv=Content-Security-Policy]").attributes["content"] or ""
    return dict(directive.strip().split(" ", 1) for directive in content.split(";"))


def said_in(section: LexborNode) -> list[tuple[str, str]]:
    return [(p.css_first(".time").text(), p.css_first(".said").text()) for p in section.css("p")]


def test_the_page_is_whole_on_a_machine_whose_encoding_is_ascii() -> None:
    code = (
        "import locale, sys; from avskrift import formats; from avskrift.transcript import Transcript\n"
        "assert locale.getpreferredencoding(False).lower() != 'utf-8'\n"
        "sys.stdout.buffer.write(formats.write(Transcript(None, 5.0, 0.0, 'base'), 'html'))"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    # Without ``site``, which reads the paths of editable installs in the machine's encoding, whatever they hold.
    ascii_only["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=os.environ | ascii_only, capture_output=True, check=True
    )
    assert done.stdout == formats.write(SILENCE, "html")


def test_it_begins_with_what_the_recording_is() -> None:
    page = parsed(INTERVIEW)
    assert texts(page, "h1") == texts(page, "title") == ["Sammanträde 12"]
    facts = dict(zip(texts(page, "dt"), texts(page, "dd"), strict=True))
    assert facts["Längd"] == "01:02:05"
    assert facts["Talare"] == "Anna Lind, Bo Ek"
    assert texts(page, ".notes li") == ["The file is cut short."]


def test_turns_have_their_speaker_and_paragraphs_their_time() -> None:
    turns = [(section.css_first("h2").text(), said_in(section)) for section in parsed(INTERVIEW).css(".turn")]
    assert turns == [
        ("Anna Lind", [("00:00:00", "Välkommen hit. Vad har du & de andra <gjort>?")]),
        ("Bo Ek", [("00:00:04", "Vi har räknat."), ("00:00:09", "Länge.")]),
        ("Anna Lind", [("01:00:00", "Thank you.")]),
    ]


def test_languages_are_told_for_those_who_listen_to_pages() -> None:
    page = parsed(INTERVIEW)
    assert page.css_first("html").attributes["lang"] == page.css_first("main").attributes["lang"] == "sv"
    assert [node.text() for node in page.css("span[lang=en]")] == ["Thank you."]
    english = parsed(replace(INTERVIEW, language="fi"))
    assert (english.css_first("html").attributes["lang"], english.css_first("main").attributes["lang"]) == ("en", "fi")


def test_every_time_is_a_link_to_its_paragraph() -> None:
    page = parsed(INTERVIEW)
    anchors = [node.attributes["id"] for node in page.css("main p")]
    assert [node.attributes["href"] for node in page.css(".time")] == [f"#{anchor}" for anchor in anchors]
    assert anchors == ["t500", "t4000", "t9000", "t3600000"]


def test_paragraphs_of_one_moment_have_anchors_of_their_own() -> None:
    both = (spoken("Hej.", 1.0, "s1"), spoken("Hej.", 1.0, "s2"))
    assert [node.attributes["id"] for node in parsed(replace(INTERVIEW, segments=both)).css("main p")] == [
        "t1000",
        "t1000-2",
    ]


def test_words_have_their_times_where_there_is_something_to_play() -> None:
    first = parsed(INTERVIEW, "talk.mp3").css_first("[data-t]")
    assert (first.attributes["data-t"], first.attributes["data-e"]) == ("500", "1100")
    assert first.attributes["data-w"] == "0 500 10 800"
    assert parsed(INTERVIEW).css_first("[data-w]") is None
    assert parsed(INTERVIEW).css_first("audio") is None


def test_words_are_placed_as_scripts_count_letters() -> None:
    said = (spoken("👩‍👩‍👧‍👦 é 𝔸b slut", 0.0),)
    place = parsed(replace(INTERVIEW, segments=said), "talk.mp3").css_first("[data-w]").attributes["data-w"] or ""
    units = "👩‍👩‍👧‍👦 é 𝔸b slut".encode("utf-16-le")
    for at, word in zip(map(int, place.split()[::2]), said[0].words, strict=True):
        assert units[2 * at :].decode("utf-16-le").startswith(word.text)


def test_a_word_that_stands_only_much_later_does_not_take_the_ones_between_with_it() -> None:
    text = "Hej och välkomna till dagens sammanträde med nämnden för slut."
    words = (Word(0.0, 0.2, "slut."), Word(0.2, 0.4, "Hej"), Word(0.4, 0.6, "och"))
    page = parsed(replace(INTERVIEW, segments=(Segment(0.0, 1.0, text, words),)), "a.mp3")
    assert [span.attributes["data-w"] for span in page.css("span[data-w]")] == ["0 200 4 400"]


def test_nothing_is_fetched_and_no_script_runs_but_its_own() -> None:
    html = written(INTERVIEW)
    page = LexborHTMLParser(html)
    policy = policy_of(page)
    assert policy["default-src"] == policy["media-src"] == policy["base-uri"] == "'none'"
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert not page.css("[src], [srcset], link, [style]")
    assert not [name for node in page.css("*") for name in node.attributes if name.startswith("on")]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.org/talk.mp3?sig=a&b=c", "https:"),
        ("HTTP://example.org/talk.mp3", "http: https:"),
        ("talk.mp3", "'self' file:"),
        ("../ljud/m%C3%B6te.ogg", "'self' file:"),
    ],
)
def test_recordings_are_played_from_where_they_are_said_to_be(url: str, allowed: str) -> None:
    page = parsed(INTERVIEW, url)
    assert page.css_first("audio").attributes["src"] == url
    assert policy_of(page)["media-src"] == allowed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:audio/wav;base64,AA==",
        "file:///etc/passwd",
        "//example.org/talk.mp3",
        "\\\\example.org\\talk.mp3",
        "https:///talk.mp3",
        "https:talk.mp3",
        "http://[::1/talk.mp3",
        "C:\\talk.mp3",
        "ftp://example.org/talk.mp3",
        "https://example.org/<talk>.mp3",
        "\ud800",
    ],
)
def test_an_address_that_no_page_should_play_is_refused(url: str) -> None:
    with pytest.raises(BadOptions, match="https://"):
        written(INTERVIEW, url)


def test_silence_says_so() -> None:
    assert texts(parsed(SILENCE), "main") == ["No speech was found in the recording."]


@settings(max_examples=25)
@given(transcripts)
def test_any_transcript_is_shown_as_it_is_and_adds_no_markup(transcript: Transcript) -> None:
    page = parsed(transcript, "talk.mp3")
    assert {node.tag for node in page.css("*")} <= ELEMENTS
    assert len(page.css("script")) == 1
    names, paragraphs = speaker_names(transcript), list(paragraphs_of(transcript))
    shown = [said for section in page.css(".turn") for said in said_in(section)]
    assert shown == [(clock_s(each.start_s), each.text) for each in paragraphs]
    speakers = [names[each.speaker] for each in paragraphs if each.starts_turn and names[each.speaker]]
    assert [node.text() for node in page.css(".turn h2")] == speakers
    assert not [name for node in page.css("*") for name in node.attributes if name.startswith("on")]
