"""One model's weights, loaded for each way of sharing out the cores that is in use.

CTranslate2 fixes workers and threads when it loads. A recording of a few chunks wants all cores at one batch; a long
one wants a batch on each. The first way is what every engine starts with, because speech comes alone at first: a short
clip, or the piece in which a language is heard. The second is loaded while the first minute of a long recording is
being read, and from then on both are kept, where the plan has memory for both.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import ctranslate2

from avskrift.asr.models import ResolvedModel
from avskrift.asr.plan import DecodingPlan
from avskrift.errors import ModelUnavailable


class Replicas:
    """Not for several threads, but for what ``current`` gives."""

    def __init__(self, model: ResolvedModel, plan: DecodingPlan) -> None:
        """Begins to load the model for ``plan.alone``."""
        self._model = model
        self.plan = plan
        self._loading: dict[tuple[int, int], Future[Any]] = {}
        self._current = self._begin(plan.alone)

    @property
    def current(self) -> Any:
        """The ``ctranslate2.models.Whisper`` in use, once it is loaded; raises ``ModelUnavailable``."""
        return self._current.result()

    def expect(self, plan: DecodingPlan) -> None:
        """``plan`` will be used soon: begin to load the model for it."""
        self._make_room_for(plan)
        self._begin(plan)

    def use(self, plan: DecodingPlan) -> None:
        """From here on ``current`` is the one for ``plan``, whatever was used before."""
        self._make_room_for(plan)
        self._current = self._begin(plan)

    def _make_room_for(self, plan: DecodingPlan) -> None:
        """Let go of what is loaded for the other way, where there is no memory for both."""
        if not self.plan.keeps_both and _key(plan) not in self._loading:
            self._loading.clear()
            self._current = self._begin(plan)

    def _begin(self, plan: DecodingPlan) -> Future[Any]:
        loading = self._loading.get(_key(plan))
        if loading is None or _has_failed(loading):
            loading = self._loading[_key(plan)] = Future()
            threading.Thread(target=_fulfil, args=(loading, self._model, plan), daemon=True).start()
        return loading


def _key(plan: DecodingPlan) -> tuple[int, int]:
    return plan.workers, plan.threads


def _has_failed(loading: Future[Any]) -> bool:
    """What failed may succeed the next time: memory comes back."""
    return loading.done() and loading.exception() is not None


def _fulfil(loading: Future[Any], model: ResolvedModel, plan: DecodingPlan) -> None:
    try:
        loading.set_result(_load(model, plan))
    except BaseException as error:  # noqa: BLE001 - for whoever waits for the result
        loading.set_exception(error)


def _load(model: ResolvedModel, plan: DecodingPlan) -> Any:
    try:
        return ctranslate2.models.Whisper(
            str(model.directory),
            device=plan.device,
            compute_type=plan.compute_type,
            intra_threads=plan.threads,
            inter_threads=plan.workers,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailable(
            f"Model {model.name!r} in {model.directory} could not be loaded on {plan.device} as "
            f"{plan.compute_type}: {error}. Download it again, or choose another device or compute type."
        ) from error
