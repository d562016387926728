"""Standard output that takes no more: a full disk ends a command with one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from avskrift.errors import ConfigurationError


@contextmanager
def writing() -> Iterator[None]:
    """Around what writes a result to stdout; raises :class:`~avskrift.errors.ConfigurationError` where that is full.

    Whoever closed a pipe has read enough, which is another matter: that ``BrokenPipeError`` stays one.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        let_go_of_stdout()
        raise ConfigurationError(
            f"Standard output could not be written ({error.strerror}). Free some space, or write somewhere else."
        ) from error


def let_go_of_stdout() -> None:
    """What is still to be written would fail once more when Python ends, with a traceback."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
