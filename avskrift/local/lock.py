"""One cloud per folder: the supervisor holds a file lock as long as it lives, however it ends.

The lock is taken by whoever starts the supervisor and handed on as an open file, so there is no moment between.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avskrift.errors import LocalCloudError
from avskrift.local.settings import Files


@contextmanager
def exclusive(folder: Path) -> Iterator[int]:
    """Hold the folder's lock and yield its descriptor; a process that inherits it holds it on.

    Raises :class:`LocalCloudError` when a cloud is up there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Files(folder).lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalCloudError(
                f"A local cloud is already up in {folder}: `avskrift cloud status` shows it, "
                "`avskrift cloud down` ends it."
            ) from error
        yield lock.fileno()


def is_held(folder: Path) -> bool:
    """Whether a supervisor lives in this folder."""
    if not Files(folder).lock.exists():
        return False
    with Files(folder).lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
