"""scripts/install refuses, with one sentence, a machine on which it could not succeed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLED_BY = ("scripts/install", "requirements.lock", "pyproject.toml", "package.json", "package-lock.json", ".npmrc")
NEEDED_PROGRAMS = ("bash", "cat", "dirname", "awk", "mkdir")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the script needs, in a folder with a space in its name; nothing of it is installed."""
    folder = tmp_path / "a checkout"
    for name in INSTALLED_BY:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the few programs that the script calls, to stand alone in PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in NEEDED_PROGRAMS:
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def install(checkout: Path, programs: Path, python: str) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "bash"), "scripts/install"]
    environment = {"PATH": str(programs), "HOME": str(checkout), "PYTHON": python}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!{folder / 'bash'}\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_python_it_says_which_is_needed(checkout: Path, programs: Path) -> None:
    done = install(checkout, programs, python="/nonexistent/python3")

    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed")
    assert len(done.stderr.splitlines()) == 1


def test_an_older_python_counts_as_none(checkout: Path, programs: Path) -> None:
    older = program(programs, "python3", "exit 1  # what the version check answers there")

    assert "Python 3.11 or newer" in install(checkout, programs, python=older).stderr


def test_without_the_venv_module_it_names_the_package(checkout: Path, programs: Path) -> None:
    script = f'if [[ $* == *ensurepip* ]]; then exit 1; fi\nexec {shlex.quote(sys.executable)} "$@"'
    without_venv = program(programs, "python3", script)

    done = install(checkout, programs, python=without_venv)

    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr.splitlines()[-1]


def test_on_a_full_disk_it_says_how_much_is_missing_and_makes_nothing(checkout: Path, programs: Path) -> None:
    program(programs, "df", "printf 'Filesystem\\n/dev/x 100 50 1048576 5%% /\\n'")

    done = install(checkout, programs, python=sys.executable)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "4 GB of free disk are needed and 1024 MB are left here: free some, or use another disk."
    assert not (checkout / ".venv").exists()
