"""The EC2 query protocol, both ways, driven by botocore's own model of the service.

Handlers therefore work with the very dictionaries that boto3 users know, and whatever they answer parses in boto3. A
member that the model does not know raises, so a typing error can't vanish.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from avskrift.local.aws import service_model
from avskrift.local.ec2.errors import Ec2Error

Request = dict[str, Any]
"""A request or an answer as boto3 shows it."""

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_Tree = dict[str, Any]


@cache
def _service() -> ServiceModel:
    return service_model("ec2")


def parse_body(body: bytes) -> dict[str, str]:
    """The flat form parameters of a request."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def parse_request(action: str, parameters: Mapping[str, str]) -> Request:
    """Flat parameters to the request as boto3 was given it; unknown parameters raise ``UnknownParameter``."""
    shape = _service().operation_model(action).input_shape
    tree = _nest({name: value for name, value in parameters.items() if name not in ("Action", "Version")})
    parsed = _parse(shape, tree, "") if shape is not None else {}
    return parsed if isinstance(parsed, dict) else {}


def render_response(action: str, answer: Mapping[str, Any]) -> bytes:
    """The answer as XML."""
    operation = _service().operation_model(action)
    shape = operation.output_shape
    body = "<return>true</return>" if shape is None else _render_members(shape, answer)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{_NAMESPACE}">'
        f"<requestId>{uuid.uuid4()}</requestId>{body}</{action}Response>"
    ).encode()


def render_error(error: Ec2Error) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{escape(error.code)}</Code>'
        f"<Message>{escape(error.message)}</Message></Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    ).encode()


def _nest(parameters: Mapping[str, str]) -> _Tree:
    tree: _Tree = {}
    for name, value in parameters.items():
        node = tree
        *path, leaf = name.split(".")
        for part in path:
            branch = node.setdefault(part, {})
            if not isinstance(branch, dict):
                raise Ec2Error("InvalidParameterCombination", f"The parameter {name} contradicts another one.")
            node = branch
        node[leaf] = value
    return tree


def _parse(shape: Shape, node: Any, path: str) -> Any:
    if isinstance(shape, StructureShape):
        return _parse_structure(shape, node, path)
    if isinstance(shape, ListShape):
        if not isinstance(node, dict) or not all(index.isdigit() for index in node):
            raise Ec2Error("InvalidParameterValue", f"The parameter {path} is not a list.")
        return [_parse(shape.member, node[index], f"{path}.{index}") for index in sorted(node, key=int)]
    return _parse_scalar(shape, node, path)


def _parse_structure(shape: StructureShape, node: Any, path: str) -> Request:
    if not isinstance(node, dict):
        raise Ec2Error("InvalidParameterValue", f"The parameter {path} is not a structure.")
    names = {_query_name(name, member): name for name, member in shape.members.items()}
    parsed: Request = {}
    for key, value in node.items():
        if key not in names:
            raise Ec2Error("UnknownParameter", f"The parameter {path}{'.' if path else ''}{key} is not recognized")
        parsed[names[key]] = _parse(shape.members[names[key]], value, f"{path}{'.' if path else ''}{key}")
    return parsed


def _parse_scalar(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(value, dict):
        raise Ec2Error("InvalidParameterValue", f"The parameter {path} is not a {shape.type_name}.")
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(value)
            case "float" | "double":
                return float(value)
            case "boolean":
                return value.lower() == "true"
            case _:
                return value
    except ValueError as error:
        raise Ec2Error("InvalidParameterValue", f"Invalid value '{value}' for {path}.") from error


def _query_name(name: str, shape: Shape) -> str:
    """botocore's EC2Serializer: ``queryName``, else the location name capitalized, else the member's name."""
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    located = shape.serialization.get("name")
    return located[0].upper() + located[1:] if located else name


def _render_members(shape: StructureShape, values: Mapping[str, Any]) -> str:
    unknown = values.keys() - shape.members.keys()
    if unknown:
        raise ValueError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
    members = shape.members
    return "".join(
        _render(members[name], value, members[name].serialization.get("name", name))
        for name, value in values.items()
        if value is not None
    )


def _render(shape: Shape, value: Any, tag: str) -> str:
    if isinstance(shape, StructureShape):
        content = _render_members(shape, value)
    elif isinstance(shape, ListShape):
        item = shape.member.serialization.get("name", "item")
        content = "".join(_render(shape.member, element, item) for element in value)
    else:
        content = escape(_scalar(value))
    return f"<{tag}>{content}</{tag}>"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value)
