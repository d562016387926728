"""The Lambda asset: pure Python, small, the same every time, and enough by itself."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import zipfile
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from infra.__main__ import prefer_node_beside_python

prefer_node_beside_python()

from infra.bundling import write_asset  # noqa: E402 - jsii starts Node at this import
from infra.own_modules import imported_files  # noqa: E402

pytestmark = pytest.mark.xdist_group("asset")  # made once

MAX_ZIPPED_BYTES = 5 * 1024 * 1024
#: PEP 552: hash-based, not checked.
UNCHECKED_HASH = 0b01
#: What the Lambda runtime brings itself.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "dateutil", "six.py")


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asset")
    write_asset(folder)
    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Lambda's own Python has, and nothing else."""
    import boto3

    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME_PACKAGES:
        (folder / name).symlink_to(Path(boto3.__file__).parent.parent / name)
    return folder


def test_zipped_it_is_small(asset: Path, tmp_path: Path) -> None:
    archive = tmp_path / "asset.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in asset.rglob("*"):
            zipped.write(path, path.relative_to(asset))

    assert archive.stat().st_size < MAX_ZIPPED_BYTES


def test_every_module_has_bytecode_that_names_no_path_of_this_machine(asset: Path) -> None:
    """Trusted without a look at its source: a function's disk is read-only, so its time stamps say nothing."""
    for source in asset.rglob("*.py"):
        bytecode = Path(cache_from_source(str(source))).read_bytes()
        assert int.from_bytes(bytecode[4:8], "little") == UNCHECKED_HASH, source
        assert str(asset).encode() not in bytecode, source


def test_it_holds_no_compiled_code_no_tests_and_no_speech(asset: Path) -> None:
    files = [path.relative_to(asset) for path in asset.rglob("*") if path.is_file()]

    assert not [path for path in files if path.suffix in {".so", ".pyd", ".dylib"}]
    assert not [path for path in files if "tests" in path.parts]
    assert not {"numpy", "av", "ctranslate2", "boto3", "pydantic"} & {path.parts[0] for path in files}
    assert not (asset / "avskrift" / "asr").exists()
    assert not (asset / "avskrift" / "cli").exists()


def test_made_twice_it_is_the_same(asset: Path, tmp_path: Path) -> None:
    write_asset(tmp_path)
    names = sorted(str(path.relative_to(asset)) for path in asset.rglob("*") if path.is_file())

    assert names == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(asset, tmp_path, names, shallow=False) == (names, [], [])


@pytest.mark.parametrize("part", ["register", "capacity", "deliver"])
def test_each_handler_runs_from_the_asset_alone(part: str, asset: Path, runtime: Path, tmp_path: Path) -> None:
    """In a Python that sees only the asset and what Lambda brings, as in /var/task and /var/runtime."""
    path = [str(asset), str(runtime)]
    program = f"import sys; sys.path[:0] = {path}; from lambdas.{part} import handler; assert callable(handler)"
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "POWERTOOLS_SERVICE_NAME": part,
    }

    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_modules_are_found_through_packages_and_inside_functions(tmp_path: Path) -> None:
    files = {
        "entry/__init__.py": "",
        "entry/main.py": "from shared import errors\n\ndef late():\n    import shared.deep.leaf\n",
        "shared/__init__.py": "",
        "shared/errors.py": "import json\n",
        "shared/deep/__init__.py": "",
        "shared/deep/leaf.py": "",
        "shared/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    found = imported_files(tmp_path, "entry", frozenset({"entry", "shared"}))

    assert [str(path.relative_to(tmp_path)) for path in found] == sorted(set(files) - {"shared/unused.py"})
