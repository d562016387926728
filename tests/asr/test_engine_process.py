"""What the engine makes of a worker that dies or hangs at moments that no real one can be brought to hit."""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from avskrift.asr import engine as engine_module
from avskrift.asr.engine import Engine, EngineConfig, Progress
from avskrift.asr.models import ResolvedModel
from avskrift.asr.process import Message, WorkerProcess
from avskrift.errors import BadOptions, Cancelled, WorkerCrashed
from avskrift.transcript import Transcript

READY: Message = {"event": "ready", "device": "cpu", "compute_type": "int8", "versions": {}, "unconfined": None}
DONE: Message = {"event": "done"}
FILES = [Path("/a"), Path("/b"), Path("/c")]


class ScriptedWorker:
    """Says what its life holds; then it is dead."""

    pid = 1
    has_ended = False

    def __init__(self, life: Sequence[Message]) -> None:
        self._life = deque(life)
        self.paths: list[str] = []

    def send(self, message: Message) -> None:
        self.paths = message.get("paths") or [message["path"]]

    def receive(self, timeout_s: float) -> Message | None:
        return self._life.popleft() if self._life else None

    def last_words(self) -> str:
        return "signal SIGKILL"

    def kill(self) -> None:
        self.has_ended = True

    close = kill


class Workers:
    """Workers one after the other, each with its life."""

    def __init__(self, lives: Sequence[Sequence[Message]]) -> None:
        self._lives = deque(lives)
        self.started: list[ScriptedWorker] = []

    def __call__(self, arguments: list[str]) -> ScriptedWorker:
        self.started.append(ScriptedWorker(self._lives.popleft()))
        return self.started[-1]

    @property
    def asked(self) -> list[list[str]]:
        """Which files each of them was given last."""
        return [[Path(path).name for path in worker.paths] for worker in self.started]


class StuckWorker(WorkerProcess):
    """A real one that is stopped before it says anything; its model is waited for until somebody cancels."""

    cancel: threading.Event

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        os.kill(self.pid, signal.SIGSTOP)

    def receive(self, timeout_s: float) -> Message | None:
        if self.cancel.is_set():
            pytest.fail("it was waited for, though cancelled")
        self.cancel.set()
        raise queue.Empty


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Engine]:
    """An engine whose workers come from elsewhere."""

    def use(workers: Any) -> Engine:
        monkeypatch.setattr(engine_module, "WorkerProcess", workers)
        monkeypatch.setattr(engine_module.models, "resolve", lambda *_: ResolvedModel("base", Path("/weights")))
        return Engine(EngineConfig(model="base", device="cpu"))

    return use


def reading(index: int) -> Message:
    return {"event": "reading", "index": index}


def progress(index: int | None = None) -> Message:
    return {"event": "progress", "index": index, "done_s": 1.0, "total_s": 2.0}


def transcript(index: int | None = None) -> Message:
    return {"event": "transcript", "index": index, "transcript": Transcript("sv", 2.0, 1.0, "base").to_dict()}


def kinds(results: list[Any]) -> list[str]:
    return [type(result).__name__ for result in results]


def test_a_worker_that_died_between_two_files_is_replaced(use: Callable[[Any], Engine]) -> None:
    workers = Workers([[READY, transcript()], [READY, transcript()]])
    engine = use(workers)
    engine.transcribe(FILES[0])
    workers.started[0].has_ended = True
    assert engine.transcribe(FILES[1]).language == "sv"
    assert workers.asked == [["a"], ["b"]]


def test_a_killed_process_is_known_to_have_ended() -> None:
    worker = WorkerProcess([json.dumps({})])
    os.kill(worker.pid, signal.SIGSTOP)
    assert not worker.has_ended
    process = os.pidfd_open(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    try:
        assert select.select([process], [], [], 30)[0]
        assert worker.has_ended
    finally:
        os.close(process)
        worker.kill()


@pytest.mark.parametrize("count", [1, 2], ids=["one", "several"])
def test_cancelling_ends_a_worker_that_hangs_while_it_loads(
    use: Callable[[Any], Engine], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    cancel, started = threading.Event(), []

    def start(arguments: list[str]) -> StuckWorker:
        started.append(StuckWorker(arguments))
        started[0].cancel = cancel
        return started[0]

    with use(start) as engine:
        with pytest.raises(Cancelled, match="loaded"):
            if count == 1:
                engine.transcribe(FILES[0], cancel=cancel)
            else:
                list(engine.transcribe_many(FILES[:count], cancel=cancel))
        assert started[0].has_ended
        assert engine.worker_pid is None


def test_who_has_cancelled_already_starts_no_worker(use: Callable[[Any], Engine]) -> None:
    workers, cancel = Workers([]), threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        use(workers).start(cancel)
    assert workers.started == []


def test_a_crash_between_two_files_costs_neither(use: Callable[[Any], Engine]) -> None:
    first = [READY, reading(0), transcript(0)]
    workers = Workers([first, [READY, reading(0), transcript(0), reading(1), transcript(1), DONE]])
    assert kinds(list(use(workers).transcribe_many(FILES))) == ["Transcript"] * 3
    assert workers.asked == [["a", "b", "c"], ["b", "c"]]


def test_a_crash_before_the_first_file_costs_none(use: Callable[[Any], Engine]) -> None:
    workers = Workers([[READY], [READY, reading(0), transcript(0), DONE]])
    assert kinds(list(use(workers).transcribe_many(FILES[:1]))) == ["Transcript"]


def test_workers_that_open_nothing_are_not_started_for_ever(use: Callable[[Any], Engine]) -> None:
    workers = Workers([[READY, reading(0), transcript(0)], [READY], []])
    results = use(workers).transcribe_many(FILES)
    assert isinstance(next(results), Transcript)
    with pytest.raises(WorkerCrashed):
        next(results)
    assert len(workers.started) == 3


def test_a_crash_after_the_last_answer_adds_nothing(use: Callable[[Any], Engine]) -> None:
    workers = Workers([[READY, reading(0), transcript(0), reading(1), transcript(1)]])
    assert kinds(list(use(workers).transcribe_many(FILES[:2]))) == ["Transcript"] * 2
    assert len(workers.started) == 1


def test_the_one_file_that_was_open_is_the_one_lost(use: Callable[[Any], Engine]) -> None:
    first = [READY, reading(0), transcript(0), reading(1)]
    workers = Workers([first, [READY, reading(0), transcript(0), DONE]])
    assert kinds(list(use(workers).transcribe_many(FILES))) == ["Transcript", "WorkerCrashed", "Transcript"]
    assert workers.asked == [["a", "b", "c"], ["c"]]


def test_files_done_again_alone_tell_their_progress(use: Callable[[Any], Engine]) -> None:
    seen: list[tuple[int, Progress]] = []
    alone = [progress(), transcript(), progress(), transcript()]
    workers = Workers([[READY, reading(0), reading(1)], [READY, *alone, reading(0), transcript(0), DONE]])
    results = list(use(workers).transcribe_many(FILES, on_progress=lambda *told: seen.append(told)))
    assert kinds(results) == ["Transcript"] * 3
    assert seen == [(0, Progress(1.0, 2.0)), (1, Progress(1.0, 2.0))]


def test_options_that_the_model_refuses_leave_the_worker_alive(use: Callable[[Any], Engine]) -> None:
    refused: Message = {"event": "error", "code": "bad_options", "message": "unknown language"}
    workers = Workers([[READY, refused, refused]])
    engine = use(workers)
    with pytest.raises(BadOptions, match="unknown language"):
        list(engine.transcribe_many(FILES))
    with pytest.raises(BadOptions, match="unknown language"):
        engine.transcribe(FILES[0])
    assert len(workers.started) == 1
