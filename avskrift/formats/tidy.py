"""What documents and tables are made of: segments in order, with times and text that any format can hold."""

from __future__ import annotations

import math
from dataclasses import replace

from avskrift.formats.cues import clock
from avskrift.formats.pieces import LATEST_S, text_of, to_ms
from avskrift.formats.plain_text import plain
from avskrift.transcript import Segment, Transcript, Word


def tidy_segments(transcript: Transcript) -> list[Segment]:
    """Those in which something is said, by start; text plain, times finite, not negative, no end before its start.

    Their words stay as they are: ``tidy_words`` is for the formats that show them.
    """
    segments = (_tidy(segment) for segment in transcript.segments)
    return sorted((segment for segment in segments if segment.text), key=lambda segment: segment.start_s)


def tidy_words(segment: Segment) -> list[Word]:
    """A tidy segment's words that have text, as tidy as it is; a time that is no number is the segment's start."""
    words = []
    for word in segment.words:
        text = plain(word.text)
        if text:
            start_s = _seconds(word.start_s, segment.start_s)
            words.append(Word(start_s, max(start_s, _seconds(word.end_s, start_s)), text, finite(word.confidence)))
    return words


def speaker_names(transcript: Transcript) -> dict[str | None, str]:
    """What a reader sees for each segment's ``speaker``: the name, else the id; empty where nobody told them apart."""
    named = {speaker.id: plain(speaker.name) for speaker in transcript.speakers}
    names: dict[str | None, str] = {None: ""}
    for segment in transcript.segments:
        if segment.speaker is not None:
            names[segment.speaker] = named.get(segment.speaker) or plain(segment.speaker)
    return names


def clock_s(seconds: float) -> str:
    """``HH:MM:SS``, as players show it: the second that has begun."""
    return clock(to_ms(seconds), ".").partition(".")[0]


def finite(value: float | None) -> float | None:
    """As it is; None for what is no number, as times and probabilities of other programs may be."""
    return value if value is not None and math.isfinite(value) else None


def _tidy(segment: Segment) -> Segment:
    start_s = _seconds(segment.start_s, 0.0)
    end_s = max(start_s, _seconds(segment.end_s, start_s))
    text, confidence = text_of(segment), finite(segment.confidence)
    return replace(segment, start_s=start_s, end_s=end_s, text=text, confidence=confidence)


def _seconds(value: float, otherwise: float) -> float:
    return min(max(0.0, value), LATEST_S) if math.isfinite(value) else otherwise
