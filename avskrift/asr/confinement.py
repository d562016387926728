"""What the worker gives up before it opens a stranger's file: the network, privileges, the sight of other processes.

By the process itself, on Linux on x86-64 and arm64, for as long as it lives, and for whatever it starts:

- ``no_new_privs``, and no capabilities but that of reading files (root's recordings may be another user's);
- a seccomp filter: no sockets but connected pairs and listening ones within the machine (``AF_UNIX``), no connection
  and none accepted, and none of the calls by which a process gets another one's memory or file descriptors, rings of
  its own into the kernel, keys, namespaces, or out of the session that its parent ends;
- a Landlock domain, where the kernel has that (5.13, and ``landlock`` among its security modules): the memory,
  environment, maps and open files of every process outside of it stay shut, in /proc too, and from 6.12 on nobody
  outside gets its signals. Without it, a ``ptrace_scope`` of 1 or more (Yama's) keeps their memory shut, and no more;
  with neither, the worker may read and write the memory of all of its user's processes that do not hide themselves.

The filter is a list of what is refused, since what a GPU's driver calls is nobody's to list. CUDA binds a socket to
``@cuda-uvmfd-…`` and listens on it, for others that none of ours is, and does not start without; it connects to nothing
(so the rules of snapd's interface ``opengl``, read 2026-11-21; not tried on a GPU yet). Not libseccomp: it would be a
library of the machine to ask for, and its Python binding a compiled one.

The parent has its part: :func:`hide_from_worker` keeps the memory, environment and files of a process from others of
the same user, on every kernel. What the worker may still read are that user's files, and the names of its processes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avskrift.errors import AvskriftError

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 1 << 2

_AF_UNIX = 1
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_SOCK_TYPE_MASK = 0xF
"""Above it are SOCK_CLOEXEC and SOCK_NONBLOCK."""
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
"""On every machine."""
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1
_LANDLOCK_ACCESS_FS_MAKE_BLOCK, _LANDLOCK_ACCESS_FS_REFER = 1 << 11, 1 << 13
_LANDLOCK_SCOPE_SIGNAL = 1 << 1
_CLONE_NEW_ANY = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""


class NotConfined(AvskriftError):
    """The worker could not give up what it must not have; the message says why."""

    code = "not_confined"


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture: its name in audit records (linux/audit.h), its column below, the number of seccomp(2)."""

    audit_arch: int
    column: int
    seccomp: int


MACHINES = {"x86_64": Machine(0xC000003E, 0, 317), "aarch64": Machine(0xC00000B7, 1, 277)}
NUMBERS = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "clone": (56, 220),
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "ptrace": (101, 117),
    "kcmp": (312, 272),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "setsid": (112, 157),
    "setpgid": (109, 154),
}
"""Of the calls that are refused: on x86-64 (asm/unistd_64.h) and on arm64 (asm-generic/unistd.h)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that fails with ``error``: always, or unless ``argument & mask`` is one of ``allowed``.

    Of an argument the lower 32 bits count: all that the kernel takes of these.
    """

    call: str
    error: int
    argument: int = 0
    mask: int = 0xFFFFFFFF
    allowed: tuple[int, ...] = ()


_CONNECTED_TYPES = (_SOCK_STREAM, _SOCK_SEQPACKET)
"""A datagram names its receiver itself: it would need no connection."""
REFUSALS = (
    Refusal("socket", errno.EAFNOSUPPORT, 0, allowed=(_AF_UNIX,)),
    Refusal("socket", errno.EPROTONOSUPPORT, 1, _SOCK_TYPE_MASK, _CONNECTED_TYPES),
    Refusal("socketpair", errno.EPROTONOSUPPORT, 1, _SOCK_TYPE_MASK, _CONNECTED_TYPES),
    # To services of this machine too: D-Bus or a container's daemon would do for us what we may not. As if nobody
    # listened there: that is what a driver takes as an answer, where it asks a daemon that need not run.
    Refusal("connect", errno.ECONNREFUSED),
    Refusal("accept", errno.EPERM),
    Refusal("accept4", errno.EPERM),
    # Its requests are not system calls: sockets could be made past this filter.
    *(Refusal(call, errno.ENOSYS) for call in ("io_uring_setup", "io_uring_enter", "io_uring_register")),
    *(
        Refusal(call, errno.EPERM)
        for call in ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "open_by_handle_at")
    ),
    *(Refusal(call, errno.EPERM) for call in ("bpf", "perf_event_open", "userfaultfd")),
    *(Refusal(call, errno.EPERM) for call in ("add_key", "request_key", "keyctl")),
    # Whoever leaves the worker's session or group would outlive it, with its end of the pipes.
    *(Refusal(call, errno.EPERM) for call in ("setsid", "setpgid")),
    # In a user namespace of its own a process has every capability again. Of clone3 the filter can't see the flags;
    # told that there is none, the C library takes clone.
    *(Refusal(call, errno.EPERM) for call in ("unshare", "setns")),
    Refusal("clone", errno.EPERM, 0, _CLONE_NEW_ANY, (0,)),
    Refusal("clone3", errno.ENOSYS),
)


def confine() -> None:
    """Give all of it up, for every thread of this process and for what it starts; there is no way back.

    The Landlock domain is this thread's and of those that it starts, so call it before there are others. Raises
    ``NotConfined`` where all but that domain cannot be had: on another system or machine, or where the kernel refuses.
    """
    machine = MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        raise NotConfined(f"There is no confinement for {sys.platform} on {platform.machine()}, only for Linux.")
    libc = ctypes.CDLL(None, use_errno=True)
    _require(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities(libc)
    _enter_domain(libc)
    _install(libc, machine)


def hide_from_worker() -> None:
    """Close this process's memory, environment and open files in /proc to others of its user; root's eyes stay open.

    It leaves no core dump either. Elsewhere than on Linux there is nothing to close.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def read_from_worker(path: Path, max_bytes: int) -> bytes:
    """A file that the worker wrote, in a process that may see more than the worker: only a plain one, and no longer.

    A link could name what is ours alone (``/proc/self/environ``), a pipe would be waited for. Raises ``OSError``.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise OSError(errno.EINVAL, "This is no plain file of its own.")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, "This is more than such a file may hold.")
    return content


def _drop_capabilities(libc: Any) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, of the first 32 capabilities and the others
    _require(libc.capget(header, sets), "capget")
    kept = sets[1] & _CAP_DAC_READ_SEARCH
    _require(libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept)), "capset")


class _Ruleset(ctypes.Structure):
    """``struct landlock_ruleset_attr`` (linux/landlock.h); an older kernel takes it where what it lacks is 0."""

    _fields_ = (("access_fs", ctypes.c_uint64), ("access_net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    """``struct landlock_path_beneath_attr``."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _enter_domain(libc: Any) -> bool:
    """A Landlock domain of our own, whatever it forbids: from inside nothing outside can be traced, nor what goes by
    the same right in /proc (Documentation/userspace-api/landlock.rst, "Ptrace restrictions").

    Whether the kernel has it. One that handles files at all forbids to move them from folder to folder unless a rule
    allows it; ours makes no difference but to block devices, which nobody here makes.
    """
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    moving = _LANDLOCK_ACCESS_FS_REFER if version >= 2 else 0
    scoped = _LANDLOCK_SCOPE_SIGNAL if version >= 6 else 0
    asked = _Ruleset(_LANDLOCK_ACCESS_FS_MAKE_BLOCK | moving, 0, scoped)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(asked), ctypes.c_size_t(ctypes.sizeof(asked)), 0)
    if ruleset < 0:
        return False
    try:
        if moving:
            _allow_everywhere(libc, ruleset, moving)
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow_everywhere(libc: Any, ruleset: int, access: int) -> None:
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, root)
        libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(root)


class _Instruction(ctypes.Structure):
    """``struct sock_filter`` (linux/filter.h)."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_so", ctypes.c_uint8),
        ("if_not", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def _install(libc: Any, machine: Machine) -> None:
    listing = list(_listing(machine))
    instructions = (_Instruction * len(listing))(*(_Instruction(*line) for line in listing))
    program = _Program(len(listing), instructions)
    status = libc.syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program))
    _require(status, "seccomp")


_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
_IF_EQUAL, _IF_AT_LEAST = 0x15, 0x35  # BPF_JMP|JEQ|K, BPF_JMP|JGE|K
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_ALLOW, _ERRNO, _KILL_PROCESS
_AT_NUMBER, _AT_ARCH, _AT_ARGUMENTS = 0, 4, 16  # of struct seccomp_data (linux/seccomp.h)
_X32_NUMBERS = 0x40000000
"""From here on x86-64 counts the calls of its 32-bit-pointer interface: the same ones under other numbers."""

_Line = tuple[int, int, int, int]
"""Code, jump if so, jump if not, operand."""


def _listing(machine: Machine) -> Iterator[_Line]:
    """The filter. Calls by another architecture's numbers, such as 32-bit ones, end the process."""
    yield _LOAD, 0, 0, _AT_ARCH
    yield _IF_EQUAL, 1, 0, machine.audit_arch
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _AT_NUMBER
    yield _IF_AT_LEAST, 0, 1, _X32_NUMBERS
    yield _RETURN, 0, 0, _KILL
    for refusal in REFUSALS:
        yield from _refuse(refusal, NUMBERS[refusal.call][machine.column])
    yield _RETURN, 0, 0, _ALLOW


def _refuse(refusal: Refusal, number: int) -> Iterator[_Line]:
    """Begins and ends with the call's number loaded."""
    failure = _RETURN, 0, 0, _ERROR | refusal.error
    if not refusal.allowed:
        yield _IF_EQUAL, 0, 1, number
        yield failure
        return
    count = len(refusal.allowed)
    yield _IF_EQUAL, 0, count + 4, number
    yield _LOAD, 0, 0, _AT_ARGUMENTS + 8 * refusal.argument  # the lower half comes first, on both machines
    yield _AND, 0, 0, refusal.mask
    for place, value in enumerate(refusal.allowed):
        yield _IF_EQUAL, count - place, 0, value
    yield failure
    yield _LOAD, 0, 0, _AT_NUMBER


def _require(status: int, what: str) -> None:
    if status != 0:
        why = os.strerror(ctypes.get_errno()) if status < 0 else "another thread can't follow"
        raise NotConfined(
            f"The process that reads media could not give up its privileges: {what} failed ({why}). Run it where the "
            "kernel has seccomp filters (CONFIG_SECCOMP_FILTER) and no outer sandbox forbids them."
        )
