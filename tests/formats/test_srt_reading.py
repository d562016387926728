"""SubRip as others leave it: without empty lines between cues."""

from __future__ import annotations

from avskrift.formats.readers import srt


def test_cues_without_empty_lines_between_are_told_by_their_numbers() -> None:
    reading = srt.read(
        "1\n00:00:01,000 --> 00:00:02,000\nHej\n2\n00:00:03,000 --> 00:00:04,000\nDu\n12\n"
        "3\n00:00:05,000 --> 00:00:06,000\nVi är\n5\n00:00:07,000 --> 00:00:08,000\nDär."
    )
    assert [segment.text for segment in reading.transcript.segments] == ["Hej", "Du 12", "Vi är 5", "Där."]
    assert reading.repairs == ("2 cues without an empty line above: told by the number that counts on.",)
