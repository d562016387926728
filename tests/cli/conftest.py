"""The deployment that commands find, in moto."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from avskrift.client import Client, Place


@pytest.fixture
def stack(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The deployment stands for the stack that would be looked up, on a terminal wide enough for a table."""
    place = Place(deployment.bucket, deployment.table.name, deployment.outbox_queue_url)
    shared: Any = SimpleNamespace(client=lambda service, **_: deployment.client(service))  # clients are slow to make
    monkeypatch.setattr(Client, "connect", lambda _: Client(place, shared))
    monkeypatch.setenv("COLUMNS", "200")
    return deployment
