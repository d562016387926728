"""JSON that people can read and that is written fast: whatever holds no other array or object is one line.

The standard library's indented form takes three lines for a word's times, and is written by Python instead of C.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_CONTAINERS = (dict, list, tuple)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
#: Stands between items until they are put on lines: a control character, which no JSON string holds as it is.
_BETWEEN = "\x1f"
_encode_apart = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(_BETWEEN, ": ")).encode

#: Lone surrogates: what UTF-8 has no bytes for.
HALF_CHARACTERS = re.compile("[\ud800-\udfff]")


def dump(value: dict[str, Any]) -> str:
    """The object with a line break at its end, fit for UTF-8; null for a number that JSON has none for."""
    try:
        text = _text(value, "\n")
    except ValueError:
        text = _text(_finite(value), "\n")
    return HALF_CHARACTERS.sub("\ufffd", text) + "\n"


def _text(value: Any, newline: str) -> str:
    if not isinstance(value, _CONTAINERS) or not any(isinstance(item, _CONTAINERS) for item in _items(value)):
        return _encode(value)
    deeper = newline + "  "
    if _holds_flat_objects(value):
        # All of them by one call: the words of ten hours are 90,000 objects.
        lines = _encode_apart(value)[1:-1].replace(f"}}{_BETWEEN}{{", f"}},{deeper}{{").replace(_BETWEEN, ", ")
        return "[" + deeper + lines + newline + "]"
    if not isinstance(value, dict):
        return "[" + deeper + f",{deeper}".join([_text(item, deeper) for item in value]) + newline + "]"
    entries = [f"{_encode(str(key))}: {_text(item, deeper)}" for key, item in value.items()]
    return "{" + deeper + f",{deeper}".join(entries) + newline + "}"


def _holds_flat_objects(value: Any) -> bool:
    """A list of nothing but objects, none of which holds an array or object."""
    return not isinstance(value, dict) and all(
        type(item) is dict and item and not any(isinstance(part, _CONTAINERS) for part in item.values())
        for item in value
    )


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
