"""Typed access to a function's environment, apart from the settings made of it: not every function needs those."""

from __future__ import annotations

import os
from collections.abc import Mapping

from avskrift.errors import ConfigurationError


class Environment:
    """Typed access to ``AVSKRIFT_…`` variables; a missing or wrong one is named."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str) -> str:
        value = self.optional(name)
        if not value:
            raise ConfigurationError(f"AVSKRIFT_{name} is not set: deploy the stack again.")
        return value

    def optional(self, name: str) -> str:
        return self._values.get(f"AVSKRIFT_{name}", "")

    def number(self, name: str) -> float:
        try:
            return float(self.text(name))
        except ValueError as error:
            raise ConfigurationError(f"AVSKRIFT_{name} must be a number.") from error

    def integer(self, name: str) -> int:
        return int(self.number(name))

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(part for part in self.optional(name).split(",") if part)

    @property
    def insecure_callbacks(self) -> bool:
        return self.optional("INSECURE_CALLBACKS") == "1"
