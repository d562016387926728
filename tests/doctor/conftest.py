"""The account that the doctor looks at."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest

from tests.doctor.account import REGION, WELL, Account


@pytest.fixture(scope="session")
def table() -> Account:
    """One session and its clients for all tests: to make them takes longer than the tests do."""
    core = botocore.session.Session(session_vars={"profile": (None, [], None, None)})
    session = boto3.Session("test", "test", region_name=REGION, botocore_session=core)
    session.client = cache(session.client)  # type: ignore[method-assign,assignment]
    account = Account(session, {})
    requests: dict[str, dict[str, Any]] = {}

    def remember(params: dict[str, Any], model: Any, **_: Any) -> None:
        requests[model.name] = dict(params)

    core.register("provide-client-params", remember)
    core.register("before-call", lambda model, **_: account.answer(model, requests[model.name]))
    return account


@pytest.fixture
def account(table: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A deployment that is well; a test changes ``answers``. Callbacks are reached without a network."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("avskrift.doctor.callback.connect", lambda *_: _Line())
    monkeypatch.setattr("avskrift.doctor.callback.shake_hands", lambda *_: None)
    table.answers, table.asked = dict(WELL), []
    return table


class _Line:
    """A connection that nobody writes to."""

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        pass
