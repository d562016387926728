"""The account that the doctor looks at."""

from __future__ import annotations

import pytest

from tests.doctor.account import WELL, Account, open_account


@pytest.fixture(scope="session")
def table() -> Account:
    return open_account()


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
