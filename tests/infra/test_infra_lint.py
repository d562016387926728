"""cfn-lint over the synthesized templates: AWS' own schemas of its resources, and references that lead somewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import cfnlint.api
import pytest
from cfnlint.config import ManualArgs

from tests.infra.conftest import Synthesize

#: Warnings that stay, and why.
ACCEPTED = {
    "W3010": "Zones are a setting (see infra/network.py).",
    "W3005": "CDK says once more that a function needs its role.",
}


def faults(template: Mapping[str, Any], region: str = "eu-north-1") -> list[str]:
    """What cfn-lint says of a template, but for what is accepted."""
    matches = cfnlint.api.lint(json.dumps(template), config=ManualArgs(regions=[region]))
    return [f"{each.rule.id} {each.message}" for each in matches if each.rule.id not in ACCEPTED]


@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"customer_key": True, "bucket_name": "our-recordings"}, marks=pytest.mark.slow)],
    ids=["defaults", "customer_key"],
)
def test_the_template_is_as_aws_describes_it(synthesize: Synthesize, settings: Mapping[str, Any]) -> None:
    assert faults(synthesize(**settings).to_json()) == []


@pytest.mark.parametrize(
    ("kind", "properties", "rule"),
    [
        ("AWS::SQS::Queue", {"VisibilityTimeout": 50_000}, "E3034"),
        ("AWS::DynamoDB::Table", {"BillingMode": "FREE"}, "E3030"),
        ("AWS::Logs::LogGroup", {"Retention": 30}, "E3002"),
    ],
)
def test_a_fault_in_a_template_would_be_found(kind: str, properties: Mapping[str, Any], rule: str) -> None:
    template = {"Resources": {"Faulty": {"Type": kind, "Properties": properties}}}

    assert [fault for fault in faults(template) if fault.startswith(rule)]
