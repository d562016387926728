"""What a function is told by its environment has to fit: Lambda refuses the rest in the middle of a deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from avskrift.errors import ConfigurationError

#: Of names and values as JSON (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, read 2026-11).
MAX_BYTES = 4096
#: The longest of the names that CloudFormation makes up, a queue's address; and an id in a list of them, a subnet's.
_NAME, _ID = "x" * 131, "x" * 24
_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
#: Settings that may be long, each in a variable of its own name.
_LONG = ("callback_url", "allowed_callback_hosts", "instance_types", "ami_parameter")


def check_environment(part: str, environment: Mapping[str, str]) -> None:
    """Raise :class:`ConfigurationError` where the function ``part`` could not be made."""
    told = {name: _as_long_as_deployed(value) for name, value in environment.items()}
    size = len(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_BYTES:
        lengths = {setting: len(told.get(f"AVSKRIFT_{setting.upper()}", "")) for setting in _LONG}
        longest = max(_LONG, key=lengths.__getitem__)
        raise ConfigurationError(
            f'The setting "{longest}" is too long beside the others: the function {part} would have {size} bytes of '
            f"environment, and Lambda takes {MAX_BYTES}."
        )


def _as_long_as_deployed(value: str) -> str:
    """With names of the usual length in place of those that are not known before the deployment."""
    return _NAME if _TOKEN.fullmatch(value) else _TOKEN.sub(_ID, value)
