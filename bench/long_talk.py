"""A long conversation that nobody held: a transcript of any length, as the engine would write it."""

from __future__ import annotations

import random
from collections.abc import Iterator

from avskrift.transcript import Segment, Speaker, Transcript, Word

WORDS_PER_S = 2.5
"""Over pauses and all, as Swedish is read aloud; ten hours are about 90,000 words."""
_CHUNK_S = 28.0
_SPOKEN = (
    "jag du vi det och att som på i en ett är var har inte men för med till om kan ska vill måste när där här nu då så "
    "kommunen sammanträdet protokollet hallonbergen kollektivtrafiken ordföranden budgeten frågan beslutet förslaget "
    "Stockholm Malmö Sundbyberg Anna Björn 25 procent kronor år fredag tillsammans fortfarande kommunfullmäktige"
).split()
_SPEAKERS = (Speaker("channel-1", "Channel 1"), Speaker("channel-2", "Channel 2"))


def talk(duration_s: float) -> Transcript:
    """Two speakers in turns, sentences of 3 to 18 words, pauses between; the same for the same length."""
    segments = tuple(_segments(duration_s, random.Random(7)))  # noqa: S311 - the same every time, and no secret
    return Transcript(
        language="sv",
        duration_s=duration_s,
        speech_s=sum(segment.end_s - segment.start_s for segment in segments),
        model="kb-whisper-small",
        segments=segments,
        language_probability=0.99,
        speakers=_SPEAKERS,
        engine={"name": "avskrift", "times": "aligned"},
        audit=_audit(duration_s),
    )


def _segments(duration_s: float, chance: random.Random) -> Iterator[Segment]:
    at_s, speaker = 0.5, 0
    while True:
        segment = _segment(at_s, _SPEAKERS[speaker].id, chance)
        if segment.end_s > duration_s:
            return
        yield segment
        at_s = segment.end_s + chance.choice((0.08, 0.2, 0.3, 0.5, 1.2))
        speaker = 1 - speaker if chance.random() < 0.2 else speaker


def _segment(start_s: float, speaker: str, chance: random.Random) -> Segment:
    texts = [chance.choice(_SPOKEN) for _ in range(chance.randint(3, 18))]
    if len(texts) > 8:
        texts[len(texts) // 2] += ","
    texts = [texts[0].capitalize(), *texts[1:-1], texts[-1] + chance.choice("...?")]
    words = tuple(_words(texts, start_s, chance))
    confidence = sum(word.confidence or 0.0 for word in words) / len(words)
    return Segment(start_s, words[-1].end_s, " ".join(texts), words, speaker=speaker, confidence=confidence)


def _words(texts: list[str], at_s: float, chance: random.Random) -> Iterator[Word]:
    for text in texts:
        end_s = at_s + 0.08 + 0.045 * len(text) * chance.uniform(0.7, 1.3)
        yield Word(at_s, end_s, text, chance.uniform(0.4, 1.0))
        at_s = end_s + chance.choice((0.0, 0.0, 0.02, 0.06))


def _audit(duration_s: float) -> dict[str, object]:
    starts_s = [place * _CHUNK_S for place in range(int(duration_s // _CHUNK_S))]
    chunk = {"speech_s": _CHUNK_S, "faults": [], "attempts": [], "chosen": "first"}
    chunks = [{"start_s": start_s, "end_s": start_s + _CHUNK_S, **chunk} for start_s in starts_s]
    return {"gate": {}, "chunks": chunks, "retried": 0, "speech_without_text": [], "loud_without_speech": []}
