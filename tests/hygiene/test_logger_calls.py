"""What is handed to a logger, read off the code: no key, address, text or raw exception, on any path."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CODE = [
    path
    for folder in ("instance", "lambdas", "avskrift/jobs", "avskrift/webhooks", "avskrift/asr")
    for path in sorted((CHECKOUT / folder).rglob("*.py"))
]
LOGGERS = {"log", "logger", "logging"}
METHODS = {"debug", "info", "warning", "warn", "error", "critical", "exception", "log", "append_keys"}
STRANGERS = {
    *("key", "keys", "url", "uri", "callback_url", "query", "body", "text", "transcript", "prompt", "hotwords"),
    *("metadata", "options", "answer", "excerpt", "content", "payload", "path", "headers", "secret", "token"),
    *("title", "name", "values", "event", "record", "item", "row"),
}
"""Names of what holds a stranger's words, or all of a row or message."""
OURS = {("brief", "error"), ("note", "text"), ("note", "about")}
"""A fault's kind, without its text; and what λ capacity says of a pass, which is made of ids and counts."""

SPEAKABLE = {"ConfigurationError", "MalformedEvent", "MalformedRow", "ModelUnavailable"}
"""Errors whose messages are made of our own words alone; a ``BadOptions`` quotes what was asked for."""

HARMLESS = {"brief", "code_of", "len", "type", "round", "row_fields", "places_of"}
"""Functions that make kinds, counts and ids of what they are given."""


def faults_in(code: str) -> list[str]:
    """Logger calls that are handed something that may hold a stranger's words."""
    tree = ast.parse(code)
    handlers = [one for one in ast.walk(tree) if isinstance(one, ast.ExceptHandler) and one.name]
    caught = Caught({str(one.name) for one in handlers}, {id(said) for one in handlers for said in _speakable(one)})
    return [
        f"line {call.lineno}: {what}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _is_logger_call(call)
        for what in _handed(call, caught)
    ]


@dataclass(frozen=True)
class Caught:
    """Names of exceptions, and the mentions (by ``id``) of the messages of such as may be told."""

    names: set[str]
    speakable: set[int]


def _speakable(handler: ast.ExceptHandler) -> Iterator[ast.Attribute]:
    """``error.message`` within a handler that catches errors of ``SPEAKABLE`` alone."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if {kind.id if isinstance(kind, ast.Name) else "" for kind in kinds} <= SPEAKABLE:
        for one in ast.walk(handler):
            if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == handler.name:
                yield one


def _is_logger_call(call: ast.Call) -> bool:
    target = call.func
    return (
        isinstance(target, ast.Attribute)
        and target.attr in METHODS
        and isinstance(target.value, ast.Name)
        and target.value.id in LOGGERS
    )


def _handed(call: ast.Call, caught: Caught) -> Iterator[str]:
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr == "exception":
        yield "exception() writes the fault's text"
    for keyword in call.keywords:
        if keyword.arg in {"exc_info", "stack_info"} or keyword.arg in STRANGERS:
            yield f"{keyword.arg}="
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        yield from _words_of(argument, caught)


def _words_of(argument: ast.expr, caught: Caught) -> Iterator[str]:
    """Looks into what is handed over, but not into calls that make a harmless word of it."""
    match argument:
        case ast.Attribute(value=ast.Name(id=holder), attr=name) if (holder, name) in OURS:
            return
        case ast.Attribute(attr="message") if id(argument) not in caught.speakable:
            yield ".message"
        case ast.Attribute(attr=name) if name in STRANGERS:
            yield f".{name}"
        case ast.Name(id=name) if name in STRANGERS or name in caught.names:
            yield name
        case ast.Call(func=ast.Name(id=name)) if name in HARMLESS:
            return
    for child in ast.iter_child_nodes(argument):
        if isinstance(child, ast.expr) and not (isinstance(argument, ast.Attribute) and isinstance(child, ast.Name)):
            yield from _words_of(child, caught)
        elif isinstance(child, ast.keyword):
            yield from _words_of(child.value, caught)


def test_no_logger_is_handed_a_strangers_words() -> None:
    found = {str(path.relative_to(CHECKOUT)): faults_in(path.read_text(encoding="utf-8")) for path in CODE}
    assert {path: faults for path, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "line",
    [
        'log.info("got %s", job.key)',
        'log.info("got %s", key)',
        'logger.info("sent", url=entry.url)',
        'logger.info("sent", where=entry.url)',
        'log.error(f"failed for {upload.key}")',
        'log.error("failed: %s", error)',
        'log.error("failed: %s", str(error))',
        'log.error("failed: %s" % error)',
        'log.error("%s: %s", error.code, error.message)',
        'log.error("failed: %s", answer.message)',
        'log.exception("failed")',
        'log.error("failed", exc_info=True)',
        'log.warning("row %s", values)',
        'log.info("said %s", transcript.text[:20])',
        'logging.error("options %s", asdict(job.options))',
        "logger.append_keys(prompt=job.options.prompt)",
    ],
)
def test_a_planted_call_is_found(line: str) -> None:
    assert faults_in(f"try:\n    pass\nexcept OSError as error:\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        'log.info("job %s: attempt %d", job.job_id, job.attempt)',
        'log.error("failed: %s", brief(error))',
        'log.error("%s", error.code)',
        'log.info("%d lines", len(values))',
    ],
)
def test_ids_codes_and_counts_are_no_fault(line: str) -> None:
    assert faults_in(f"try:\n    pass\nexcept OSError as error:\n    {line}\n") == []


@pytest.mark.parametrize(
    ("kinds", "is_found"),
    [
        ("MalformedRow", False),
        ("(ConfigurationError, ModelUnavailable)", False),
        ("AvskriftError", True),
        ("(MalformedRow, BadOptions)", True),
        ("errors.BadOptions", True),
    ],
)
def test_messages_are_told_of_named_errors_alone(kinds: str, is_found: bool) -> None:
    code = f"try:\n    pass\nexcept {kinds} as error:\n    log.error('%s', error.message)\n"
    assert bool(faults_in(code)) is is_found


def test_the_code_that_logs_is_looked_at() -> None:
    calls = [
        call
        for path in CODE
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _is_logger_call(call)
    ]
    assert len(calls) > 50
