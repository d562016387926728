"""Our own JSON read back (docs/transcript-schema.md): as written, edited by hand, or put together by another program.

What has one plain meaning is mended and said; what has not is refused with a sentence that names the place.
"""

from __future__ import annotations

import json
from typing import Any

from avskrift.errors import UnsupportedMedia
from avskrift.formats.pieces import text_of
from avskrift.formats.plain_text import plain
from avskrift.formats.readers.mending import is_number, is_time, mended, span_of
from avskrift.formats.readers.reading import Reading
from avskrift.formats.readers.repairs import Repairs
from avskrift.json_text import HALF_CHARACTERS
from avskrift.transcript import SCHEMA_NAME, SCHEMA_VERSION, UNKNOWN_MODEL, Segment, Speaker, Transcript, Word

_MAX_DEPTH = 100
_TOO_DEEP = f"This JSON is nested more than {_MAX_DEPTH} levels deep: no transcript is."
_READ = f"avskrift reads its own json (schema {SCHEMA_NAME}, version {SCHEMA_VERSION}), srt and vtt"


def read(text: str) -> Reading:
    """The transcript in ``text``, and what was mended; raises ``UnsupportedMedia`` where nothing plain is meant."""
    repairs = Repairs()
    data = _parsed(text, repairs)
    _require_ours(data, repairs)
    top = _Fields(data)
    segments = mended([_segment(item, place, repairs) for place, item in enumerate(_segments(data))], repairs)
    transcript = Transcript(
        language=top.get("language", str, None),
        language_probability=_share(top.get("language_probability", float, None), repairs),
        duration_s=_duration_s(data, segments, repairs),
        speech_s=_speech_s(data, segments),
        model=top.get("model", str, None) or UNKNOWN_MODEL,
        segments=segments,
        speakers=_speakers(top.get("speakers", list, []), segments, repairs),
        engine=_carried(top.get("engine", dict, {}), repairs),
        warnings=tuple(item for item in top.get("warnings", list, []) if isinstance(item, str)),
        audit=_carried(top.get("audit", dict, {}), repairs),
    )
    _note_left_out(top, data, transcript, repairs)
    return Reading(transcript, repairs.sentences())


def _parsed(text: str, repairs: Repairs) -> dict[str, Any]:
    strange: list[str] = []
    twice = 0

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        named = dict(pairs)
        twice += len(pairs) - len(named)
        return named

    try:
        data = json.loads(text, parse_constant=strange.append, object_pairs_hook=as_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}: {error.msg}"
        raise UnsupportedMedia(f"This is no whole JSON ({where}). Was the file cut short?") from error
    except RecursionError as error:
        raise UnsupportedMedia(_TOO_DEEP) from error
    except ValueError as error:  # all else that is known to raise one: int() of very many digits
        raise UnsupportedMedia("This JSON holds a number of thousands of digits: no transcript does.") from error
    if not isinstance(data, dict):
        raise UnsupportedMedia(f"This JSON is no transcript: {_READ}.")
    repairs.count("field", "named twice in one object: the last was taken", twice)
    repairs.count("number", "that JSON does not know (NaN, Infinity): taken as missing", len(strange))
    return _carried(data, repairs) if _may_hold_half_characters(text) else data


def _may_hold_half_characters(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return "\\ud" in text or "\\uD" in text


def _carried(value: Any, repairs: Repairs, depth: int = 0) -> Any:
    """The same value without what cannot be written again."""
    if depth > _MAX_DEPTH:
        raise UnsupportedMedia(_TOO_DEEP)
    if isinstance(value, dict):
        return {_carried(name, repairs): _carried(item, repairs, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_carried(item, repairs, depth + 1) for item in value]
    if isinstance(value, str) and HALF_CHARACTERS.search(value):
        repairs.count("text", "with half a character (a lone surrogate): replaced by �")
        return HALF_CHARACTERS.sub("\ufffd", value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        repairs.count("number", "too large for any use: taken as missing")
        return None
    return value


def _require_ours(data: dict[str, Any], repairs: Repairs) -> None:
    """Raise ``UnsupportedMedia`` for another program's JSON, and for a version whose fields may mean something else."""
    schema, version = data.get("schema"), data.get("version")
    if (schema, version) == (SCHEMA_NAME, SCHEMA_VERSION):
        return
    if schema not in (SCHEMA_NAME, None):
        raise UnsupportedMedia(f"This JSON is of schema {_quoted(schema)}: {_READ}.")
    if version not in (SCHEMA_VERSION, str(SCHEMA_VERSION), None):
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        remedy = "Update avskrift to read it" if newer else "No such version was ever written"
        raise UnsupportedMedia(
            f"This transcript is of version {_quoted(version)}, and this avskrift reads {SCHEMA_VERSION}. {remedy}."
        )
    if schema is None and not _looks_like_ours(data):
        raise UnsupportedMedia(f"This JSON is another program's: {_READ}.")
    repairs.say(f"Schema and version are not both named: read as {SCHEMA_NAME} version {SCHEMA_VERSION}.")


def _looks_like_ours(data: dict[str, Any]) -> bool:
    segments = data.get("segments")
    first = segments[0] if isinstance(segments, list) and segments else None
    return isinstance(first, dict) and {"start_s", "end_s", "text"} <= set(first)


def _segments(data: dict[str, Any]) -> list[Any]:
    segments = data.get("segments")
    if not isinstance(segments, list):
        raise UnsupportedMedia("This transcript has no list of segments: nothing says when its text was spoken.")
    text = data.get("text")
    if not segments and isinstance(text, str) and text.strip():
        raise UnsupportedMedia("This transcript has text but no segments: nothing says when it was spoken.")
    return segments


def _segment(data: Any, place: int, repairs: Repairs) -> Segment:
    if not isinstance(data, dict):
        raise UnsupportedMedia(f"segments[{place}] is {_quoted(data)}, not an object with start_s, end_s and text.")
    words = _words(data.get("words"), repairs)
    text = data.get("text")
    if words and (text is None or (isinstance(text, str) and not plain(text))):
        text = text_of(Segment(0.0, 0.0, "", words))
        repairs.count("segment", "without text: taken from the words", 1 if text else 0)
    if not isinstance(text, str):
        raise UnsupportedMedia(f"segments[{place}].text is {_quoted(text)}, not text.")
    start_s, end_s = _times(data, words, place, repairs)
    fields = _Fields(data)
    segment = Segment(
        start_s,
        end_s,
        text,
        words,
        speaker=fields.get("speaker", str, None),
        language=fields.get("language", str, None),
        confidence=_share(fields.get("confidence", float, None), repairs),
    )
    for name in fields.wrong:
        repairs.count("segment", f"whose {name} is of the wrong kind: left out")
    return segment


def _times(data: dict[str, Any], words: tuple[Word, ...], place: int, repairs: Repairs) -> tuple[float, float]:
    start_s, end_s = data.get("start_s"), data.get("end_s")
    if is_time(start_s) and is_time(end_s):
        return float(start_s), float(end_s)
    span = span_of(words)
    if span is None:
        raise UnsupportedMedia(
            f"segments[{place}] says neither in start_s and end_s nor by its words when it was spoken: "
            f"found {_quoted(start_s)} and {_quoted(end_s)}. Give both in seconds."
        )
    repairs.count("segment", "without usable times: taken from the words")
    return span.start_s, span.end_s


def _words(data: Any, repairs: Repairs) -> tuple[Word, ...]:
    """All of them or none: a word that cannot be placed would be missing among those that can."""
    if data is None or data == []:
        return ()
    words = [_word(item, repairs) for item in data] if isinstance(data, list) else [None]
    if None in words:
        repairs.count("segment", "with a word that has no text or times: its times are estimated from the text")
        return ()
    return tuple(word for word in words if word)


def _word(data: Any, repairs: Repairs) -> Word | None:
    if not isinstance(data, dict):
        return None
    start_s, end_s, text = data.get("start_s"), data.get("end_s"), data.get("text")
    if not (isinstance(text, str) and is_time(start_s) and is_time(end_s)):
        return None
    return Word(start_s, end_s, text.strip(), _share(data.get("confidence"), repairs))


def _share(value: Any, repairs: Repairs) -> float | None:
    """A probability as it is, None for what is none."""
    if value is None:
        return None
    if is_number(value) and 0 <= value <= 1:
        return value
    repairs.count("confidence", "outside of 0 to 1: left out")
    return None


def _duration_s(data: dict[str, Any], segments: tuple[Segment, ...], repairs: Repairs) -> float:
    last_s = max((segment.end_s for segment in segments), default=0.0)
    duration_s = data.get("duration_s")
    if not is_time(duration_s) or duration_s < 0:
        repairs.say("No length of the recording: it is taken to end with its last segment.")
        return last_s
    if duration_s < last_s:
        repairs.say(f"The recording ends at {duration_s:.3f} s, before its last segment: taken to end with that.")
        return last_s
    return float(duration_s)


def _speech_s(data: dict[str, Any], segments: tuple[Segment, ...]) -> float:
    speech_s = data.get("speech_s")
    if is_time(speech_s) and speech_s >= 0:
        return float(speech_s)
    return sum(segment.end_s - segment.start_s for segment in segments)


def _speakers(data: list[Any], segments: tuple[Segment, ...], repairs: Repairs) -> tuple[Speaker, ...]:
    named: dict[str, Speaker] = {}
    for item in data:
        if not (isinstance(item, dict) and isinstance(item.get("id"), str) and isinstance(item.get("name"), str)):
            repairs.count("speaker", "without an id and a name: left out")
        elif item["id"] in named:
            repairs.count("speaker", "with the id of another: left out, the first one's name was taken")
        else:
            named[item["id"]] = Speaker(item["id"], item["name"])
    spoken = dict.fromkeys(segment.speaker for segment in segments if segment.speaker)
    nameless = [speaker for speaker in spoken if speaker not in named]
    repairs.count("speaker", "of segments without a name: shown by the id", len(nameless))
    return (*named.values(), *(Speaker(speaker, speaker) for speaker in nameless))


def _note_left_out(top: _Fields, data: dict[str, Any], transcript: Transcript, repairs: Repairs) -> None:
    if top.missing:
        repairs.say(f"Not in the file, and left open: {', '.join(top.missing)}.")
    if top.wrong:
        repairs.say(f"Of the wrong kind, and left open: {', '.join(top.wrong)}.")
    text = data.get("text")
    if isinstance(text, str) and text.split() != transcript.text.split():
        repairs.say("The text at the top differs from that of the segments, which was taken.")


class _Fields:
    """Optional fields of an object; notes which are missing and which are of another type."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self.missing: list[str] = []
        self.wrong: list[str] = []

    def get(self, name: str, kind: type, default: Any) -> Any:
        """The field, or ``default`` if it is missing, null, or no ``kind`` (a whole number is a float too)."""
        value = self._data.get(name)
        if value is None:
            if name not in self._data:
                self.missing.append(name)
            return default
        if isinstance(value, kind) or (kind is float and isinstance(value, int)):
            return value
        self.wrong.append(name)
        return default


def _quoted(value: Any) -> str:
    """A value as a sentence can show it, cut where it is long."""
    shown = json.dumps(value, ensure_ascii=True, default=str)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
