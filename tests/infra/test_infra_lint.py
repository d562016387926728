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


def test_faults_in_a_template_would_be_found() -> None:
    policy = {"Statement": {"Effect": "Allow", "Action": "s3:ReadObject", "Resource": "arn:aws:s3:::b/*"}}
    faulty = {
        "AWS::SQS::Queue": {"VisibilityTimeout": 50_000},
        "AWS::DynamoDB::Table": {"BillingMode": "FREE"},
        "AWS::Logs::LogGroup": {"Retention": 30},
        "AWS::IAM::ManagedPolicy": {"PolicyDocument": policy},
    }
    resources = {kind.replace("::", ""): {"Type": kind, "Properties": each} for kind, each in faulty.items()}

    rules = {fault.split()[0] for fault in faults({"Resources": resources})}
    assert {"E3034", "E3030", "E3002", "W3037"} <= rules
