"""What an idle month costs is computed from the template, and the README says the same."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.idle_cost import IDLE_PASSES, Line, idle_lines, table_of
from tests.infra.catalog_use import CHECKOUT

TARGET_USD = 5.0


def usd(lines: Any) -> float:
    return float(sum(line.usd for line in lines))


def usd_beyond_free(lines: Any) -> float:
    return float(sum(line.usd_beyond_free for line in lines))


def test_an_idle_deployment_costs_less_than_the_target(template: Template, synthesize: Any) -> None:
    """The dashboard is one of an account's three free ones; where it is not, it can be left out."""
    assert usd_beyond_free(idle_lines(template.to_json())) < TARGET_USD
    assert usd(idle_lines(synthesize(dashboard=False).to_json())) < TARGET_USD
    assert usd(idle_lines(synthesize(dashboard=False, customer_key=True).to_json())) < TARGET_USD


def test_the_readme_has_the_table_as_it_is_computed(template: Template) -> None:
    assert table_of(idle_lines(template.to_json())) in (CHECKOUT / "README.md").read_text()


def test_the_readme_says_what_the_key_and_the_dashboard_add(template: Template, synthesize: Any) -> None:
    readme = (CHECKOUT / "README.md").read_text()
    bare = idle_lines(synthesize(dashboard=False).to_json())
    assert f"${usd_beyond_free(idle_lines(template.to_json())):.2f} a month" in readme
    assert f"${usd(bare):.2f}" in readme
    assert f"(`-c customer_key=true`) adds ${usd(key_lines(synthesize)):.2f}" in readme


def key_lines(synthesize: Any) -> list[Line]:
    """What an idle month is billed for with a key of one's own, and not without."""
    bare = idle_lines(synthesize().to_json())
    return [line for line in idle_lines(synthesize(customer_key=True).to_json()) if line not in bare]


def test_a_key_costs_its_dollar_and_what_kms_is_asked(synthesize: Any) -> None:
    """The table's key is asked for once in five minutes by capacity, and in each run of reconcile."""
    key, requests = key_lines(synthesize)
    assert (key.quantity, key.usd, key.usd_beyond_free) == (1, 1.0, 1.0)
    assert requests.quantity == 730 * 12 + 730 * 6
    assert requests.usd == pytest.approx(0.04, abs=0.001)
    assert requests.usd_beyond_free == 0


def test_what_is_added_is_billed(template: Template) -> None:
    before, resources = template.to_json(), template.to_json()["Resources"]
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{}, {}, {}]}}
    more = {**before, "Resources": {**resources, "A": alarm}}
    assert usd(idle_lines(more)) == pytest.approx(usd(idle_lines(before)) + 0.30)


def test_more_frequent_passes_cost_more(template: Template) -> None:
    slow = template.to_json()
    for rule in slow["Resources"].values():
        if rule.get("Properties", {}).get("ScheduleExpression") == "rate(1 minute)":
            rule["Properties"]["ScheduleExpression"] = "rate(2 minutes)"
    assert usd(idle_lines(slow)) < usd(idle_lines(template.to_json()))


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ({"Type": "AWS::EC2::NatGateway"}, "NatGateway"),
        ({"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Interface"}}, "VPCEndpoint"),
    ],
)
def test_nothing_is_free_by_mistake(template: Template, added: dict[str, Any], named: str) -> None:
    changed = template.to_json()
    changed["Resources"] = {**changed["Resources"], "Added": added}
    with pytest.raises(ValueError, match=named):
        idle_lines(changed)


def test_a_function_by_the_clock_must_be_counted(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(IDLE_PASSES, "lambdas.reconcile.handler")
    with pytest.raises(ValueError, match=r"lambdas\.reconcile"):
        idle_lines(template.to_json())
