"""The lines of a checkpoint to values and back.

A checkpoint may have been cut, damaged or written by another version, so nothing in it is believed: every number has
its range, every span its place, and the network's state its shape. ``Broken`` is raised for what is not so.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np

from avskrift.asr.audit import ChunkAudit
from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.language import DetectedLanguage
from avskrift.asr.packing import CHUNK_S, ChunkClock
from avskrift.asr.reading import ChunkBounds, ResumePoint
from avskrift.asr.vad import MAX_SPAN_S, STATE_SHAPE, WINDOW_SAMPLES, SpeechState, Turns
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from avskrift.languages import LANGUAGES

#: What waits behind a window's end comes from one block, which holds far less.
MAX_WAITING_CHUNKS = 16
#: No recorder has more.
MAX_CHANNELS = 64
#: Two years of sound; no number of samples is bigger.
_MAX_SAMPLES = 1 << 40
_MAX_SPAN = round(MAX_SPAN_S * SAMPLE_RATE_HZ)
_MAX_CHUNK = round(CHUNK_S * SAMPLE_RATE_HZ)


class Broken(Exception):
    """A line that is torn, damaged or not of this format."""


@dataclass(frozen=True)
class FinishedWindow:
    """A window whose text is there, and where to go on."""

    chunks: tuple[DecodedChunk, ...]
    after: ResumePoint
    channel: int | None = None
    """None where all channels were mixed."""


def parse(line: bytes) -> dict[str, Any]:
    """A whole line's object."""
    try:
        value = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError) as error:
        raise Broken("no JSON") from error
    return _object(value)


def language_from(value: Any) -> DetectedLanguage:
    said = _object(value)
    return DetectedLanguage(_language_code(said.get("code")), _number(said.get("probability"), 0, 1 + 1e-6))


def window_line(window: FinishedWindow) -> dict[str, Any]:
    speech = window.after.speech
    return {
        "channel": window.channel,
        "chunks": [
            {
                "spans": chunk.clock.spans,
                "words": [astuple(word) for word in chunk.words],
                "language": chunk.language,
                "audit": chunk.audit.to_dict(),
            }
            for chunk in window.chunks
        ],
        "resume": {
            "speech": _speech_line(speech) if speech else None,
            "waiting": window.after.waiting,
            "open": window.after.open,
        },
    }


def window_from(value: dict[str, Any], finished_samples: Callable[[int | None], int]) -> FinishedWindow:
    """A window that begins where the one of its channel before it ended, so many samples into the recording."""
    channel = None if value.get("channel") is None else _whole(value["channel"], MAX_CHANNELS)
    place = _Place(finished_samples(channel))
    chunks = tuple(_decoded_chunk(chunk, place) for chunk in _list(value.get("chunks")))
    _require(bool(chunks), "chunks")
    resume = _object(value.get("resume"))
    waiting = _list(resume.get("waiting"))
    _require(len(waiting) <= MAX_WAITING_CHUNKS, "waiting")
    return FinishedWindow(
        chunks,
        ResumePoint(
            waiting=tuple(place.chunk(spans) for spans in waiting),
            open=place.chunk(resume.get("open"), may_be_empty=True),
            speech=None if resume.get("speech") is None else _speech(_object(resume["speech"]), place),
        ),
        channel,
    )


class _Place:
    """How far the spans read so far reach: none begins before the end of another."""

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def chunk(self, value: Any, *, may_be_empty: bool = False) -> ChunkBounds:
        spans = tuple(self._span(span) for span in _list(value))
        _require(bool(spans) or may_be_empty, "a chunk without spans")
        _require(sum(end - start for start, end in spans) <= _MAX_CHUNK, "a chunk too long")
        return spans

    def _span(self, value: Any) -> tuple[int, int]:
        start, end = _pair(value)
        _require(self.samples <= start <= end <= start + _MAX_SPAN, "a span out of place")
        self.samples = end
        return start, end


def _decoded_chunk(value: Any, place: _Place) -> DecodedChunk:
    chunk = _object(value)
    spans = place.chunk(chunk.get("spans"))
    words = tuple(_word(word) for word in _list(chunk.get("words")))
    return DecodedChunk(ChunkClock(spans), words, _language_code(chunk.get("language")), _audit(chunk.get("audit")))


def _audit(value: Any) -> ChunkAudit:
    try:
        return ChunkAudit.from_dict(value)
    except (ValueError, TypeError) as error:
        raise Broken("an audit") from error


def _language_code(value: Any) -> str:
    _require(isinstance(value, str) and value in LANGUAGES, "language")
    return str(value)


def _word(value: Any) -> AlignedWord:
    parts = _list(value)
    _require(len(parts) == 4 and isinstance(parts[0], str), "a word")
    start_s, end_s = (_number(part, 0, 2 * CHUNK_S) for part in parts[1:3])
    return AlignedWord(parts[0], start_s, end_s, _number(parts[3], 0, 1 + 1e-6))


def _speech_line(speech: SpeechState) -> dict[str, Any]:
    return {
        "heard": speech.heard,
        "hidden": base64.b64encode(speech.hidden.tobytes()).decode(),
        "cell": base64.b64encode(speech.cell.tobytes()).decode(),
        "turns": asdict(speech.turns),
    }


def _speech(value: dict[str, Any], place: _Place) -> SpeechState:
    heard = _whole(value.get("heard"))
    _require(place.samples <= heard, "spans behind what was heard")
    turns = _turns(_object(value.get("turns")))
    _require(0 <= heard - turns.position < WINDOW_SAMPLES, "the network's position")
    state = SpeechState(heard, _network_state(value.get("hidden")), _network_state(value.get("cell")), turns)
    _require(state.heard - state.tape_bounds[0] <= 2 * _MAX_SPAN, "a turn too long")
    return state


def _turns(value: dict[str, Any]) -> Turns:
    position = _whole(value.get("position"))
    _require(position % WINDOW_SAMPLES == 0, "the network's position")
    open_from, previous_end = (
        None if value.get(name) is None else _whole(value[name]) for name in ("open_from", "previous_end")
    )
    quiet_from, cut_at, resumed_at = (
        _whole(value.get(name), position) for name in ("quiet_from", "cut_at", "resumed_at")
    )
    closed = [_pair(turn) for turn in _list(value.get("closed"))]
    moments = [previous_end, *chain.from_iterable(closed), open_from, position]
    known = [moment for moment in moments if moment is not None]
    _require(all(earlier <= later for earlier, later in pairwise(known)), "turns out of order")
    return Turns(position, open_from, quiet_from, cut_at, resumed_at, closed, previous_end)


def _network_state(value: Any) -> Samples:
    try:
        numbers = np.frombuffer(base64.b64decode(value, validate=True), np.float32)
    except (TypeError, ValueError) as error:
        raise Broken("the network's state") from error
    _require(numbers.size == math.prod(STATE_SHAPE) and bool(np.isfinite(numbers).all()), "the network's state")
    return numbers.reshape(STATE_SHAPE)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Broken("no object")
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise Broken("no list")
    return value


def _pair(value: Any) -> tuple[int, int]:
    parts = _list(value)
    _require(len(parts) == 2, "no pair")
    return _whole(parts[0]), _whole(parts[1])


def _whole(value: Any, highest: int = _MAX_SAMPLES) -> int:
    if type(value) is not int or not 0 <= value <= highest:
        raise Broken("a number of samples")
    return value


def _number(value: Any, lowest: float, highest: float) -> float:
    if type(value) not in (int, float) or not lowest <= value <= highest:
        raise Broken("a number")
    return float(value)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)
