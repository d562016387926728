"""Plain text."""

from __future__ import annotations

from hypothesis import given, settings

from avskrift import formats
from avskrift.formats import RenderOptions
from avskrift.formats.paragraphs import paragraphs_of
from avskrift.transcript import Segment, Transcript
from tests.formats.documents import INTERVIEW, SILENCE, transcripts


def write(transcript: Transcript, **options: bool) -> str:
    return formats.write(transcript, "txt", RenderOptions(**options)).decode()


def test_a_paragraph_for_each_stretch_of_speech() -> None:
    segments = (Segment(0.4, 2.0, "Hej & välkommen!"), Segment(2.1, 3.0, "1 < 2 --> sant."), Segment(8.0, 9.0, "Slut."))
    transcript = Transcript("sv", 12.0, 4.2, "base", segments)
    assert write(transcript) == "Hej & välkommen! 1 < 2 --> sant.\n\nSlut.\n"


def test_who_speaks_is_named() -> None:
    assert write(INTERVIEW) == (
        "Anna Lind: Välkommen hit. Vad har du & de andra <gjort>?\n\n"
        "Bo Ek: Vi har räknat.\n\n"
        "Bo Ek: Länge.\n\n"
        "Anna Lind: Thank you.\n"
    )


def test_paragraphs_say_when_they_begin_where_asked() -> None:
    first, *_, last = write(INTERVIEW, timestamps=True).splitlines()
    assert first == "[00:00:00] Anna Lind: Välkommen hit. Vad har du & de andra <gjort>?"
    assert last == "[01:00:00] Anna Lind: Thank you."


def test_silence_is_an_empty_file() -> None:
    assert write(SILENCE) == ""


@settings(max_examples=50)
@given(transcripts)
def test_any_transcript_reads_back_as_its_paragraphs(transcript: Transcript) -> None:
    written = write(transcript)
    read = written.removesuffix("\n").split("\n\n") if written else []
    paragraphs = list(paragraphs_of(transcript))
    assert len(read) == len(paragraphs)
    assert all(line.endswith(paragraph.text) for line, paragraph in zip(read, paragraphs, strict=True))
