"""Which of our own modules a package needs: found by reading its import statements, so there is no list to keep."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported_files(checkout: Path, package: str, own_packages: frozenset[str]) -> list[Path]:
    """The files of ``package`` and, transitively, every file of ``own_packages`` that they import."""
    return reached_files(checkout, (checkout / package).rglob("*.py"), own_packages)


def reached_files(checkout: Path, starts: Iterable[Path], own_packages: frozenset[str]) -> list[Path]:
    """These files and, transitively, every file of ``own_packages`` that they import, if only inside a function."""
    pending = set(starts)
    found = set[Path]()
    while pending:
        path = pending.pop()
        found.add(path)
        for module in _imported_modules(path):
            if module.split(".")[0] in own_packages:
                pending.update(file for file in _module_files(checkout, module) if file not in found)
    return sorted(found)


def _imported_modules(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, at the top or inside functions; ``from a import b`` may mean a module a.b."""
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(checkout: Path, module: str) -> Iterator[Path]:
    """The file of each package on the way to a module, and its own; a last part that is no module has none."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        place = checkout.joinpath(*parts[:length])
        yield from (file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file())
