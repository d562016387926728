"""Who runs the pass that was asked for while another one ran: the handler of λ capacity under its lease."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from avskrift.jobs.observation import Nudge
from avskrift.jobs.pass_report import Report
from tests.lambdas.invoking import Context


@dataclass
class Passes:
    """Stands for the capacity: what each pass was told, and what happens elsewhere while it runs."""

    handler: Callable[[dict[str, Any], Context], dict[str, int]]
    meanwhile: Callable[[], object] = object
    nudges: list[Nudge] = field(default_factory=list)

    def run(self, _now: float, nudge: Nudge) -> Report:
        self.nudges.append(nudge)
        self.meanwhile()
        return Report()

    def invoke(self, event: dict[str, Any], request_id: str) -> dict[str, int]:
        return self.handler(event, Context(aws_request_id=request_id))


@pytest.fixture
def passes(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Passes:
    monkeypatch.setenv("AVSKRIFT_TABLE", "jobs")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    function = importlib.import_module("lambdas.capacity")
    passes = Passes(function.handler)
    monkeypatch.setattr(function, "_capacity", lambda: passes)
    return passes


def test_loser_leaves_and_the_holder_runs_its_pass_with_its_news(passes: Passes) -> None:
    losers: list[dict[str, int]] = []

    def lose_once() -> None:
        if not losers:
            losers.append(passes.invoke({"job_ids": ["late"]}, "request-2"))

    passes.meanwhile = lose_once
    assert passes.invoke({"job_ids": ["early"]}, "request-1") == {"passes": 2}
    assert losers == [{"passes": 0}]
    assert [nudge.job_ids for nudge in passes.nudges] == [("early",), ("late",)]


def test_losers_without_end_do_not_keep_the_holder_and_the_lease_is_free_again(passes: Passes) -> None:
    passes.meanwhile = lambda: passes.invoke({}, "request-2")
    assert passes.invoke({}, "request-1") == {"passes": 3}
    passes.meanwhile = object
    assert passes.invoke({}, "request-3") == {"passes": 1}
