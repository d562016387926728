"""What may stand in a log that is kept: our own words, and of everybody else's that there were some.

Libraries log addresses with their query strings, and keys; Python's own traces end with a fault's text, which may name
both. The functions and the agent put this filter on every handler of the root logger.
"""

from __future__ import annotations

import logging
from pathlib import Path

OWN_LOGGERS = frozenset({"avskrift", "instance", "lambdas"})
FRAMES = 12
"""Of the trace of a fault that nobody foresaw: the innermost ones."""


class OwnWords(logging.Filter):
    """Other libraries may name keys and addresses in what they log: of them, only that they logged something."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in OWN_LOGGERS:
            record.msg, record.args = "%s logged a line, which is left out", (record.name,)
            for name in record.__dict__.keys() - logging.makeLogRecord({}).__dict__.keys():
                delattr(record, name)  # what was given as extra, which a line in JSON shows too
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def keep_to_own_words() -> None:
    """Filter what the root logger's handlers take, those that somebody else put there too; Python's warnings with it.

    May be repeated: handlers that came since are filtered from then on.
    """
    logging.captureWarnings(True)  # else their text goes to stderr, which is kept as well
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, OwnWords) for one in handler.filters):
            handler.filters.insert(0, OwnWords())  # before filters that add what their handler's format needs


def places_of(error: BaseException) -> str:
    """Where a fault came from, innermost last, without any value of it."""
    places = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(places[-FRAMES:])
