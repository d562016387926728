"""A part of a recording, ``10:00-12:00``: read and checked wherever one is asked for, in seconds from there on."""

from __future__ import annotations

import math
import re

from avskrift.errors import BadOptions

#: Start and end in seconds on the recording's clock; an end of None is the recording's.
Clip = tuple[float, float | None]

FORMS = "such as 10:00-12:00, 1:02:03-1:05:00, 90.5-120 (seconds), 10:00- (to the end)"
_TIME = re.compile(r"(?:(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,6}):)?(?P<seconds>\d{1,9}(?:\.\d+)?)", re.ASCII)


def parse_clip(text: str) -> Clip:
    """``start-end``, each in seconds, m:ss or h:mm:ss; either may be left out, but not both."""
    start, dash, end = text.strip().partition("-")
    if not dash or not (start.strip() or end.strip()):
        raise BadOptions(f"clip must be start-end, {FORMS}, not {text!r}.")
    return checked_clip((_seconds(start, text) if start.strip() else 0.0, _seconds(end, text) if end.strip() else None))


def checked_clip(value: object) -> Clip:
    """A pair of seconds as a :data:`Clip`; raises ``BadOptions`` for anything else."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not _is_time(value[0]):
        raise BadOptions(f"clip must be its start and end in seconds (or null for the recording's), not {value!r}.")
    start_s, end_s = value
    if end_s is None:
        return float(start_s), None
    if not _is_time(end_s) or end_s <= start_s:
        raise BadOptions(f"clip must end after it starts: {end_s!r} s is not after {start_s!r} s.")
    return float(start_s), float(end_s)


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _seconds(text: str, whole: str) -> float:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise BadOptions(f"clip must be start-end, {FORMS}; {text.strip()!r} in {whole!r} is no time.")
    hours, minutes, seconds = int(match["hours"] or 0), int(match["minutes"] or 0), float(match["seconds"])
    if (match["hours"] and minutes >= 60) or (match["minutes"] and seconds >= 60):
        raise BadOptions(f"clip has a time that no clock shows: {text.strip()!r}. Minutes and seconds end at 59.")
    return hours * 3_600 + minutes * 60 + seconds
