"""The second stack, ``<name>-account``: what belongs to the account's bill more than to the deployment.

It stands apart because the local emulator refuses budgets, and a refused resource takes the whole deployment with it;
and because CloudFormation knows budgets in some regions only (not in eu-north-1): it is deployed to us-east-1. There it
meets those of deployments of the same name in other regions, so it is tagged with its own's.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from constructs import Construct

from avskrift.jobs.fleet import DEPLOYMENT_TAG
from infra.config import Config
from infra.limits import BILLING_REGION, REGION_TAG

#: Percent of the budget, and whether it is spent or only foreseen, at which somebody is told.
NOTICES = ((80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED"))


class AccountStack(cdk.Stack):
    """A monthly budget that tells the address or the topic of the alarms.

    It counts what the whole account spends: a budget for one tag counts nothing until the account's owner activates the
    tag for cost allocation, and nobody would notice. A topic must let ``budgets.amazonaws.com`` publish to it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(
            scope,
            construct_id,
            env=cdk.Environment(account=config.account or None, region=BILLING_REGION),
            # Small and without assets: nothing has to be bootstrapped in that region.
            synthesizer=cdk.LegacyStackSynthesizer(),
            description=f"avskrift: the budget beside the deployment {config.name} in {config.region}.",
            tags={DEPLOYMENT_TAG: config.name, REGION_TAG: config.region},
        )
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{config.name}-{config.region}-monthly",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=config.monthly_budget_usd, unit="USD"),
            ),
            notifications_with_subscribers=[_notice(percent, kind, config) for percent, kind in NOTICES],
        )


def _notice(percent: int, kind: str, config: Config) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
    told = ("SNS", config.alarm_topic_arn) if config.alarm_topic_arn else ("EMAIL", config.alarm_email)
    return budgets.CfnBudget.NotificationWithSubscribersProperty(
        notification=budgets.CfnBudget.NotificationProperty(
            notification_type=kind,
            comparison_operator="GREATER_THAN",
            threshold=percent,
            threshold_type="PERCENTAGE",
        ),
        subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type=told[0], address=told[1])],
    )
