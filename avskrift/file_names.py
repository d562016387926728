"""File names as they can be said."""

from __future__ import annotations

from pathlib import Path


def shown(path: Path) -> str:
    """A file's name as it can be printed, whatever bytes are in it."""
    return path.name.encode(errors="replace").decode()
