"""scripts/deploy, destroy and cleanup end with a sentence, whatever is wrong around them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import start
from infra.bundling import CHECKOUT

SCRIPTS = ("deploy", "destroy", "cleanup")


def run_script(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As ``scripts/<name>`` runs it once everything is installed, with credentials that nobody asks for."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "infra.start", name, "--yes"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **keys, **environment}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_endpoint_that_is_no_address_is_a_sentence(name: str) -> None:
    done = run_script(name, AWS_ENDPOINT_URL_EC2="http://[" if name == "deploy" else "nonsense")

    assert (
        done.stderr == "AWS_ENDPOINT_URL_EC2 holds no address: unset it, or set it to one that starts with https://.\n"
    )
    assert done.returncode == 1


def test_an_endpoint_of_the_configuration_file_that_is_no_address_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = nonsense\n")

    done = run_script("cleanup", AWS_CONFIG_FILE=str(tmp_path / "config"))

    assert done.stderr == "Invalid endpoint: nonsense: mend endpoint_url in the AWS configuration file.\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_interrupt_while_modules_are_imported_leaves_no_trace(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "import_module", interrupted)
    monkeypatch.setattr(sys, "argv", ["infra.start", name])

    with pytest.raises(SystemExit) as ended:
        start.main()

    assert ended.value.code == 130
    assert f"-m infra.start {name} " in (CHECKOUT / "scripts" / name).read_text()


def disk_that_is_full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def pipe_that_nobody_reads() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (disk_that_is_full, "Standard output could not be written (No space left on device). Free some space, or "),
        (pipe_that_nobody_reads, ""),
    ],
)
def test_an_output_that_takes_no_more_is_a_sentence_or_the_end(make: Callable[[], int], told: str) -> None:
    code = "from infra.operator import run, say; run(lambda: say('a line'))"
    out = make()
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    os.close(out)

    assert done.returncode == 1
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == bool(told)
