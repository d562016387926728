"""What comes back from a worker that was taken over: nothing that makes its parent read, wait or stop for it."""

from __future__ import annotations

import json
import os
import queue
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from avskrift.asr import process
from avskrift.asr.confinement import read_from_worker
from avskrift.asr.process import Message, WorkerProcess


def test_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_from_worker(tmp_path / "file", 5) == b"12345"


def test_a_link_to_what_is_the_readers_alone_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to("/proc/self/environ")
    with pytest.raises(OSError, match="link"):
        read_from_worker(tmp_path / "file", 1 << 20)


def test_a_second_name_of_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"secret")
    os.link(tmp_path / "other", tmp_path / "file")
    with pytest.raises(OSError, match="no plain file"):
        read_from_worker(tmp_path / "file", 100)


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    with pytest.raises(OSError, match="no plain file"):
        read_from_worker(tmp_path / "file", 100)


def test_an_endless_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="more than"):
        read_from_worker(tmp_path / "file", 1 << 20)


@pytest.fixture
def worker_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], WorkerProcess]]:
    """A process in the worker's place that does what a line of the shell says."""
    started: list[WorkerProcess] = []

    def start(does: str) -> WorkerProcess:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        started.append(WorkerProcess([]))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def next_of(worker: WorkerProcess) -> Message | None:
    """As the engine waits: for as long as there is nothing, or what is no message."""
    while True:
        with suppress(queue.Empty):
            return worker.receive(60)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 1_000_000,
        b"5",
        b'["event"]',
        b'{"event": 5}',
        b"{}",
        b"\xff\xfe",
        b"chatter of a library",
        b"9" * 10_000,
    ],
    ids=lambda line: line[:12].decode("latin-1"),
)
def test_a_line_that_is_no_message_is_kept_as_a_short_complaint_at_most(
    worker_that: Callable[[str], WorkerProcess], tmp_path: Path, line: bytes
) -> None:
    good = {"event": "progress", "done_s": 1.0, "total_s": 2.0}
    (tmp_path / "lines").write_bytes(line + b"\n" + json.dumps(good).encode() + b"\n")
    worker = worker_that(f"exec cat '{tmp_path / 'lines'}'")
    assert next_of(worker) == good
    assert next_of(worker) is None
    assert [len(complaint) <= 1_000 for complaint in worker._complaints] == [True]


def test_an_endless_line_ends_the_worker(
    worker_that: Callable[[str], WorkerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MAX_LINE_BYTES", 100_000)
    worker = worker_that("tr '\\0' x < /dev/zero")
    assert next_of(worker) is None
    assert "SIGKILL: killed, because it wrote a line of more than 100,000 bytes" in worker.last_words()


def test_an_endless_complaint_is_kept_in_short(worker_that: Callable[[str], WorkerProcess]) -> None:
    worker = worker_that("head -c 3000000 /dev/zero | tr '\\0' x >&2")
    assert next_of(worker) is None
    assert sum(map(len, worker._complaints)) <= 30 * 1_000


def test_messages_that_nobody_waits_for_are_not_piled_up(worker_that: Callable[[str], WorkerProcess]) -> None:
    worker = worker_that("""exec yes '{"event": "progress"}'""")
    for _ in range(1_000):
        assert next_of(worker) == {"event": "progress"}
        assert worker._inbox.qsize() <= 1
    worker.kill()
    assert worker._inbox.qsize() <= 2, "and that it has ended"
