"""The manifest for Wowza: its elements as Wowza documents them, whatever files are called."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.errors import BadOptions
from avskrift.formats.writers.smil import NOMINAL_BITRATE
from avskrift.languages import ISO_639_2, LANGUAGES
from avskrift.transcript import Transcript
from tests.formats.subtitles import HOSTILE, OFTEN, SILENCE, TRANSCRIPT, rendered


def switch(**options: object) -> ElementTree.Element:
    root = ElementTree.fromstring(rendered([], "smil", options.pop("transcript", TRANSCRIPT), **options))
    assert [child.tag for child in root] == ["head", "body"]
    assert [child.tag for child in root[1]] == ["switch"]
    assert [child.tag for child in root[1][0]] == ["video", "textstream"]
    return root[1][0]


def test_a_video_with_its_captions() -> None:
    assert rendered([], "smil", name="möte", media_url="m%C3%B6te.mp4", media_bitrate=2_500_000) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<smil title="möte">\n'
        "  <head />\n"
        "  <body>\n"
        "    <switch>\n"
        '      <video src="mp4:möte.mp4" system-bitrate="2500000" />\n'
        '      <textstream src="möte.ttml" system-language="swe">\n'
        '        <param name="isWowzaCaptionStream" value="true" valuetype="data" />\n'
        "      </textstream>\n"
        "    </switch>\n"
        "  </body>\n"
        "</smil>\n"
    )


@pytest.mark.parametrize(
    ("media_url", "source"),
    [
        (None, "mp4:transcript.mp4"),
        ("https://example.org/a/b%20c.mp4?x=1#t=5", "mp4:b c.mp4"),
        ("../video/film.MOV", "mp4:../video/film.MOV"),
        ("film.flv", "flv:film.flv"),
        ("ljud.mp3", "mp3:ljud.mp3"),
        ("https://example.org/", "mp4:transcript.mp4"),
    ],
)
def test_the_video_is_a_file_of_the_content_folder(media_url: str | None, source: str) -> None:
    assert switch(media_url=media_url)[0].get("src") == source


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(BadOptions, match="address"):
        switch(media_url="javascript:alert(1)")


def test_an_unknown_bit_rate_is_nominal_and_an_unknown_language_left_out() -> None:
    video, captions = switch(transcript=SILENCE)
    assert video.get("system-bitrate") == str(NOMINAL_BITRATE)
    assert captions.keys() == ["src"]


@pytest.mark.parametrize(("language", "code"), [("de", "deu"), ("jw", "jav"), ("yue", "yue"), ("sv-FI", "swe")])
def test_languages_have_three_letters(language: str, code: str) -> None:
    assert switch(transcript=Transcript(language, 1.0, 1.0, "base"))[1].get("system-language") == code


def test_every_language_of_the_models_has_three_letters() -> None:
    assert {language for language in LANGUAGES if len(language) == 2} - ISO_639_2.keys() == {"jw"}
    assert all(len(code) == 3 for code in ISO_639_2.values())
    assert len(set(ISO_639_2.values())) == len(ISO_639_2)


def test_a_recording_whose_address_nobody_knows_goes_by_its_name() -> None:
    assert switch(media_name="möte  1.flv")[0].get("src") == "flv:möte  1.flv"
    assert switch(media_name="a.mp4", media_url="b.mp4")[0].get("src") == "mp4:b.mp4"


@OFTEN
@given(st.text() | st.sampled_from([*HOSTILE, "my  talk", " a\tb\n"]))
def test_files_keep_their_names_or_are_refused(name: str) -> None:
    unheld = {code for code in map(ord, name) if (code < 32 and code not in (9, 10, 13)) or 0xD800 <= code <= 0xDFFF}
    if unheld or {"\ufffe", "\uffff"} & set(name):
        with pytest.raises(BadOptions, match="Rename"):
            switch(name=name)
    else:
        video, captions = switch(name=name)
        assert captions.get("src") == f"{name}.ttml"
        assert video.get("src") == f"mp4:{name}.mp4"


def test_an_address_of_bytes_that_are_no_text_is_refused() -> None:
    with pytest.raises(BadOptions, match="Rename"):
        switch(media_url="m%F6te.mp4")
