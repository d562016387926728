"""cdk-nag's AwsSolutions rules over the whole app: nothing is found but what is acknowledged, and nothing in vain."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from infra.app import build_app
from tests.infra.conftest import WITHOUT_BUNDLING

DEPLOYMENTS = pytest.mark.parametrize(
    "settings",
    [
        {},
        {"customer_key": True},
        {"alarm_email": "ops@example.org", "monthly_budget_usd": 20},
    ],
    ids=["defaults", "customer_key", "budget"],
)

#: A construct's path and the rule: what is found, and what is acknowledged.
Finding = tuple[str, str]


def app_with(settings: Mapping[str, Any]) -> cdk.App:
    app = build_app({**WITHOUT_BUNDLING, **settings})
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def findings(app: cdk.App) -> set[Finding]:
    """What the rules find and nothing acknowledges."""
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
    (report,) = json.loads((Path(app.outdir) / "validation-report.json").read_text())["pluginReports"]
    shutil.rmtree(app.outdir)
    return {
        (construct["constructPath"], violation["ruleName"])
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
    }


@pytest.fixture
def acknowledged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Finding, str]]:
    """What is acknowledged from now on, with its reason, and is not taken for it."""
    heard: list[tuple[Finding, str]] = []

    class Listening:
        def __init__(self, path: str) -> None:
            self.path = path

        def acknowledge(self, *rules: cdk.Acknowledgment) -> None:
            heard.extend(((self.path, rule.id), rule.reason) for rule in rules)

    real = cdk.Validations.of
    monkeypatch.setattr(
        cdk.Validations, "of", lambda scope: real(scope) if isinstance(scope, cdk.App) else Listening(scope.node.path)
    )
    return heard


@DEPLOYMENTS
def test_nothing_is_found_that_is_not_acknowledged(settings: Mapping[str, Any]) -> None:
    assert findings(app_with(settings)) == set()


@DEPLOYMENTS
def test_every_acknowledgement_is_of_something_found_and_has_a_reason(
    settings: Mapping[str, Any], acknowledged: list[tuple[Finding, str]]
) -> None:
    found = findings(app_with(settings))
    of_this_pack = [
        ((path, rule.removeprefix("AwsSolutions::")), reason)
        for (path, rule), reason in acknowledged
        if rule.startswith("AwsSolutions::")
    ]

    in_vain = [
        (path, rule)
        for (path, rule), _ in of_this_pack
        if not any(name == rule and f"{place}/".startswith(f"{path}/") for place, name in found)
    ]
    assert len(found) > 20
    assert in_vain == []
    assert all(len(reason.split()) > 5 for _, reason in of_this_pack)


def test_a_careless_resource_would_be_found() -> None:
    app = app_with({})
    sqs.Queue(app.node.find_child("avskrift"), "Careless")  # type: ignore[arg-type]

    assert {rule for path, rule in findings(app) if "Careless" in path} == {"AwsSolutions-SQS3", "AwsSolutions-SQS4"}
