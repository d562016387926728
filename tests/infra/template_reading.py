"""Reading a synthesized template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Resources = Mapping[str, Any]


def of_type(resources: Resources, kind: str) -> dict[str, Any]:
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def only(resources: Resources, kind: str, name_part: str = "") -> Any:
    """The one resource of a type (whose logical id contains ``name_part``)."""
    (found,) = [each for name, each in of_type(resources, kind).items() if name_part in name]
    return found


def statements(role: Any) -> Iterator[Any]:
    for policy in role["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(role: Any) -> set[str]:
    return {action for statement in statements(role) for action in listed(statement["Action"])}


def resources_for(role: Any, action: str) -> str:
    """Everything an action is allowed on, as JSON text."""
    return json.dumps([each["Resource"] for each in statements(role) if action in listed(each["Action"])])


def launch_data(resources: Resources) -> Any:
    return only(resources, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]


def resolved(value: Any) -> str:
    """The text of an ``Fn::Join`` with references shown as ``ref:<logical id>``."""
    if isinstance(value, str):
        return value
    separator, parts = value["Fn::Join"]
    return separator.join(part if isinstance(part, str) else f"ref:{next(iter(part.values()))}" for part in parts)


def different_properties(some: Resources, others: Resources) -> set[str]:
    pairs = [
        (each["Type"], each.get("Properties", {}), others[name].get("Properties", {})) for name, each in some.items()
    ]
    return {f"{kind}.{key}" for kind, one, other in pairs for key in {*one, *other} if one.get(key) != other.get(key)}
