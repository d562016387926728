"""What ffmpeg, by which most players read subtitles, makes of our files."""

from __future__ import annotations

from io import BytesIO

import av
import pytest
from hypothesis import given

from avskrift.formats.cues import Cue
from avskrift.formats.overrides import WORD_JOINER, without_overrides
from avskrift.transcript import Transcript
from tests.formats.subtitles import DIALOGUE, OFTEN, TALK, ReadCue, cues_of, line, rendered, transcripts, written

DEMUXERS = {"srt": "srt", "vtt": "webvtt", "ass": "ass"}
LATE = Cue(36_000_000, 36_001_000, (line((36_000_000, 36_001_000, r"<b>x</b> {\an8} a\Nb &amp; --> c")),))


def read(content: str, name: str) -> list[ReadCue]:
    """The cues as decoded for libass."""
    cues = []
    with av.open(BytesIO(content.encode()), format=DEMUXERS[name]) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            start_ms, length_ms = (
                round(1000 * (ticks or 0) * packet.time_base) for ticks in (packet.pts, packet.duration)
            )
            for subtitle in packet.decode() if packet.size else []:
                cues.append(ReadCue(start_ms, start_ms + length_ms, _text(subtitle.ass.decode())))
    return cues


def _text(event: str) -> str:
    """What stands in an event after its eight fields; ffmpeg itself escapes the braces of WebVTT."""
    return _to_the_eye(event.split(",", 8)[8].replace(r"\N", "\n").replace("\\{{}", "{"))


def _to_the_eye(text: str) -> str:
    return without_overrides(text).replace(WORD_JOINER, "").replace("→", "-->")


@pytest.mark.parametrize("name", DEMUXERS)
def test_the_same_cues_with_the_same_text(name: str) -> None:
    cues = [*DIALOGUE, LATE]
    assert read(rendered(cues, name, TALK), name) == [
        ReadCue(cue.start_ms, cue.end_ms, _to_the_eye(cue.text)) for cue in cues
    ]


@pytest.mark.parametrize("name", ["srt", "vtt"])
@OFTEN
@given(transcripts)
def test_any_transcript_has_its_cues_in_ffmpeg(name: str, transcript: Transcript) -> None:
    expected = [(cue.start_ms, cue.end_ms) for cue in cues_of(transcript)]
    if expected:
        assert [(cue.start_ms, cue.end_ms) for cue in read(written(transcript, name), name)] == expected
