"""Transcripts for the subtitle tests: an ordinary one, hostile ones, and what all subtitle files are held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from avskrift import formats
from avskrift.formats import FORMATS, RenderOptions
from avskrift.formats.cues import Cue, Fragment, Line
from avskrift.formats.rendition import Rendition
from avskrift.transcript import Segment, Speaker, Transcript, Word

TRANSCRIPT = Transcript("sv", 12.0, 4.2, "base")
SILENCE = Transcript(None, 5.0, 0.0, "base")
TALK = replace(
    TRANSCRIPT,
    segments=(Segment(0.0, 5.0, "Hej! Hur mår du?", speaker="s1"), Segment(1.0, 7.0, "Tjena. Bra.", speaker="s2")),
    speakers=(Speaker("s1", "Anna <&> Öberg"), Speaker("s2", "Bo, den äldre")),
)
#: How often a property is tried; a machine that is busy is no fault.
OFTEN = settings(max_examples=60, deadline=None)


def line(*fragments: tuple[int, int, str], speaker: str | None = None) -> Line:
    return Line(tuple(Fragment(*fragment) for fragment in fragments), speaker)


CUES = [
    Cue(500, 2000, (line((500, 900, "Hej "), (900, 1100, "& "), (1100, 2000, "välkommen!")),)),
    Cue(2100, 3000, (line((2100, 2500, "1 < 2 ")), line((2500, 3000, "--> sant.")))),
    Cue(8000, 9000, (line((8000, 9000, "Slut.")),)),
]
DIALOGUE = [
    Cue(0, 2000, (line((0, 900, "- Hej!"), speaker="s1"), line((950, 1800, "- Tjena."), speaker="s2"))),
    Cue(3000, 5000, (line((3000, 4000, "Hur mår"), speaker="s1"), line((4000, 5000, "du?"), speaker="s1"))),
    Cue(6000, 7000, (line((6000, 7000, "Bra."), speaker="s2"),)),
]

HOSTILE = [
    "00:00:01,000 --> 00:00:02,000",
    "a\n\nb",
    "WEBVTT",
    "NOTE",
    "&amp; <i>kursivt</i> <v Bo> <00:00:01.000>",
    "{\\an8}upp{y:i} {b}",
    "a\\Nb\\nc\\hd \\{x\\}",
    "]]> <![CDATA[ <!-- -->",
    "1\n2",
    "\ufeffbom\u2028rad\u2029stycke\x85",
    "\x00\x01\x1b\x7f\x9f styrtecken",
    "\ud800 ensam \udfff",
    "\ufffe\uffff icke-tecken",
    "👩‍👩‍👧‍👦 🏳️‍🌈 é é",
    "مرحبا بالعالم (שלום) abc",
    "字幕の幅は二倍です。",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "-- > -->-->",
    "x,y\tz",
]
texts = st.text(max_size=40) | st.sampled_from(HOSTILE)
times_s = st.floats(0, 40_000) | st.floats() | st.sampled_from([-1.0, 0.0, 59.9996, 3599.9996, 359_999.9999])
lengths_s = st.sampled_from([0.0, 0.001, 0.2, 1.3, 9.0, -1.0])


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    """Any segment, with words or without, by somebody or nobody."""
    start_s = draw(times_s)
    if draw(st.booleans()):
        return Segment(start_s, start_s + draw(st.floats(0, 60)), draw(texts), speaker=draw(speakers))
    words, at_s = [], start_s
    for text in draw(st.lists(texts, min_size=1, max_size=12)):
        at_s += draw(st.sampled_from([0.0, 0.001, 0.05, 0.99, 1.5]))
        end_s = at_s + draw(lengths_s)
        words.append(Word(at_s, end_s, text))
        at_s = max(at_s, end_s)
    spoken = draw(st.sampled_from([" ", ""])).join(word.text for word in words)
    return Segment(start_s, at_s, spoken, tuple(words), speaker=draw(speakers))


speakers = st.sampled_from([None, None, "s1", "s2", "<okänd>"])
transcripts = st.builds(
    lambda found, language, model: Transcript(
        language, 500_000.0, 1.0, model, tuple(found), speakers=(Speaker("s1", "Anna <&>\n-->"), Speaker("s2", "\x00"))
    ),
    st.lists(segments(), max_size=6),
    st.sampled_from([None, "sv", "ar", "jw", "x\n-->", ""]),
    st.sampled_from(["base", "-->\n\nx <b>", ""]),
)


@dataclass(frozen=True)
class ReadCue:
    """A cue as a parser has it."""

    start_ms: int
    end_ms: int
    text: str


def written(transcript: Transcript, name: str, /, **options: Any) -> str:
    """From a transcript, as the command line does."""
    return formats.write(transcript, name, RenderOptions(**options)).decode()


def rendered(cues: list[Cue], name: str, transcript: Transcript = TRANSCRIPT, /, **options: Any) -> str:
    """From cues, whatever they were built by."""
    rendition = Rendition(transcript, RenderOptions(**options))
    rendition.__dict__["cues"] = cues
    content = FORMATS[name].render(rendition)
    return content if isinstance(content, str) else content.decode()


def cues_of(transcript: Transcript) -> list[Cue]:
    return Rendition(transcript).cues


def expected(transcript: Transcript) -> list[ReadCue]:
    return [ReadCue(cue.start_ms, cue.end_ms, cue.text) for cue in cues_of(transcript)]


def joined(moments: list[ReadCue]) -> list[ReadCue]:
    """Moments that follow one another with the same text as the cue they are of."""
    cues: list[ReadCue] = []
    for moment in moments:
        if cues and cues[-1].end_ms == moment.start_ms and cues[-1].text == moment.text:
            cues[-1] = replace(cues[-1], end_ms=moment.end_ms)
        else:
            cues.append(moment)
    return cues


def assert_in_order(cues: list[ReadCue]) -> None:
    """What holds for any subtitle file: positive lengths, order, no overlap."""
    assert all(0 <= cue.start_ms < cue.end_ms for cue in cues)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))
