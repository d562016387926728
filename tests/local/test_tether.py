"""Processes that can't outlive the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from avskrift.local.processes import Launch, TetheredProcess, await_condition

FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("pids", "w").write(f"{os.getpid()} {child.pid}")
os.rename("pids", "pids.ready")
time.sleep(600)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w').close(); time.sleep(600)"
SUPERVISOR = """
import sys, time
from pathlib import Path
from avskrift.local.processes import Launch, TetheredProcess
folder = Path(sys.argv[1])
process = TetheredProcess(Launch([sys.executable, "-c", sys.argv[2]], {}, folder, folder / "log"))
time.sleep(600)
"""


def start(folder: Path, code: str) -> TetheredProcess:
    return TetheredProcess(Launch([sys.executable, "-c", code], {}, folder, folder / "log"))


def family_of(folder: Path) -> list[int]:
    ready = folder / "pids.ready"
    await_condition(ready.exists, 20, "the start of the family")
    return [int(pid) for pid in ready.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def await_end(pids: list[int]) -> None:
    await_condition(lambda: not any(is_alive(pid) for pid in pids), 20, "the end of the processes")


def test_status_of_the_command_comes_through(tmp_path: Path) -> None:
    assert start(tmp_path, "raise SystemExit(7)").wait(20) == 7
    assert start(tmp_path, "import os; os.kill(os.getpid(), 9)").wait(20) == 128 + signal.SIGKILL


def test_command_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    process = TetheredProcess(Launch(["/no/such/program"], {}, tmp_path, tmp_path / "log"))

    assert process.wait(20) == 127
    assert "/no/such/program: No such file" in (tmp_path / "log").read_text()


def test_environment_is_exactly_what_was_given(tmp_path: Path) -> None:
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"
    TetheredProcess(Launch([sys.executable, "-c", code], {"ONE": "1"}, tmp_path, tmp_path / "log")).wait(20)

    assert (tmp_path / "log").read_text().strip() == "['ONE']"


def test_stop_lets_the_command_finish_on_sigterm(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3));"
        "open('ready', 'w').close(); time.sleep(600)"
    )
    process = start(tmp_path, code)
    await_condition((tmp_path / "ready").exists, 20, "the start")

    assert process.stop(grace_s=20) == 3


def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    process = start(tmp_path, DEAF)
    await_condition((tmp_path / "ready").exists, 20, "the start")

    assert process.stop(grace_s=0.2) == 128 + signal.SIGKILL


def test_stop_reaches_descendants_in_sessions_of_their_own(tmp_path: Path) -> None:
    process = start(tmp_path, FAMILY)
    pids = family_of(tmp_path)

    process.kill()

    await_end(pids)


@pytest.mark.parametrize("victim", ["supervisor", "tether"])
def test_sigkill_anywhere_above_leaves_no_command(tmp_path: Path, victim: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path), FAMILY], env=environment)
    try:
        pids = family_of(tmp_path)
        tether = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(supervisor.pid if victim == "supervisor" else tether, signal.SIGKILL)
        await_end(pids if victim == "supervisor" else pids[:1])
    finally:
        supervisor.kill()
        supervisor.wait()
        for pid in family_of(tmp_path):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_process_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    import threading

    started: list[TetheredProcess] = []
    thread = threading.Thread(target=lambda: started.append(start(tmp_path, FAMILY)))
    thread.start()
    thread.join()
    pids = family_of(tmp_path)

    assert all(is_alive(pid) for pid in pids)
    started[0].kill()
    await_end(pids)
