"""The command from its first moment on."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

from avskrift import __main__, __version__, cli


class InterruptedImport(MetaPathFinder):
    """Ctrl-C while the command line is being imported."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "avskrift.cli":
            raise KeyboardInterrupt


def test_an_interrupt_during_the_imports_ends_it_as_later_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "avskrift.cli")
    monkeypatch.setattr(sys, "meta_path", [InterruptedImport(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == cli.EXIT_INTERRUPTED


def test_the_package_is_run_as_the_command_is() -> None:
    done = subprocess.run([sys.executable, "-m", "avskrift", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"avskrift {__version__}\n"


def test_the_command_starts_where_imports_are_guarded() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["avskrift"] == "avskrift.__main__:main"
