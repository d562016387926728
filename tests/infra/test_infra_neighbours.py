"""Several deployments in one account do not meet, and the stack knows nothing of speech."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from avskrift.jobs.fleet import DEPLOYMENT_TAG
from infra.app import build_app
from infra.bundling import CHECKOUT
from infra.limits import BILLING_REGION, REGION_TAG
from infra.own_modules import reached_files
from tests.infra.conftest import WITHOUT_BUNDLING

#: Names inside a resource, or of something that is not made by it.
OTHER_NAMES = {
    *("AttributeName", "IndexName", "DeviceName", "PolicyName", "MetricName", "ServiceName", "ParameterName"),
    *("Name", "TableClassName"),
}
SETTINGS = {"customer_key": True, "monthly_budget_usd": 20, "alarm_email": "ops@example.org"}


@functools.cache
def templates(name: str, region: str = "eu-north-1") -> Mapping[str, Any]:
    """The stacks of a deployment by name."""
    app = build_app({**WITHOUT_BUNDLING, **SETTINGS, "name": name, "region": region})
    stacks = [child for child in app.node.children if hasattr(child, "stack_name")]
    return {stack.stack_name: Template.from_stack(stack).to_json() for stack in stacks}


def names(value: Any, key: str = "") -> Iterator[str]:
    """Every physical name, spelled out or joined from parts."""
    if isinstance(value, dict) and "Ref" not in value and "Fn::GetAtt" not in value and "Fn::Join" not in value:
        for inner, each in value.items():
            yield from names(each, inner)
    elif isinstance(value, list):
        for each in value:
            yield from names(each, key)
    elif key.endswith("Name") and key not in OTHER_NAMES and not _refers(value):
        yield f"{key}: {json.dumps(value)}"


def _refers(value: Any) -> bool:
    """Whether it is a reference to a resource of the stack, whose name CloudFormation makes up."""
    return isinstance(value, dict) and ("Ref" in value or "Fn::GetAtt" in value)


def physical_names(name: str) -> set[str]:
    """Names of stacks, of what is in them, and of what is exported from them."""
    found = set()
    for stack_name, template in templates(name).items():
        found |= {f"stack {stack_name}"}
        for each in template["Resources"].values():
            properties = each.get("Properties", {})
            found |= set(names(properties)) | (
                {f"Name: {json.dumps(properties['Name'])}"} if "Name" in properties else set()
            )
        found |= {f"export {each['Export']}" for each in template.get("Outputs", {}).values() if "Export" in each}
    return found


@pytest.mark.parametrize(("some", "others"), [("press", "radio"), ("press", "press-2")])
def test_two_deployments_share_no_name(some: str, others: str) -> None:
    ours, theirs = physical_names(some), physical_names(others)

    assert len(ours) == len(theirs) > 10
    assert ours & theirs == set()
    assert any(f"/avskrift/{some}/register" in name for name in ours)


#: Of which there is one in an account, not one in each region.
GLOBAL_KINDS = {"AWS::Budgets::Budget", "AWS::CloudWatch::Dashboard", "AWS::IAM::InstanceProfile", "AWS::IAM::Role"}


def global_names(name: str, region: str) -> set[str]:
    """Those that deployments in other regions could have, too; a bucket's is made up, or a setting."""
    resources = [each for template in templates(name, region).values() for each in template["Resources"].values()]
    return {
        found
        for each in resources
        if each["Type"] in GLOBAL_KINDS
        for found in names({key: value for key, value in each["Properties"].items() if key != "Policies"})
    }


def test_the_same_name_in_two_regions_shares_no_name_of_what_is_the_accounts() -> None:
    ours, theirs = global_names("press", "eu-north-1"), global_names("press", "eu-west-1")

    assert {one.partition(":")[0] for one in ours} == {"BudgetName", "DashboardName"}
    assert ours & theirs == set()


def test_the_one_stack_that_two_regions_share_by_name_says_whose_it_is() -> None:
    tags = []
    for region in ("eu-north-1", "eu-west-1"):
        app = build_app({**WITHOUT_BUNDLING, **SETTINGS, "name": "press", "region": region})
        stack = app.node.find_child("press-account")
        assert isinstance(stack, cdk.Stack)
        assert stack.region == BILLING_REGION
        tags.append(stack.tags.tag_values())

    assert tags == [
        {DEPLOYMENT_TAG: "press", REGION_TAG: "eu-north-1"},
        {DEPLOYMENT_TAG: "press", REGION_TAG: "eu-west-1"},
    ]


def test_what_one_deployment_may_do_by_name_reaches_no_log_or_parameter_of_another() -> None:
    """``/avskrift/press/*`` ends in a slash before the star, or ``press-2`` would be within ``press``."""
    said = json.dumps(templates("press"))

    assert "/avskrift/press*" not in said
    assert "/avskrift/press-" not in said


def test_the_stack_knows_nothing_of_speech() -> None:
    app = CHECKOUT / "infra" / "__main__.py"
    files = reached_files(CHECKOUT, [app], frozenset({"avskrift", "infra", "instance", "lambdas"}))
    known = {str(path.relative_to(CHECKOUT)) for path in files}

    assert {"infra/stack.py", "infra/observability.py", "avskrift/jobs/growth.py"} <= known
    assert [path for path in known if path.startswith(("avskrift/asr", "avskrift/audio", "instance/"))] == []


def test_no_module_of_infra_imports_speech_itself() -> None:
    sources = {path.name: path.read_text() for path in (CHECKOUT / "infra").glob("*.py")}

    assert len(sources) > 20
    assert [
        name for name, text in sources.items() if re.search(r"^\s*(from|import) avskrift\.(asr|audio)", text, re.M)
    ] == []
