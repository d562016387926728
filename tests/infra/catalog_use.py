"""Which metrics of the catalog the code emits, by its syntax: whatever module refers to one emits it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from avskrift.jobs import metrics
from avskrift.jobs.metrics import Metric

CHECKOUT = Path(__file__).resolve().parents[2]
#: Where metrics are emitted. The catalog itself and those that read metrics (infra) are none of it.
EMITTERS = ("lambdas", "instance", "avskrift/jobs")


def catalog() -> dict[str, tuple[Metric, ...]]:
    """The names of the module, each with its metric or its family of metrics."""
    found = {}
    for name, value in vars(metrics).items():
        if isinstance(value, Metric):
            found[name] = (value,)
        elif isinstance(value, dict) and name.isupper():
            found[name] = tuple(value.values())
    return found


def emitted() -> set[Metric]:
    """The metrics that some line of the code refers to."""
    named = {name for path in _sources() for name in _referred(ast.parse(path.read_text()))}
    return {metric for name, family in catalog().items() if name in named for metric in family}


def _sources() -> Iterator[Path]:
    for folder in EMITTERS:
        yield from (path for path in (CHECKOUT / folder).rglob("*.py") if path.name != "metrics.py")


def _referred(tree: ast.AST) -> Iterator[str]:
    """``metrics.NAME``, and names that are imported from the catalog and used."""
    imported = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "avskrift.jobs.metrics"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "metrics":
            yield node.attr
        elif isinstance(node, ast.Name) and node.id in imported:
            yield imported[node.id]
