"""The weights for one batch on every core and for a batch on each: loaded when needed, kept while there is room."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from avskrift.asr import replicas
from avskrift.asr.models import ResolvedModel
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.replicas import Replicas
from avskrift.errors import ModelUnavailable

MODEL = ResolvedModel("stand-in", Path())
PLAN = DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4)
TIGHT = DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4, keeps_both=False)


class Loaded:
    """A model that knows for how many it was loaded."""

    def __init__(self, plan: DecodingPlan) -> None:
        self.cores = (plan.workers, plan.threads)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    loads: list[tuple[int, int]] = []

    def load(_: ResolvedModel, plan: DecodingPlan) -> Any:
        loads.append((plan.workers, plan.threads))
        return Loaded(plan)

    monkeypatch.setattr(replicas, "_load", load)
    return loads


def test_an_engine_starts_with_one_batch_on_every_core(loads: list[tuple[int, int]]) -> None:
    assert Replicas(MODEL, PLAN).current.cores == (1, 2)
    assert loads == [(1, 2)]


def test_each_arrangement_is_loaded_once_where_both_fit(loads: list[tuple[int, int]]) -> None:
    both = Replicas(MODEL, PLAN)
    first = both.current
    both.expect(PLAN)
    assert both.current is first
    both.use(PLAN)
    assert both.current.cores == (2, 1)
    both.use(PLAN.alone)
    assert both.current is first
    both.use(PLAN)
    assert loads == [(1, 2), (2, 1)]


def test_without_room_for_both_one_is_let_go_of(loads: list[tuple[int, int]]) -> None:
    one = Replicas(MODEL, TIGHT)
    gone = threading.Event()
    weakref.finalize(one.current, gone.set)
    one.expect(TIGHT)
    one.use(TIGHT)
    assert one.current.cores == (2, 1)
    assert gone.wait(30)
    one.use(TIGHT.alone)
    assert one.current.cores == (1, 2)
    assert loads == [(1, 2), (2, 1), (1, 2)]


def test_a_plan_of_one_worker_has_one_arrangement(loads: list[tuple[int, int]]) -> None:
    plan = DecodingPlan("cuda", "float16", workers=1, threads=0, batch=16)
    one = Replicas(MODEL, plan)
    one.use(plan)
    assert one.current.cores == (1, 0)
    assert loads == [(1, 0)]


def test_what_failed_to_load_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [ModelUnavailable("no memory"), "a model"]

    def load(*_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(replicas, "_load", load)
    one = Replicas(MODEL, PLAN)
    with pytest.raises(ModelUnavailable):
        _ = one.current
    one.use(PLAN.alone)
    assert one.current == "a model"
