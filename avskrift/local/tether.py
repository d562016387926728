"""Runs one command and takes everything it started down with it: ``python -I -S tether.py FD COMMAND…``.

``FD`` is the read end of a pipe whose only writer is the supervisor. When the supervisor ends in any way, SIGKILL
included, the pipe reaches its end and the tether kills the command with all its descendants, those that moved into
sessions of their own as well: the tether adopts them as child subreaper. A pipe is used, not only
``PR_SET_PDEATHSIG``, because that signal fires when the *thread* that started the process ends. Where the kernel offers
no ``prctl``, the process group is what is killed.

Started by file, isolated and without ``site``: an instance must not cost the import of the package.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ROUND_S = 0.005


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with(tether_pid: int) -> None:
    """In the child, before exec: the kernel kills it if the tether itself is killed."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != tether_pid:  # it was killed before the line above took effect
        os._exit(1)


def _children_by_parent() -> "dict[int, list[int]]":
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 (no pathlib: start-up time)
        if not name.isdigit():
            continue
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
            parent = int(stat.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    return children


def _kill_descendants() -> None:
    """Kill until no child is left; orphans of the killed are adopted by this process and found in the next round."""
    while True:
        children = _children_by_parent()
        pending = children.get(os.getpid(), [])[:]
        while pending:
            pid = pending.pop()
            pending += children.get(pid, [])
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_ROUND_S)


def _kill_group_but_self() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(ProcessLookupError):
        os.killpg(0, signal.SIGTERM)


def _wait_for_end(command: "subprocess.Popen[bytes]", lifeline_fd: int) -> "int | None":
    """The command's return code, or None when the supervisor let go first."""
    wakeup_read, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        code = command.poll()
        if code is not None:
            return code
        readable, _, _ = select.select([lifeline_fd, wakeup_read], [], [])
        if lifeline_fd in readable:
            return None
        os.read(wakeup_read, 512)


def main() -> int:
    lifeline_fd, arguments = int(sys.argv[1]), sys.argv[2:]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Meant for the command, which is in this process group and gets them too. A handler, not SIG_IGN: exec resets
        # handlers but would keep the command deaf.
        signal.signal(number, lambda *_: None)
    tether_pid = os.getpid()
    try:
        command = subprocess.Popen(arguments, preexec_fn=lambda: _die_with(tether_pid))  # noqa: PLW1509 (one thread)
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: {error.strerror}\n")
        return 127
    code = _wait_for_end(command, lifeline_fd)
    if sys.platform == "linux":
        _kill_descendants()
    else:
        _kill_group_but_self()
    if code is None:
        return 128 + signal.SIGKILL
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
