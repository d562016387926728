"""The synthesized template, made once for all tests of this folder; functions' code is not bundled for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from infra.__main__ import prefer_node_beside_python

prefer_node_beside_python()

from aws_cdk.assertions import Template  # noqa: E402 - jsii starts Node at this import

from infra.app import build_app  # noqa: E402

WITHOUT_BUNDLING = {"aws:cdk:bundling-stacks": []}
Synthesize = Callable[..., Template]


@pytest.fixture(scope="session")
def synthesize() -> Synthesize:
    """Synthesize the stack with the given settings."""

    def synthesize_with(**settings: object) -> Template:
        app = build_app({**WITHOUT_BUNDLING, **settings})
        return Template.from_stack(app.node.find_child(str(settings.get("name", "avskrift"))))

    return synthesize_with


@pytest.fixture(scope="session")
def template(synthesize: Synthesize) -> Template:
    """The stack as deployed to AWS with nothing but defaults."""
    return synthesize()


@pytest.fixture(scope="session")
def resources(template: Template) -> Mapping[str, Any]:
    """Every resource by its logical id."""
    return template.to_json()["Resources"]
