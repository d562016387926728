"""A glossary: names and terms to expect, in a text file with one a line."""

from __future__ import annotations

from pathlib import Path

from avskrift.asr.options import MAX_CONTEXT_TOKENS
from avskrift.errors import BadOptions

#: Far more than any model has room for.
MAX_BYTES = 64_000


def read_glossary(path: Path) -> tuple[str, ...]:
    """The terms of a UTF-8 file in their order, each once; empty lines and those that begin with # are passed over.

    Raises ``BadOptions`` for a file that cannot be read, holds no term, or more than any model has room for.
    """
    terms = tuple(dict.fromkeys(line for line in _lines(path) if line and not line.startswith("#")))
    if not terms:
        raise BadOptions(f"The glossary {path} holds no term: write one a line.")
    if len(terms) > MAX_CONTEXT_TOKENS:
        raise BadOptions(
            f"The glossary {path} holds {len(terms)} terms, each of one token or more; a model has room for "
            f"{MAX_CONTEXT_TOKENS} tokens. Keep those that matter most for these recordings."
        )
    return terms


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadOptions(f"The glossary {path} cannot be read: {error.strerror or error}.") from error
    if len(content) > MAX_BYTES:
        raise BadOptions(
            f"The glossary {path} is longer than {MAX_BYTES} bytes; a model has room for {MAX_CONTEXT_TOKENS} tokens."
        )
    try:
        return [" ".join(line.split()) for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise BadOptions(f"The glossary {path} is not UTF-8 (line {number}): save it as such.") from error
