"""Which metrics of the catalog the code emits, by its syntax: those it counts or measures, or gives a value.

A metric that is only compared with or looked up is not emitted, and of a family only the members that are named, unless
the code finds the name itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from avskrift.jobs import metrics
from avskrift.jobs.metrics import Metric

CHECKOUT = Path(__file__).resolve().parents[2]
#: Where metrics are emitted. The catalog itself and those that read metrics (infra) are none of it.
EMITTERS = ("lambdas", "instance", "avskrift/jobs")
#: Methods that take a metric to emit.
EMITTING = frozenset({"count", "measure"})


def catalog() -> dict[str, tuple[Metric, ...]]:
    """The names of the module, each with its metric or its family of metrics."""
    return {name: tuple(family.values()) for name, family in _families().items()}


def emitted() -> set[Metric]:
    """The metrics that some line of the code emits."""
    return {metric for path in _sources() for metric in emitted_by(path.read_text())}


def emitted_by(source: str) -> set[Metric]:
    """The metrics that a module emits."""
    tree = ast.parse(source)
    names = _imported(tree)
    return {metric for place in _places(tree) for metric in _named(place, names)}


def _families() -> dict[str, Mapping[str, Metric]]:
    """Each name of the catalog with its metrics by key; one that is no family has a single one."""
    found: dict[str, Mapping[str, Metric]] = {}
    for name, value in vars(metrics).items():
        if isinstance(value, Metric):
            found[name] = {"": value}
        elif isinstance(value, dict) and name.isupper():
            found[name] = value
    return found


def _sources() -> Iterator[Path]:
    for folder in EMITTERS:
        yield from (path for path in (CHECKOUT / folder).rglob("*.py") if path.name != "metrics.py")


def _imported(tree: ast.AST) -> dict[str, str]:
    """Names of the catalog by what a module calls them."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "avskrift.jobs.metrics"
        for alias in node.names
    }


def _places(tree: ast.AST) -> Iterator[ast.expr]:
    """What stands where a metric is emitted: arguments, keys and values of mappings, targets of assignments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in EMITTING:
            yield from node.args
        elif isinstance(node, ast.Dict):
            yield from (key for key in node.keys if key is not None)
            yield from node.values
        elif isinstance(node, ast.DictComp):
            yield node.key
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield node.slice


def _named(place: ast.expr, names: Mapping[str, str]) -> Iterator[Metric]:
    """The metric, or the members of a family, that an expression is."""
    key = None
    if isinstance(place, ast.Subscript):
        key, place = place.slice, place.value
    if isinstance(place, ast.Attribute) and isinstance(place.value, ast.Name) and place.value.id == "metrics":
        name = place.attr
    else:
        name = names.get(place.id, "") if isinstance(place, ast.Name) else ""
    for member, metric in _families().get(name, {}).items():
        if not isinstance(key, ast.Constant) or key.value == member:
            yield metric
