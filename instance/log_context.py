"""Which job a log line is about: said once where the work on it begins, and carried into the threads that it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """A job, and which attempt at it; 0 while it isn't claimed."""

    job_id: str
    attempt: int = 0


_subject: ContextVar[Subject | None] = ContextVar("subject", default=None)


def current_subject() -> Subject | None:
    return _subject.get()


@contextmanager
def about(job_id: str | None, attempt: int = 0) -> Iterator[None]:
    """Lines that are logged within, here and in threads begun with ``carried``, are about this job, or about none."""
    token = _subject.set(Subject(job_id, attempt) if job_id else None)
    try:
        yield
    finally:
        _subject.reset(token)


def carried(call: Callable[P, T]) -> Callable[P, T]:
    """``call`` for another thread, there about the same job as here."""
    context = copy_context()

    def run(*arguments: P.args, **options: P.kwargs) -> T:
        return context.copy().run(call, *arguments, **options)

    return run
