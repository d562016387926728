"""The stack beside a deployment: a budget where one is asked for, by assertions only, as no emulator takes budgets."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.app import build_app
from infra.limits import BILLING_REGION
from tests.infra.conftest import WITHOUT_BUNDLING
from tests.infra.template_reading import only
from tests.infra.test_infra_lint import faults

TOPIC_ARN = "arn:aws:sns:eu-north-1:123456789012:on-call"
BY_MAIL = {"monthly_budget_usd": 40, "alarm_email": "ops@example.org"}
BY_TOPIC = {"monthly_budget_usd": 40, "alarm_topic_arn": TOPIC_ARN}


@functools.cache
def stacks(**settings: object) -> dict[str, Template]:
    """Every stack of the app by its name."""
    app = build_app({**WITHOUT_BUNDLING, **settings})
    return {child.node.id: Template.from_stack(child) for child in app.node.children if hasattr(child, "stack_name")}


def budget(settings: Mapping[str, Any]) -> Any:
    return only(stacks(**settings)["avskrift-account"].to_json()["Resources"], "AWS::Budgets::Budget")


def test_without_a_budget_there_is_no_second_stack_and_never_in_the_local_cloud() -> None:
    assert set(stacks()) == {"avskrift"}
    assert set(stacks(**BY_MAIL, local=True)) == {"avskrift"}


def test_a_budget_of_the_month_is_in_a_stack_of_its_own() -> None:
    made = stacks(**BY_MAIL)

    assert set(made) == {"avskrift", "avskrift-account"}
    made["avskrift"].resource_count_is("AWS::Budgets::Budget", 0)
    made["avskrift-account"].has_resource_properties(
        "AWS::Budgets::Budget",
        {
            "Budget": {
                "BudgetName": "avskrift-eu-north-1-monthly",
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": 40, "Unit": "USD"},
            }
        },
    )


@pytest.mark.parametrize(
    ("settings", "subscriber"),
    [
        (BY_MAIL, {"SubscriptionType": "EMAIL", "Address": "ops@example.org"}),
        (BY_TOPIC, {"SubscriptionType": "SNS", "Address": TOPIC_ARN}),
    ],
)
def test_somebody_is_told_before_and_when_it_is_spent_and_when_it_will_be(
    settings: Mapping[str, Any], subscriber: Mapping[str, str]
) -> None:
    notices = budget(settings)["NotificationsWithSubscribers"]

    told = [(each["Notification"]["Threshold"], each["Notification"]["NotificationType"]) for each in notices]
    assert told == [(80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED")]
    assert all(each["Subscribers"] == [subscriber] for each in notices)


@pytest.mark.slow
def test_the_second_stack_is_as_aws_describes_it_where_budgets_are_known_and_needs_no_bootstrap() -> None:
    template = stacks(**BY_MAIL)["avskrift-account"].to_json()

    assert faults(template, BILLING_REGION) == []
    assert "eu-north-1" in faults(template)[0]
    assert set(template) == {"Description", "Resources"}
