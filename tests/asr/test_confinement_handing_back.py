"""What comes back from a worker that was taken over: nothing that makes its parent read, wait or stop for it."""

from __future__ import annotations

import json
import os
import queue
from pathlib import Path

import pytest

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


class FedWorker(WorkerProcess):
    """Its lines are the test's; no process is started."""

    def __init__(self, *lines: bytes) -> None:
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._complaints = []  # type: ignore[assignment]
        for line in lines:
            self._take(line)


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
def test_a_line_that_is_no_message_is_kept_as_a_short_complaint_at_most(line: bytes) -> None:
    good = {"event": "progress", "done_s": 1.0, "total_s": 2.0}
    worker = FedWorker(line, json.dumps(good).encode())
    assert worker.receive(0) == good
    assert all(len(complaint) <= 1_000 for complaint in worker._complaints)
