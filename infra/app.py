"""From context to stack: the few lines that the command line, the tests and the local cloud share."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk

from infra.config import Config
from infra.stack import AvskriftStack


def build_app(context: Mapping[str, object] | None = None) -> cdk.App:
    """The app with its one stack, named after the deployment. ``context`` adds to what the command line passes.

    Raises :class:`~avskrift.errors.ConfigurationError` for a setting that is unknown or cannot be right.
    """
    app = cdk.App(context=context)
    config = Config.from_context(app.node.get_all_context())
    environment = cdk.Environment(account=config.account or None, region=config.region)
    AvskriftStack(app, config.name, config=config, env=environment)
    return app
