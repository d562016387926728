"""Of what a function's process writes, the words of others: libraries' lines, warnings, texts of faults."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from avskrift.errors import ConfigurationError, InternalError
from lambdas.handling import in_own_words
from tests.lambdas.conftest import HANDLERS
from tests.lambdas.invoking import Context, record

LAMBDAS = Path(__file__).resolve().parents[2] / "lambdas"
URL = "https://receiver.example/hook?token=hemlig"


@pytest.fixture
def root_lines() -> Iterator[io.StringIO]:
    """What a handler writes that was on the root logger before the function came."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.addFilter(lambda record: bool(record.__dict__.setdefault("request_id", "r-1")))
    handler.setFormatter(logging.Formatter("%(levelname)s %(request_id)s %(message)s"))
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


@in_own_words(Logger(service="own-words"))
def talking(_event: Any, _context: Any) -> None:
    try:
        raise ValueError(URL)
    except ValueError:
        logging.getLogger("urllib3.connection").warning(
            "Failed to parse (url=%s)", URL, exc_info=True, extra={"u": URL}
        )
    warnings.warn(URL, stacklevel=1)


def test_others_lines_and_warnings_go_out_without_their_text(
    root_lines: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for _ in range(2):
            talking({}, None)
    left_out = [
        f"WARNING r-1 {name} logged a line, which is left out" for name in ("urllib3.connection", "py.warnings")
    ]
    assert root_lines.getvalue().splitlines() == left_out * 2
    assert capfd.readouterr().err == ""


def test_a_handler_that_came_later_is_filtered_from_the_next_event_on(root_lines: io.StringIO) -> None:
    talking({}, None)
    late = io.StringIO()
    handler = logging.StreamHandler(late)
    logging.getLogger().addHandler(handler)
    try:
        talking({}, None)
    finally:
        logging.getLogger().removeHandler(handler)
    assert "hemlig" not in late.getvalue()
    assert "left out" in late.getvalue()


def test_a_fault_is_told_by_its_kind_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    told = io.StringIO()

    @in_own_words(Logger(service="own-words-failing", stream=told))
    def failing(_event: Any, _context: Any) -> None:
        raise ConnectionResetError(URL)

    with pytest.raises(InternalError, match=r"^ConnectionResetError: the line before says where\.$") as caught:
        failing({}, None)
    assert caught.value.__suppress_context__
    line = json.loads(told.getvalue())
    assert (line["level"], line["fault"]) == ("ERROR", "ConnectionResetError")
    assert line["places"].endswith("failing")
    assert "hemlig" not in told.getvalue() + capsys.readouterr().out


def test_a_setting_that_is_missing_is_named() -> None:
    @in_own_words(Logger(service="own-words"))
    def failing(_event: Any, _context: Any) -> None:
        raise ConfigurationError("AVSKRIFT_TABLE is not set: deploy the stack again.")

    with pytest.raises(ConfigurationError, match="AVSKRIFT_TABLE"):
        failing({}, None)


def test_no_handler_goes_without() -> None:
    codes = [path.read_text() for path in sorted(LAMBDAS.glob("*.py"))]
    handlers = [code for code in codes if "\ndef handler(" in code]
    assert len(handlers) == 4
    assert all("@in_own_words(logger)\n" in code for code in handlers)


@pytest.mark.parametrize("name", HANDLERS)
def test_every_function_keeps_to_its_own_words(
    name: str, functions: dict[str, ModuleType], root_lines: io.StringIO
) -> None:
    functions[name].handler({"Records": [record("{}")]}, Context())
    logging.getLogger("botocore.retryhandler").error("retrying %s", URL)
    assert root_lines.getvalue().endswith("botocore.retryhandler logged a line, which is left out\n")
