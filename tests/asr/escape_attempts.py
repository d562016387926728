"""What code that has taken over the worker would try: run in the place of one of its libraries, or by itself.

Reads ``targets.json`` beside it, writes ``outcomes.json``: for each attempt "reached", or how it was refused.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = json.loads((HERE / "targets.json").read_text())
PARENT = os.getppid()
LIBC = ctypes.CDLL(None, use_errno=True)
SYSCALLS = {"x86_64": (310, 434, 438, 425), "aarch64": (270, 434, 438, 425)}[platform.machine()]
PROCESS_VM_READV, PIDFD_OPEN, PIDFD_GETFD, IO_URING_SETUP = SYSCALLS
PTRACE_SEIZE = 0x4206
CLONE_NEWUSER = 0x10000000
X32_SOCKET = 0x40000000 | 41


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def connect_to(family: int, kind: int, address: object) -> Callable[[], None]:
    def attempt() -> None:
        with socket.socket(family, kind) as made:
            made.settimeout(5)
            made.connect(address)  # type: ignore[arg-type]
            made.send(b"x")

    return attempt


def datagram_to(family: int, address: object) -> Callable[[], None]:
    def attempt() -> None:
        with socket.socket(family, socket.SOCK_DGRAM) as made:
            made.sendto(b"x", address)  # type: ignore[arg-type]

    return attempt


def datagram_by_a_pair() -> None:
    """Of a connected pair too, a datagram may go to whom it names."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendto(b"x", TARGETS["unix_datagram"])


def serve_a_neighbour() -> None:
    """Somebody of this machine who is allowed more could be asked for a socket, if they came to us."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(HERE / "ours"))
        made.listen()
        subprocess.Popen([sys.executable, "-c", f"open({str(HERE / 'came')!r}, 'w')"]).wait()
        made.setblocking(False)
        try:
            made.accept()
        except BlockingIOError:
            return  # allowed, only nobody came


def read_parents(name: str) -> Callable[[], None]:
    def attempt() -> None:
        Path(f"/proc/{PARENT}/{name}").read_bytes()

    return attempt


def open_parents_files() -> None:
    for fd in TARGETS["parents_files"]:
        Path(f"/proc/{PARENT}/fd/{fd}").readlink()


def open_parents_memory() -> None:
    with Path(f"/proc/{PARENT}/mem").open("r+b", 0):
        pass


def read_neighbours(name: str) -> Callable[[], None]:
    """Of the same user, and neither our parent nor our child: it hides nothing."""

    def attempt() -> None:
        Path(f"/proc/{TARGETS['neighbour']}/{name}").read_bytes()

    return attempt


def open_neighbours_memory() -> None:
    with Path(f"/proc/{TARGETS['neighbour']}/mem").open("r+b", 0):
        pass


def outlive_the_worker() -> None:
    """In a session of its own nobody ends it with the worker."""
    subprocess.run([sys.executable, "-c", ""], start_new_session=True, check=True)


def move_a_file_to_another_folder() -> None:
    (HERE / "moved").mkdir(exist_ok=True)
    (HERE / "a file").write_text("")
    (HERE / "a file").rename(HERE / "moved" / "a file")


def trace_parent() -> None:
    checked(LIBC.ptrace(PTRACE_SEIZE, PARENT, None, None))


def read_parents_memory() -> None:
    checked(LIBC.syscall(PROCESS_VM_READV, PARENT, None, 0, None, 0, 0))


def take_parents_socket() -> None:
    pidfd = checked(LIBC.syscall(PIDFD_OPEN, PARENT, 0))
    checked(LIBC.syscall(PIDFD_GETFD, pidfd, TARGETS["parents_socket"], 0))


def set_up_a_ring() -> None:
    checked(LIBC.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120)))


def become_root_of_a_namespace() -> None:
    if sys.platform == "linux":
        checked(LIBC.unshare(CLONE_NEWUSER))


def by_another_program() -> None:
    code = f"import socket; socket.create_connection({tuple(TARGETS['tcp'])!r}, 5)"
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


def by_other_numbers() -> None:
    """x86-64 has a second set of them; Python's ctypes is enough to use it."""
    child = os.fork()
    if child == 0:
        os._exit(0 if LIBC.syscall(X32_SOCKET, 2, 1, 0) >= 0 else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        raise OSError(errno.ENOSYS if status > 0 else errno.EPERM, signal.Signals(-status).name if status < 0 else "")


def by_ffmpeg() -> None:
    import av

    av.open("http://{}:{}/a.mp3".format(*TARGETS["tcp"]), timeout=0.3)


ATTEMPTS: dict[str, Callable[[], None]] = {
    "tcp": connect_to(socket.AF_INET, socket.SOCK_STREAM, tuple(TARGETS["tcp"])),
    "tcp over IPv6": connect_to(socket.AF_INET6, socket.SOCK_STREAM, ("::1", TARGETS["tcp"][1])),
    "metadata service": connect_to(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)),
    "udp": datagram_to(socket.AF_INET, tuple(TARGETS["udp"])),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "vsock": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(),
    "service of the machine": connect_to(socket.AF_UNIX, socket.SOCK_STREAM, TARGETS["unix_stream"]),
    "service of the machine, by datagram": datagram_to(socket.AF_UNIX, TARGETS["unix_datagram"]),
    "service of the machine, by datagram of a pair": datagram_by_a_pair,
    "accepting": serve_a_neighbour,
    "parent's environment": read_parents("environ"),
    "parent's map": read_parents("maps"),
    "parent's memory file": open_parents_memory,
    "parent's files": open_parents_files,
    "parent's trace": trace_parent,
    "parent's memory": read_parents_memory,
    "parent's socket": take_parents_socket,
    "neighbour's environment": read_neighbours("environ"),
    "neighbour's map": read_neighbours("maps"),
    "neighbour's memory file": open_neighbours_memory,
    "neighbour's end": lambda: os.kill(TARGETS["neighbour"], signal.SIGCONT),
    "session of its own": outlive_the_worker,
    "ring": set_up_a_ring,
    "namespace": become_root_of_a_namespace,
    "another program": by_another_program,
    "other numbers": by_other_numbers,
    "ffmpeg": by_ffmpeg,
}


def outcome(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "reached"


def main() -> None:
    status = Path("/proc/self/status").read_text()
    seen = {
        "files": [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()],
        "outcomes": {name: outcome(attempt) for name, attempt in ATTEMPTS.items() if name not in TARGETS["left_out"]},
        "moved": outcome(move_a_file_to_another_folder),
        "environment": dict(os.environ),
        "status": dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line),
    }
    (HERE / "outcomes.json").write_text(json.dumps(seen))
    os._exit(0)


main()
