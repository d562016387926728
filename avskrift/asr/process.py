"""The worker's process as its parent sees it: start, send a line, receive lines, end.

No numpy, av or ctranslate2 here.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from avskrift.asr.confinement import hide_from_worker

Message = dict[str, Any]

#: glibc's allocator returns every big buffer to the kernel and faults it in again: 5.5 million page faults for ten
#: minutes of audio, a third of the time. Kept and reused instead; read by libc before any code of ours runs.
ALLOCATOR_ENVIRONMENT: Mapping[str, str] = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
    # A thread that waits for another sleeps instead of spinning: where other work wants the cores, spinning made a
    # short recording up to ten times slower; where nothing does, no difference was measured.
    "OMP_WAIT_POLICY": "passive",
}

#: What the worker, which reads strangers' media, gets of our environment: no credentials and no ids of AWS. It gives up
#: the network itself (avskrift.asr.confinement), or it could ask an instance's metadata service for them.
_INHERITED = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "XDG_CACHE_HOME",
    }
)
_INHERITED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "CT2_", "OPENBLAS_")

_ENDING_S = 2.0
_KEPT_COMPLAINTS = 30
_KEPT_BYTES = 1_000
"""Of a line that is no message."""
MAX_LINE_BYTES = 128 << 20
"""Of a message: several times what a day's recording comes to, with its words. Whoever writes more is not ours any
more, and would fill our memory."""


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """A bare environment from an allow-list, with the allocator's settings.

    OpenBLAS keeps its default threads: the last bits of the features depend on them, and with them the text.
    """
    inherited = {
        name: value for name, value in environment.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    return {**inherited, **ALLOCATOR_ENVIRONMENT, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


class WorkerProcess:
    """A running worker in a session of its own; it dies with us, whatever ends us, and can't look into us."""

    def __init__(self, arguments: list[str]) -> None:
        hide_from_worker()
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # One line waits to be received, and the worker for that: it can't pile them up here.
        self._room = threading.Semaphore(1)
        self._is_killed = False
        self._complaints: deque[str] = deque(maxlen=_KEPT_COMPLAINTS)
        self._output_ended = threading.Event()
        self._write_lock = threading.Lock()
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        # The kernel sends PR_SET_PDEATHSIG when the *thread* that forked ends, so the thread that lives as long as the
        # worker's output is the one to start it, never the caller's.
        self._reader = threading.Thread(target=self._start_and_read, args=(arguments, started), daemon=True)
        self._reader.start()
        process = started.get()
        if isinstance(process, OSError):
            raise process
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, as far as the kernel knows."""
        # While the reader waits for it, poll cannot see that it has ended; by then its output has.
        return self._process.poll() is not None or self._output_ended.is_set()

    def send(self, message: Message) -> None:
        """Hand over one message; one that died meanwhile is noticed when its output ends."""
        with self._write_lock, suppress(BrokenPipeError):
            _pipe(self._process.stdin).write(json.dumps(message).encode() + b"\n")
            _pipe(self._process.stdin).flush()

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None when the worker has gone; raises ``queue.Empty`` when there is none yet."""
        line = self._inbox.get(timeout=timeout_s)
        if line is None:
            return None
        self._room.release()
        return self._read(line)

    def kill(self) -> None:
        """End it and whatever it started, now."""
        _end_group(self._process)
        self._is_killed = True
        self._room.release()  # nobody receives any more
        self._process.wait()
        self._reader.join()
        with suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()

    def close(self) -> None:
        """Let it leave by itself, which it does at the end of its input; kill it when it does not."""
        with self._write_lock, suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        self.kill()

    def last_words(self) -> str:
        """How it ended and what it last complained of, in one line."""
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        complaint = next((line for line in reversed(self._complaints) if line.strip()), "")
        return f"{how}: {complaint}" if complaint else how

    def _start_and_read(
        self, arguments: list[str], started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError]
    ) -> None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "avskrift.asr.worker", str(os.getpid()), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=worker_environment(os.environ),
                start_new_session=True,
            )
        except OSError as error:
            started.put(error)
            return
        complaints = threading.Thread(target=self._collect_complaints, args=(_pipe(process.stderr),), daemon=True)
        complaints.start()
        started.put(process)
        with _pipe(process.stdout) as output:
            while line := output.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    self._complaints.append(f"killed, because it wrote a line of more than {MAX_LINE_BYTES:,} bytes")
                    _end_group(process)
                    break
                self._hand_over(line)
        self._output_ended.set()
        complaints.join()
        process.wait()
        self._inbox.put(None)

    def _hand_over(self, line: bytes) -> None:
        self._room.acquire()
        if self._is_killed:
            self._room.release()  # for the next line: what is left in the pipe is nobody's
        else:
            self._inbox.put(line)

    def _read(self, line: bytes) -> Message:
        """What is no message was printed before the worker took its stdout, or by one that is not ours any more."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict) and isinstance(message.get("event"), str):
            return message
        self._complaints.append(line[:_KEPT_BYTES].decode(errors="replace").rstrip())
        raise queue.Empty

    def _collect_complaints(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_KEPT_BYTES):
                self._complaints.append(line.decode(errors="replace").rstrip())


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):  # another thread has just seen it end
            os.killpg(process.pid, signal.SIGKILL)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the worker was started without pipes")
    return stream
