"""Where sentences end, for whoever breaks lines or paragraphs."""

from __future__ import annotations

SENTENCE_ENDS = (".", "!", "?", "…", "।", "॥", "。", "！", "？", "؟", "۔")
#: What may stand behind them.
CLOSING_QUOTES = "\"'”’»)]」』）"


def ends_sentence(text: str) -> bool:
    """Whether the last sentence of a text is whole, quoted or not."""
    return text.rstrip(CLOSING_QUOTES).endswith(SENTENCE_ENDS)
