"""Chunks whose text is known to be good or to have failed: recordings as they are, and failures planted in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avskrift.asr.packing import CHUNK_S, Chunk, pack
from avskrift.asr.vad import SpeechSpan, speech_spans
from avskrift.audio import SAMPLE_RATE_HZ, Samples, load
from avskrift.local.settings import CHECKOUT
from bench.gate import plants

GOOD = "good"
#: Covered, but every second word wrong with a base model: must pass, or the gate costs the speed for nothing.
BADLY_HEARD = "badly heard"
WRONG_LANGUAGE = "wrong language"
#: Talk of four at once that greedy decoding loops on: found, not planted.
REAL_LOOP = "real loop"

#: Chunks as the engine packs them, and as short as they come at a recording's end.
_LENGTHS_S = (CHUNK_S, 7.0)
_RECORDINGS = {
    "en_jfk.flac": "en",
    "en_ls_1688-142285-0001.flac": "en",
    "multi_ls_2spk.flac": "en",
    "multi_ls_4spk.flac": "en",
    "multi_ami_pyannote_dev00.flac": "en",
    "multi_ami_pyannote_trn03.flac": "en",
}
_BADLY_HEARD = "sv_espeak_10min.flac"
_REAL_LOOP = "multi_ami_pyannote_tst00.flac"


@dataclass(frozen=True)
class Case:
    """A chunk, the language it is decoded in, and what is wrong with it."""

    kind: str
    name: str
    chunk: Chunk
    language: str
    spoil_text: Callable[[Sequence[Sequence[int]]], list[int]] | None = None
    """Makes other tokens of what was decoded at first, given word by word."""


def cases(*, every: bool) -> list[Case]:
    """All of them, or without the second halves of the biggest kinds.

    The corpus is taken where it is (``AVSKRIFT_CORPUS``); the project's samples always.
    """
    return _all() if every else _thinned(_all())


def _thinned(cases: Sequence[Case]) -> list[Case]:
    """Every second case of the kinds of which there are many; short chunks and spoiled speech cost the most time."""
    short = [case for case in cases if case.kind == GOOD and not _is_whole(case)]
    spoiled = [case for case in cases if case.kind in plants.SPOILED_SPEECH]
    left_out = {id(case) for case in (*short[1::2], *spoiled[1::2])}
    return [case for case in cases if id(case) not in left_out]


def _is_whole(case: Case) -> bool:
    return case.name.endswith(f"/{CHUNK_S:.0f}")


def _all() -> list[Case]:
    recordings = list(_recordings())
    good = [case for case in recordings if case.kind == GOOD]
    whole = [case for case in good if _is_whole(case)]
    long = [case for case in whole if case.chunk.clock.duration_s >= 2 * plants.SHORT_S]
    return [
        *recordings,
        *(_spoiled(case, kind, make) for case in whole for kind, make in plants.SPOILED_SPEECH.items()),
        *(replace(case, kind=WRONG_LANGUAGE, language="sv" if case.language == "en" else "en") for case in whole),
        *(
            replace(case, kind=kind, spoil_text=spoil)
            for case in long[::2]
            for kind, spoil in plants.SPOILED_TEXT.items()
        ),
        *(
            Case(kind, f"{number}", one_span(sound), ("sv", "en")[number // 2 % 2])
            for number, (kind, sound) in enumerate(plants.without_speech())
        ),
    ]


def chunks_of(samples: Samples, length_s: float = CHUNK_S) -> list[Chunk]:
    """The speech in it, packed."""
    blocks = (samples[at : at + SAMPLE_RATE_HZ] for at in range(0, len(samples), SAMPLE_RATE_HZ))
    return list(pack(speech_spans(blocks), length_s))


def one_span(samples: Samples) -> Chunk:
    """As if VAD had taken all of it for speech."""
    return Chunk((SpeechSpan(0, samples),))


def _recordings() -> Iterator[Case]:
    corpus = Path(os.environ.get("AVSKRIFT_CORPUS") or CHECKOUT.parent / "shared" / "audio")
    known = {corpus / name: language for name, language in _RECORDINGS.items()}
    known |= {CHECKOUT / "samples" / f"{language}.ogg": language for language in ("sv", "en")}
    for path, language in known.items():
        if path.exists():
            yield from _chunks(GOOD, path, language, _LENGTHS_S)
    if (corpus / _BADLY_HEARD).exists():
        yield from _chunks(BADLY_HEARD, corpus / _BADLY_HEARD, "sv", (CHUNK_S,))
    if (corpus / _REAL_LOOP).exists():
        yield from _chunks(REAL_LOOP, corpus / _REAL_LOOP, "en", (CHUNK_S,))


def _chunks(kind: str, path: Path, language: str, lengths_s: Sequence[float]) -> Iterator[Case]:
    samples = load(path)
    for length_s in lengths_s:
        for number, chunk in enumerate(chunks_of(samples, length_s)):
            yield Case(kind, f"{path.stem}/{number}/{length_s:.0f}", chunk, language)


def _spoiled(case: Case, kind: str, make: Callable[[Samples], Samples]) -> Case:
    return replace(case, kind=kind, chunk=one_span(make(case.chunk.samples)))
