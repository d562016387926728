"""IMSC bounds how fast pictures may follow one another (its hypothetical render model, https://www.w3.org/TR/imsc-hrm/)."""

from __future__ import annotations

import random
import warnings
from xml.etree import ElementTree

import pytest

from avskrift.formats.cues import Cue
from avskrift.transcript import Segment, Transcript, Word
from tests.formats.subtitles import CUES, DIALOGUE, TALK, line, rendered, written

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from imschrm import hrm
    from ttconv.imsc import reader
    from ttconv.isd import ISD

SAID = "Det här är en helt vanlig text, som vi läser ganska fort för att se hur det går. Är den i två rader? Ja! "


class Faults(hrm.EventHandler):
    """What the model finds too much for a renderer."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def error(self, msg: str, doc_index: int, time_offset: float, *_: object) -> None:
        self.found.append(f"{msg} at {float(time_offset):.3f} s")


def faults(document: str) -> list[str]:
    model = reader.to_model(ElementTree.ElementTree(ElementTree.fromstring(document)))
    handler = Faults()
    hrm.validate(((time, ISD.from_model(model, time)) for time in ISD.significant_times(model)), handler)
    return handler.found


def fast_talk(seed: int) -> Transcript:
    """About four words a second, some of them hardly there."""
    chance = random.Random(seed)
    words, at_s = [], 0.5
    for text in (SAID * 4).split():
        length_s = chance.uniform(0.04, 0.4)
        words.append(Word(at_s, at_s + length_s, text))
        at_s += length_s + chance.choice([0, 0, 0.02, 0.3])
    segment = Segment(0.5, at_s, " ".join(word.text for word in words), tuple(words))
    return Transcript("sv", at_s + 1, at_s, "base", (segment,))


@pytest.mark.parametrize("highlight_words", [False, True])
@pytest.mark.parametrize("cues", [CUES, DIALOGUE])
def test_a_renderer_keeps_up(cues: list[Cue], highlight_words: bool) -> None:
    assert faults(rendered(cues, "ttml", TALK, highlight_words=highlight_words)) == []


@pytest.mark.parametrize("highlight_words", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_renderer_keeps_up_with_fast_talk(seed: int, highlight_words: bool) -> None:
    assert faults(written(fast_talk(seed), "ttml", highlight_words=highlight_words)) == []


def test_pictures_that_come_too_fast_are_found() -> None:
    hurried = [Cue(at_ms, at_ms + 50, (line((at_ms, at_ms + 50, "Hej och hå.")),)) for at_ms in range(0, 500, 50)]
    assert len(faults(rendered(hurried, "ttml"))) > 5
