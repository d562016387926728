"""The CDK app. The CDK command line runs it; a wrong setting ends it with one sentence instead of a stack trace."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from avskrift.errors import ConfigurationError


def prefer_node_beside_python() -> None:
    """Let jsii use the Node of this virtual environment, so that a system Node is neither needed nor in the way."""
    node = Path(sys.executable).with_name("node")
    if node.exists():
        os.environ.setdefault("JSII_NODE", str(node))


def main() -> None:
    prefer_node_beside_python()
    from infra.app import build_app  # jsii starts its Node process when aws_cdk is imported

    try:
        build_app().synth()
    except ConfigurationError as error:
        sys.exit(f"Configuration: {error.message}")


if __name__ == "__main__":
    main()
