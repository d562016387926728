"""From context to stack: the few lines that the command line, the tests and the local cloud share."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk

from infra.account import AccountStack
from infra.config import Config
from infra.limits import ACCOUNT_STACK_SUFFIX
from infra.stack import AvskriftStack


def build_app(context: Mapping[str, object] | None = None) -> cdk.App:
    """The app: the stack named after the deployment and, where there is a budget, ``<name>-account`` beside it.

    ``context`` adds to what the command line passes.

    Raises :class:`~avskrift.errors.ConfigurationError` for a setting that is unknown or cannot be right.
    """
    app = cdk.App(context=context)
    config = Config.from_context(app.node.get_all_context())
    environment = cdk.Environment(account=config.account or None, region=config.region)
    AvskriftStack(app, config.name, config=config, env=environment)
    if config.monthly_budget_usd > 0 and not config.local:
        AccountStack(app, f"{config.name}{ACCOUNT_STACK_SUFFIX}", config=config)
    return app
