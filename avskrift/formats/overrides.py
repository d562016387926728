"""Text that SubStation Alpha would take for styling: players read SubRip by its rules, too."""

from __future__ import annotations

import re

#: Not seen, and no break: parts what a player would take for markup.
WORD_JOINER = "\u2060"
#: No escape of braces is known to all players, and whatever stands between two is hidden.
_BRACES = str.maketrans({"{": "｛", "}": "｝"})
#: A line break, or a hard space.
_LIKE_ESCAPE = re.compile(r"\\(?=[Nnh])")


def without_overrides(text: str) -> str:
    """The same to the eye: braces as their full-width look-alikes, and no backslash that begins an escape."""
    return _LIKE_ESCAPE.sub(lambda found: found[0] + WORD_JOINER, text.translate(_BRACES))
