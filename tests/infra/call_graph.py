"""Which functions a program can reach, read from its source: by name, so rather one too many than one too few."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
OWN_PACKAGES = frozenset({"avskrift", "instance", "lambdas"})


@dataclass(frozen=True)
class Function:
    """One function or method, or (without a name) what runs when a module is imported or a class made."""

    place: str
    """``avskrift/jobs/table.py:75 get_values``."""
    name: str
    owner: str
    """The class it is a method of; empty for none."""
    body: tuple[ast.AST, ...] = field(compare=False)

    def nodes(self) -> Iterator[ast.AST]:
        """Everything in it, nested functions included."""
        for part in self.body:
            yield from ast.walk(part)

    @cached_property
    def mentions(self) -> set[str]:
        """Names that it uses, of whatever: a function that is handed on is as good as called."""
        return {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in self.nodes()
            if isinstance(node, ast.Attribute | ast.Name)
        }


@dataclass(frozen=True)
class Module:
    functions: tuple[Function, ...]
    imports: tuple[str, ...]


def program(entry: str, sources: Mapping[str, str] | None = None) -> tuple[Function, ...]:
    """What is reached of the program that starts at the module ``entry`` (``lambdas.register``).

    ``sources`` replace the text of modules.
    """
    modules = [_module(name, (sources or {}).get(name)) for name in sorted(_closure(entry, sources or {}))]
    functions = [function for module in modules for function in module.functions]
    return tuple(_reach(entry, functions))


def _reach(entry: str, functions: list[Function]) -> Iterator[Function]:
    """All of the entry module, and what is mentioned by what is reached; of a class nothing until it is mentioned."""
    path = f"{entry.replace('.', '/')}.py:"
    mentioned, waiting = set[str](), functions
    while True:
        found, rest = list[Function](), list[Function]()
        for one in waiting:
            is_reached = one.place.startswith(path) or _is_within(one, mentioned)
            (found if is_reached else rest).append(one)
        if not found:
            return
        yield from found
        mentioned.update(*(one.mentions for one in found))
        waiting = rest


def _is_within(function: Function, mentioned: set[str]) -> bool:
    called = not function.name or function.name.startswith("__") or function.name in mentioned
    return called and (not function.owner or function.owner in mentioned)


def _functions(module: str, tree: ast.Module) -> Iterator[Function]:
    path = _path(module).relative_to(CHECKOUT)
    top: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _function(path, node, "")
        elif isinstance(node, ast.ClassDef):
            yield from _parts_of_class(path, node)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            top.append(node)
    yield Function(f"{path}:1", "", "", tuple(top))


def _parts_of_class(path: Path, node: ast.ClassDef) -> Iterator[Function]:
    """Its methods, and what runs when it is made: bases, decorators, fields."""
    rest: list[ast.AST] = [*node.bases, *node.decorator_list]
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _function(path, part, node.name)
        else:
            rest.append(part)
    yield Function(f"{path}:{node.lineno}", "", node.name, tuple(rest))


def _function(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> Function:
    return Function(f"{path}:{node.lineno} {node.name}", node.name, owner, (node,))


def _closure(entry: str, sources: Mapping[str, str]) -> set[str]:
    pending, found = [entry], set[str]()
    while pending:
        module = pending.pop()
        if module not in found:
            found.add(module)
            pending += _own(_module(module, sources.get(module)).imports)
    return found


def _own(names: Iterable[str]) -> Iterator[str]:
    """Modules of ours among dotted names, which may end in something that is no module."""
    for name in names:
        if name.split(".")[0] in OWN_PACKAGES:
            yield from (module for module in (name, name.rpartition(".")[0]) if module and _path(module).is_file())


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path(module: str) -> Path:
    place = CHECKOUT.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@cache
def _module(name: str, text: str | None = None) -> Module:
    """A module of ours, read from its file unless ``text`` is given."""
    tree = ast.parse(_path(name).read_bytes() if text is None else text)
    return Module(tuple(_functions(name, tree)), tuple(_imports(tree)))
