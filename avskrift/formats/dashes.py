"""The dash before a line by which subtitles and prose say that another speaks, where nobody has said who."""

from __future__ import annotations

import re

DASHES = "-–—"
#: Not that of "-5 grader" or "-->".
_TURN = re.compile(rf"[{DASHES}](?![{DASHES}\d])(?=\s*\S)")


def begins_turn(text: str) -> bool:
    """Whether what somebody says begins with a dash: another spoke before."""
    return _TURN.match(text) is not None
