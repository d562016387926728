"""The settings of this checkout: ``cdk.json``, and ``-c name=value`` above it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from infra.config import Config

CHECKOUT = Path(__file__).resolve().parent.parent


def config_of(context: Mapping[str, str]) -> Config:
    """As ``cdk.json`` says, with ``context`` above it. Raises :class:`~avskrift.errors.ConfigurationError`."""
    defaults = json.loads((CHECKOUT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return Config.from_context({**defaults, **context})


def add_context(parser: argparse.ArgumentParser) -> None:
    """The option ``-c``, whose values :func:`config_of` takes as ``dict(options.context)``."""
    parser.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting, instead of the one in cdk.json; can be given several times",
    )


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f'"{text}" is no setting: write NAME=VALUE')
    return name, value
