"""Commands with many options take them in groups: a dataclass whose fields are options, as typer would have them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter
from typing import Any, get_type_hints

Command = Callable[..., None]


def flat(command: Command) -> Command:
    """The command as typer registers it: in the place of each parameter that is a dataclass stand that one's fields.

    A field is annotated as a parameter would be (``Annotated[str, typer.Option(...)]``) and has a plain default.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}

    @functools.wraps(command)
    def flattened(**given: Any) -> None:
        grouped = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **grouped)

    asked = inspect.signature(command).parameters.values()
    parameters = [
        each
        for parameter in asked
        for each in (
            _options(groups[parameter.name])
            if parameter.name in groups
            else [parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])]
        )
    ]
    flattened.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as functools.wraps sets it
    flattened.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flattened


def _options(group: type) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name])


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default
