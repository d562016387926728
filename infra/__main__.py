"""The CDK app. The CDK command line runs it; a wrong setting ends it with one sentence instead of a stack trace."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from avskrift.errors import ConfigurationError

CONTEXT_VARIABLE = "CDK_CONTEXT_JSON"
"""With which the CDK command line passes on settings."""


def prefer_node_beside_python() -> None:
    """Let jsii use the Node of this virtual environment, so that a system Node is neither needed nor in the way."""
    node = Path(sys.executable).with_name("node")
    if node.exists():
        os.environ.setdefault("JSII_NODE", str(node))


def check_context() -> None:
    """Raise :class:`ConfigurationError` for settings that the CDK's own part could not read."""
    try:
        context = json.loads(os.environ.get(CONTEXT_VARIABLE) or "{}")
    except ValueError:
        context = None
    if not isinstance(context, dict):
        raise ConfigurationError(f"{CONTEXT_VARIABLE} must hold a JSON object: unset it, and give settings with -c.")


def main() -> None:
    prefer_node_beside_python()
    try:
        check_context()
        from infra.app import build_app  # jsii starts its Node process when aws_cdk is imported

        build_app().synth()
    except ConfigurationError as error:
        sys.exit(f"Configuration: {error.message}")


if __name__ == "__main__":
    main()
