"""The CDK app as the CDK command line runs it: ``python -m infra`` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.bundling import CHECKOUT


def run_app(tmp_path: Path, context: str = "", **settings: object) -> subprocess.CompletedProcess[str]:
    """As ``cdk synth`` does it: settings and output folder in the environment, and here no Node on the path."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": os.environ["HOME"],  # where jsii keeps its unpacked packages
        "CDK_OUTDIR": str(tmp_path / "out"),
        "CDK_CONTEXT_JSON": context or json.dumps(settings),
    }
    command = [sys.executable, "-m", "infra"]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def test_a_wrong_setting_ends_synthesis_with_one_sentence(tmp_path: Path) -> None:
    done = run_app(tmp_path, max_instances="many")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Configuration: The setting \"max_instances\" must be a number, not 'many'."
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("context", ["x", "[1]"])
def test_a_context_that_is_none_ends_synthesis_with_one_sentence(tmp_path: Path, context: str) -> None:
    done = run_app(tmp_path, context)

    assert done.returncode == 1
    assert done.stderr.startswith("Configuration: CDK_CONTEXT_JSON must hold a JSON object")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_synthesis_bundles_one_asset_for_all_functions_and_passes_cdks_own_validation(tmp_path: Path) -> None:
    done = run_app(tmp_path, name="press")

    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assets = [path for path in (tmp_path / "out").glob("asset.*") if path.is_dir()]
    assert len(assets) == 1
    assert (assets[0] / "lambdas" / "register.py").is_file()
    assert (tmp_path / "out" / "press.template.json").is_file()
