"""The account that the doctor looks at."""

from __future__ import annotations

import pytest

from tests.doctor.account import WELL, Account, open_account, reach_everybody


@pytest.fixture(scope="session")
def table() -> Account:
    return open_account()


@pytest.fixture
def account(table: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A deployment that is well; a test changes ``answers``. Callbacks are reached without a network."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    reach_everybody(monkeypatch)
    table.answers, table.asked = dict(WELL), []
    return table
