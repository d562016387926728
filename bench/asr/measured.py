"""Processes, and what they cost with all that they start: wall, processor, memory, page faults. Linux."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from avskrift.errors import WorkerCrashed
from avskrift.local.settings import CHECKOUT

_SAMPLING_S = 0.1
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_LAST_WORDS = 800
_LEAVING_S = 5.0


@dataclass(frozen=True)
class Usage:
    """What one run took of the machine."""

    wall_s: float
    cpu_s: float
    page_faults: int
    """Those that needed no disk: memory that the kernel had to hand out."""
    peak_mb: float | None = None
    """Resident memory of all its processes together; None where it was not watched."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    usage: Usage
    stdout: str


def run(command: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> Finished:
    """Run to the end, in a session of its own that ends with us; raises ``WorkerCrashed`` if it fails."""
    with _Files() as files:
        files.give(stdin)
        began = time.perf_counter()
        process = files.start(command, environment)
        try:
            with _watching_memory(process.pid) as memory:
                _, status, cost = os.wait4(process.pid, 0)
                wall_s = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            _kill(process)
        files.check(process.returncode, command)
        # Not ru_maxrss: it begins with what the process was forked from, the bench itself.
        usage = Usage(wall_s, cost.ru_utime + cost.ru_stime, cost.ru_minflt, memory.peak_kb / 1024)
        return Finished(usage, files.stdout())


class Server:
    """A process that answers each line of JSON with one, and keeps its model loaded between them.

    Its first line comes unasked, once it is ready; ``ready_s`` after its start.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._files = _Files()
        began = time.perf_counter()
        self._process = self._files.start(command, environment, pipes=True)
        try:
            self.ready = self._answer()
        except BaseException:
            self.close()
            raise
        self.ready_s = time.perf_counter() - began

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], Usage]:
        """Its answer, and what that cost; raises ``WorkerCrashed`` if it ends instead."""
        before, began = _cost_of_tree(self._process.pid), time.perf_counter()
        _pipe(self._process.stdin).write(json.dumps(request) + "\n")
        _pipe(self._process.stdin).flush()
        answer = self._answer()
        wall_s, after = time.perf_counter() - began, _cost_of_tree(self._process.pid)
        return answer, Usage(wall_s, after[0] - before[0], after[1] - before[1])

    def close(self) -> None:
        """End it: it leaves by itself when its input ends, or is killed."""
        with suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVING_S)
        _kill(self._process)
        _pipe(self._process.stdout).close()
        self._files.close()

    def _answer(self) -> dict[str, Any]:
        line = _pipe(self._process.stdout).readline()
        if not line:
            self._files.check(self._process.wait() or 1, self._command)
        answer: dict[str, Any] = json.loads(line)
        return answer


class _Files:
    """Where a process reads and writes: files, so that no full pipe holds it up."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._stdin, self._stdout, self._stderr = (self._file() for _ in range(3))

    def __enter__(self) -> _Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._open.close()

    def _file(self) -> IO[str]:
        return self._open.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))

    def give(self, text: str) -> None:
        self._stdin.write(text)
        self._stdin.flush()
        self._stdin.seek(0)

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, pipes: bool = False
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE if pipes else self._stdin,
            stdout=subprocess.PIPE if pipes else self._stdout,
            stderr=self._stderr,
            text=True,
            start_new_session=True,
        )

    def stdout(self) -> str:
        self._stdout.seek(0)
        return self._stdout.read()

    def check(self, code: int, command: Sequence[str]) -> None:
        if code != 0:
            self._stderr.seek(0)
            complaint = self._stderr.read().strip()[-_LAST_WORDS:]
            raise WorkerCrashed(f"{' '.join(command[:4])} … ended with {code}: {complaint or 'it said nothing'}")


class _Memory:
    """The highest sum that was seen of the peaks of processes alive at one moment."""

    def __init__(self) -> None:
        self.peak_kb = 0.0

    def look(self, root: int) -> None:
        peaks = (_peak_kb(pid) for pid in [root, *descendants(root)])
        self.peak_kb = max(self.peak_kb, sum(peaks))


@contextmanager
def _watching_memory(root: int) -> Iterator[_Memory]:
    memory, ended = _Memory(), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLING_S):
            memory.look(root)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


def descendants(root: int) -> list[int]:
    """Everything that a process started, and what those started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, looked_at = [root], 0
    while looked_at < len(found):
        found += children.get(found[looked_at], [])
        looked_at += 1
    return found[1:]


def _cost_of_tree(root: int) -> tuple[float, int]:
    """CPU seconds and page faults so far, those of ended children included."""
    cpu_s, faults = 0.0, 0
    for pid in [root, *descendants(root)]:
        if fields := _stat(pid):
            cpu_s += sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
            faults += int(fields[7]) + int(fields[8])
    return cpu_s, faults


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat (proc(5)) from the third, the state, on; none if it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _peak_kb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0.0)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the process was started without pipes")
    return stream
