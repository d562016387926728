"""The registry, and what holds for every format in it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings

from avskrift import formats
from avskrift.errors import BadOptions
from avskrift.formats import FORMATS, RenderOptions, check_formats
from avskrift.transcript import Transcript
from tests.formats.documents import INTERVIEW, SILENCE, audited

#: What only some formats need, or nobody who reads the registry.
HEAVY = ("numpy", "av", "ctranslate2", "boto3", "rich", "docx", "lxml", "jinja2", "pysubs2")
#: Of the standard library, what takes its time to import and one format needs.
HEAVY += ("zipfile", "zlib", "hashlib", "base64", "html", "xml")


def test_an_unknown_format_gets_the_list_of_those_that_exist() -> None:
    with pytest.raises(BadOptions, match=r"pdf.*json, .*srt"):
        formats.write(INTERVIEW, "pdf")
    check_formats(FORMATS)


def test_no_two_formats_write_to_the_same_file() -> None:
    assert len({each.extension for each in FORMATS.values()}) == len(FORMATS)


def test_the_registry_needs_no_library_of_a_single_format() -> None:
    code = f"import avskrift.formats, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("transcript", [INTERVIEW, SILENCE], ids=["interview", "silence"])
def test_the_same_transcript_gives_the_same_bytes(name: str, transcript: Transcript) -> None:
    options = RenderOptions(media_url="talk.mp3", timestamps=True)
    assert formats.write(transcript, name, options) == formats.write(transcript, name, options)


@settings(max_examples=5)
@given(audited)
def test_any_transcript_can_be_written_in_every_format(transcript: Transcript) -> None:
    written = dict(formats.write_all(transcript, FORMATS, RenderOptions(media_url="talk.mp3")))
    assert list(written) == list(FORMATS)
    assert all(isinstance(content, bytes) for content in written.values())
