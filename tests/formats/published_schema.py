"""The published JSON Schema, and what it finds wrong with a file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "transcript-v1.schema.json"


def faults_in(written: str | bytes, *, fields_known: bool = False) -> list[str]:
    """One line for each fault. With ``fields_known`` a field that the schema does not name is one, too."""
    return [
        f"{error.json_path}: {error.message}" for error in _validator(fields_known).iter_errors(json.loads(written))
    ]


@cache
def _validator(fields_known: bool) -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema) if fields_known else schema)


def _closed(schema: Any) -> Any:
    """With no other fields than those named, where any are."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed["additionalProperties"] = False
    return closed
