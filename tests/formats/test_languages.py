"""One language by every tag of it: whoever names it with a region or in capitals gets what the bare code gets."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from avskrift import formats
from avskrift.formats.labels import SWEDISH, facts_of, labels_for
from avskrift.formats.pieces import pieces_of
from avskrift.formats.rendition import Rendition
from avskrift.languages import primary_language
from avskrift.transcript import Transcript
from tests.formats.documents import INTERVIEW

TAGS = ["sv", "SV", "sv-SE", "sv-Latn-FI"]


def tagged(tag: str) -> Transcript:
    return replace(INTERVIEW, language=tag)


@pytest.mark.parametrize("tag", TAGS)
def test_documents_in_swedish_are_labelled_in_swedish(tag: str) -> None:
    rendition = Rendition(tagged(tag))
    assert labels_for(rendition) is SWEDISH
    assert ("Språk", "Svenska") in facts_of(rendition, SWEDISH)


@pytest.mark.parametrize("tag", TAGS)
def test_lines_break_as_in_swedish(tag: str) -> None:
    assert pieces_of(tagged(tag))[0].language == "sv"


@pytest.mark.parametrize("tag", TAGS)
def test_a_manifest_names_swedish_by_three_letters(tag: str) -> None:
    assert b'system-language="swe"' in formats.write(tagged(tag), "smil")


@pytest.mark.parametrize("tag", TAGS)
def test_verbose_json_names_swedish_in_english(tag: str) -> None:
    assert json.loads(formats.write(tagged(tag), "verbose_json"))["language"] == "swedish"


@pytest.mark.parametrize("tag", [None, ""])
def test_no_tag_is_no_language(tag: str | None) -> None:
    assert primary_language(tag) == ""
