"""OpenAI's ``verbose_json``, as its transcription API answers (docs/verbose-json.md says where each value is from).

Source: https://platform.openai.com/docs/api-reference/audio/verbose-json-object. What nobody measured is null, never
made up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avskrift import json_text
from avskrift.formats.format import Format
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import finite, tidy_segments, tidy_words
from avskrift.languages import LANGUAGE_NAMES, primary_language
from avskrift.transcript import Segment, Transcript

#: ``seek`` counts frames of 10 ms.
_FRAMES_PER_S = 100


def render(rendition: Rendition) -> str:
    """One object; ``words`` only where words were aligned."""
    transcript = rendition.transcript
    segments = tidy_segments(transcript)
    chunks = _Chunks.of(transcript)
    answer: dict[str, Any] = {
        "task": transcript.engine.get("task", "transcribe"),
        "language": LANGUAGE_NAMES.get(primary_language(transcript.language), transcript.language or ""),
        "duration": _seconds(finite(transcript.duration_s) or 0.0),
        "text": " ".join(segment.text for segment in segments),
        "segments": [_segment(number, segment, chunks) for number, segment in enumerate(segments)],
    }
    words = [word for segment in segments for word in tidy_words(segment)]
    if words:
        answer["words"] = [
            {"word": word.text, "start": _seconds(word.start_s), "end": _seconds(word.end_s)} for word in words
        ]
    return json_text.dump(answer)


def _segment(number: int, segment: Segment, chunks: _Chunks) -> dict[str, Any]:
    chunk = chunks.at(segment.start_s)
    return {
        "id": number,
        "seek": int(_began_s(chunk, segment) * _FRAMES_PER_S),
        "start": _seconds(segment.start_s),
        "end": _seconds(segment.end_s),
        "text": f" {segment.text}",
        "tokens": [],
        "temperature": chunks.temperature,
        "avg_logprob": _measured(chunk, "log_probability"),
        "compression_ratio": _compression(segment.text),
        "no_speech_prob": _measured(chunk, "no_speech_probability"),
    }


def _began_s(chunk: Mapping[str, Any], segment: Segment) -> float:
    """When the chunk began in which this was decoded, as far as that can be."""
    start_s: float = chunk.get("start_s", segment.start_s)
    return max(0.0, min(start_s, segment.start_s))


def _seconds(value: float) -> float:
    return round(value, 3)


def _compression(text: str) -> float:
    """Bytes of the text per byte of it compressed, as openai/whisper counts."""
    import zlib

    encoded = text.encode()
    return round(len(encoded) / len(zlib.compress(encoded)), 3)


def _measured(chunk: Mapping[str, Any], name: str) -> float | None:
    """What the attempt that was taken measured, where the audit tells attempts."""
    for attempt in _objects(chunk.get("attempts")):
        if attempt.get("how") == chunk.get("chosen"):
            return _number(attempt.get(name))
    return None


def _number(value: Any) -> float | None:
    """Of an audit that may have come from a file, where anything can be: None for what is no number."""
    try:
        return finite(float(value)) if isinstance(value, float | int) else None
    except OverflowError:  # a whole number beyond all floats
        return None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@dataclass(frozen=True)
class _Chunks:
    """The audit's chunks, in order of time."""

    starts_s: Sequence[float]
    entries: Sequence[Mapping[str, Any]]
    temperature: float | None
    """The engine never samples; what another program did is not known."""

    @classmethod
    def of(cls, transcript: Transcript) -> _Chunks:
        chunks = _objects(transcript.audit.get("chunks"))
        told = [chunk for chunk in chunks if _number(chunk.get("start_s")) is not None]
        entries = sorted(told, key=lambda chunk: chunk["start_s"])
        sampled_never = transcript.engine.get("name") == "avskrift"
        return cls([entry["start_s"] for entry in entries], entries, 0.0 if sampled_never else None)

    def at(self, second: float) -> Mapping[str, Any]:
        """The chunk that was decoded when this second was; empty where no chunk is known."""
        position = bisect_right(self.starts_s, second) - 1
        return self.entries[max(0, position)] if self.entries else {}


FORMAT = Format(
    name="verbose_json",
    extension="verbose.json",
    content_type="application/json",
    needs_word_times=True,
    render=render,
)
