"""What a client may ask of a job, checked where it enters: an option that can't be honoured is refused with a sentence.

Options come from an API body, or else from the object's metadata ``x-amz-meta-avskrift-<option>`` (percent-encoded
UTF-8), or else from the deployment's defaults.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from avskrift.clip import parse_clip
from avskrift.errors import BadOptions
from avskrift.languages import LANGUAGES
from avskrift.webhooks.address import AddressRules, ForbiddenAddress, checked_url

METADATA_PREFIX = "avskrift-"
MAX_METADATA_BYTES = 1_800
"""S3 allows 2 KB of user metadata in all."""
DEFAULT_FORMATS = ("txt", "json", "srt", "vtt")
DEFAULT_PRESET = "default"
MAX_TEXT_CHARS = 1_000
MULTI = "multi"
"""The language of a recording in several: detected in every chunk."""
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A name on the image: never a path, never a repository."""


@dataclass(frozen=True)
class JobOptions:
    """How to transcribe one recording, and whom to tell."""

    language: str | None = None
    """ISO 639 code; None: detected on speech; ``multi``: in every chunk."""
    home_language: str | None = None
    """Where it is detected, the language expected: its close relatives are weighed towards it."""
    task: str = "transcribe"
    """``transcribe``, or ``translate`` to English."""
    model: str | None = None
    """A model name; None: the deployment's."""
    formats: tuple[str, ...] = DEFAULT_FORMATS
    words: bool = True
    """Align words, for subtitles and clickable text."""
    preset: str = DEFAULT_PRESET
    """How subtitles are cut (docs/subtitles.md)."""
    highlight_words: bool = False
    """Subtitles mark each word while it is spoken."""
    style: str = "standard"
    """``standard``, ``subtitle`` (shorter) or ``verbatim``; only models of the KB-Whisper family have them."""
    prompt: str | None = None
    hotwords: str | None = None
    channels: str = "mix"
    """``mix``, or ``split``: each channel a speaker of its own."""
    vad: str = "default"
    """``default``, ``sensitive`` (keeps faint speech) or ``off``."""
    clip: str | None = None
    """The part to transcribe, such as ``10:00-12:00``; None: all of it."""
    deadline: str | None = None
    """ISO 8601 with offset: wait for capacity until then."""
    callback_url: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """The client's own pairs, returned as they came."""

    def to_dict(self) -> dict[str, Any]:
        return {item.name: _jsonable(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobOptions:
        """Read stored options back; ``BadOptions`` for what never passed a check (a row edited by hand).

        What a deployment allows was decided when they entered: its formats, presets and callback hosts are not asked
        again. Unknown names are of a newer version, which a rollback must outlive: they are left out.
        """
        entered = OptionRules(formats=data["formats"], presets=(data.get("preset", DEFAULT_PRESET),))
        checks = {**_CHECKS, "callback_url": _stored_url}
        return cls(**{name: checks[name](value, entered) for name, value in data.items() if name in checks})


@dataclass(frozen=True)
class OptionRules:
    """What a deployment allows."""

    formats: Collection[str]
    """Names the format registry knows."""
    presets: Collection[str] = (DEFAULT_PRESET,)
    """Names of the subtitle presets there are."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Formats that refer to another one, which has to be asked for with them."""
    heeds: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By option of how results look, the formats that it means something to."""
    default_language: str | None = None
    """Of recordings whose language is not named; where it is to be detected, the one expected."""
    default_callback_url: str | None = None
    allowed_callback_hosts: Collection[str] = ()
    insecure_callbacks: bool = False
    """Local cloud only: http and any host."""


def options_from_metadata(metadata: Mapping[str, str], rules: OptionRules) -> JobOptions:
    """Options of an object put straight into the bucket; ``BadOptions`` names the header and the remedy."""
    ours = {name.lower(): value for name, value in metadata.items() if name.lower().startswith(METADATA_PREFIX)}
    size_bytes = sum(len(name) + len(value) for name, value in ours.items())
    if size_bytes > MAX_METADATA_BYTES:
        raise BadOptions(
            f"The x-amz-meta-avskrift-* headers hold {size_bytes} bytes; at most {MAX_METADATA_BYTES} work."
        )
    values = {name.removeprefix(METADATA_PREFIX).replace("-", "_"): _decode(name, ours[name]) for name in sorted(ours)}
    return parse_options({name: _from_text(name, text) for name, text in values.items()}, rules)


def parse_options(values: Mapping[str, Any], rules: OptionRules) -> JobOptions:
    """Check a mapping of option names to values against the rules; defaults fill the rest."""
    unknown = sorted(set(values) - set(_CHECKS))
    if unknown:
        raise BadOptions(f"Unknown option {unknown[0]!r}. There are: {', '.join(sorted(_CHECKS))}.")
    checked = {name: _CHECKS[name](value, rules) for name, value in values.items()}
    defaults = JobOptions(language=rules.default_language, callback_url=rules.default_callback_url)
    options = _at_home(replace(defaults, **checked), rules)
    _require_heard(options, rules)
    return options


def _require_heard(options: JobOptions, rules: OptionRules) -> None:
    """Raise ``BadOptions`` for an option that nothing of what is asked for would show."""
    asked = {"preset": options.preset != DEFAULT_PRESET, "highlight_words": options.highlight_words}
    for name, heeding in rules.heeds.items():
        if asked[name] and not set(heeding) & set(options.formats):
            raise BadOptions(
                f"{name} is for {', '.join(heeding)}, which is not among the formats: add one, or leave it out."
            )
    if options.highlight_words and not options.words:
        raise BadOptions("highlight_words needs the times of words, but words is false: leave one of them out.")


def _at_home(options: JobOptions, rules: OptionRules) -> JobOptions:
    """With the language that a detection should expect, if there is one to expect."""
    if options.language not in (None, MULTI):
        if options.home_language is None:
            return options
        raise BadOptions(
            f"home_language is for a language that has to be detected, but language is {options.language!r} already: "
            "leave one of them out."
        )
    return replace(options, home_language=options.home_language or rules.default_language)


def _decode(name: str, value: str) -> str:
    if value.startswith("=?") and value.endswith("?="):  # how S3 returns what was not ASCII
        raise BadOptions(f"x-amz-meta-{name} is not ASCII: percent-encode its value as UTF-8 first.")
    try:
        return unquote(value, encoding="utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise BadOptions(f"x-amz-meta-{name} is not percent-encoded UTF-8: encode its value first.") from error


def _from_text(name: str, text: str) -> Any:
    """Header text to the type the check expects."""
    if name == "formats":
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in ("words", "highlight_words"):
        return {"true": True, "false": False}.get(text.lower(), text)
    if name == "metadata":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadOptions("metadata must be a JSON object of strings; this is no such JSON.") from error
    return text


def _jsonable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _language(value: Any, _: OptionRules) -> str | None:
    if value in (None, "auto"):
        return None
    if not isinstance(value, str) or (value not in LANGUAGES and value != MULTI):
        raise BadOptions(f"Unknown language {value!r}: use 'auto', '{MULTI}' or a code such as 'sv' or 'en'.")
    return value


def _home_language(value: Any, _: OptionRules) -> str | None:
    if value is not None and (not isinstance(value, str) or value not in LANGUAGES):
        raise BadOptions(f"Unknown home_language {value!r}: use a code such as 'sv' or 'en'.")
    return value


def _clip(value: Any, _: OptionRules) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadOptions("clip must be text such as '10:00-12:00'.")
    parse_clip(value)
    return value


def _one_of(name: str, *allowed: str) -> Callable[[Any, OptionRules], str]:
    def check(value: Any, _: OptionRules) -> str:
        if value not in allowed:
            raise BadOptions(f"{name} can be {' or '.join(map(repr, allowed))}; {value!r} is not supported.")
        return str(value)

    return check


def _model(value: Any, _: OptionRules) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _MODEL_NAME.fullmatch(value):
        raise BadOptions(f"{value!r} is no model name, such as 'base' or 'kb-whisper-small'.")
    return value


def _formats(value: Any, rules: OptionRules) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise BadOptions(f"formats must name at least one of: {', '.join(sorted(rules.formats))}.")
    unknown = [name for name in value if name not in rules.formats]
    if unknown:
        raise BadOptions(f"Unknown format {unknown[0]!r}. There are: {', '.join(sorted(rules.formats))}.")
    for name, needed in rules.needs.items():
        if name in value and needed not in value:
            raise BadOptions(f"{name} needs {needed} beside it: name both among the formats.")
    return tuple(dict.fromkeys(value))


def _preset(value: Any, rules: OptionRules) -> str:
    if not isinstance(value, str) or value not in rules.presets:
        raise BadOptions(f"Unknown preset {value!r}. There are: {', '.join(rules.presets)}.")
    return value


def _boolean(name: str) -> Callable[[Any, OptionRules], bool]:
    def check(value: Any, _: OptionRules) -> bool:
        if not isinstance(value, bool):
            raise BadOptions(f"{name} must be true or false, not {value!r}.")
        return value

    return check


def _text(name: str) -> Callable[[Any, OptionRules], str | None]:
    def check(value: Any, _: OptionRules) -> str | None:
        if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT_CHARS):
            raise BadOptions(f"{name} must be text of at most {MAX_TEXT_CHARS} characters.")
        return value or None

    return check


def _deadline(value: Any, _: OptionRules) -> str | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadOptions(f"deadline must be a time such as 2026-11-21T06:00:00+01:00, not {value!r}.") from error
    if moment.tzinfo is None:
        raise BadOptions("deadline needs an offset, such as 2026-11-21T06:00:00+01:00.")
    return str(value)


def _callback_url(value: Any, rules: OptionRules) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadOptions("callback_url must be a URL.")
    try:
        url = checked_url(value, AddressRules(allow_loopback=rules.insecure_callbacks))
    except ForbiddenAddress as error:
        raise BadOptions(f"callback_url: {error.message}") from error
    if not rules.insecure_callbacks and url.host not in rules.allowed_callback_hosts:
        raise BadOptions(
            f"callback_url may not lead to {url.host!r}: the deployment's allowed_callback_hosts lacks it."
        )
    return value


def _stored_url(value: Any, _: OptionRules) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadOptions("callback_url must be a URL.")
    return value


def _metadata(value: Any, _: OptionRules) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise BadOptions("metadata must be a JSON object whose values are all strings.")
    try:
        size_bytes = len(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError as error:
        raise BadOptions("metadata holds half a character (a lone surrogate): send whole Unicode text.") from error
    if "" in value or size_bytes > MAX_METADATA_BYTES:
        raise BadOptions(f"metadata needs a name for each value, and may hold {MAX_METADATA_BYTES} bytes at most.")
    return value


_CHECKS: dict[str, Callable[[Any, OptionRules], Any]] = {
    "language": _language,
    "home_language": _home_language,
    "task": _one_of("task", "transcribe", "translate"),
    "model": _model,
    "formats": _formats,
    "words": _boolean("words"),
    "preset": _preset,
    "highlight_words": _boolean("highlight_words"),
    "style": _one_of("style", "standard", "subtitle", "verbatim"),
    "prompt": _text("prompt"),
    "hotwords": _text("hotwords"),
    "channels": _one_of("channels", "mix", "split"),
    "vad": _one_of("vad", "default", "sensitive", "off"),
    "clip": _clip,
    "deadline": _deadline,
    "callback_url": _callback_url,
    "metadata": _metadata,
}
