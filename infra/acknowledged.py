"""Findings of cdk-nag's AwsSolutions rules that stay, each acknowledged beside its resource with the reason.

``tests/infra/test_infra_nag.py`` runs the rules: any other finding fails it, and so does an acknowledgement of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct

_PACK = "AwsSolutions"


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Leave what ``rule`` (``S1``) finds at ``construct`` and below."""
    finding = cdk.Acknowledgment(id=f"{_PACK}::{_PACK}-{rule}", reason=reason)
    cdk.Validations.of(construct).acknowledge(finding)


def acknowledge_wildcards(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Leave wildcards in resources of the policies at ``construct``: ARN pattern → why the API allows nothing else."""
    for pattern, reason in reasons.items():
        acknowledge(construct, f"IAM5[Resource::{_spelled(cdk.Stack.of(construct).resolve(pattern))}]", reason)


def _spelled(value: Any) -> str:
    """A resolved ARN as the rule spells it: ``Ref`` as ``<Name>``, ``Fn::GetAtt`` as ``<Name.Attribute>``."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_spelled, parts))
        case _:
            raise TypeError(f"no spelling known for {value!r}")
