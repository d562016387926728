"""What every handler has around it: of its faults, and of other libraries' lines, no more than kind and place are kept.

Lambda puts a handler on the root logger, which writes whatever any library logs, and writes the text of what a handler
raises. Either may name an address with its query string.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger

from avskrift.errors import ConfigurationError, InternalError
from avskrift.jobs.pass_report import brief
from avskrift.own_words import keep_to_own_words, places_of

Handler = Callable[[dict[str, Any], Any], Any]


def in_own_words(logger: Logger) -> Callable[[Handler], Handler]:
    """A handler that fails by ``InternalError`` without the fault's text, or by a ``ConfigurationError`` of ours."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def told(event: dict[str, Any], context: Any) -> Any:
            keep_to_own_words()
            try:
                return handler(event, context)
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, its text goes nowhere
                logger.error("ended by a fault that nobody foresaw", fault=brief(error), places=places_of(error))
                raise InternalError(f"{brief(error)}: the line before says where.") from None

        return told

    return decorate
