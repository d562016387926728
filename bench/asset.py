"""The functions' asset as it was deployed: its size, whether it is pure Python, its handlers' import times."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from avskrift.errors import LocalCloudError
from avskrift.local.cloud import Cloud
from avskrift.local.loopback import fetch
from bench.report import Row

HANDLERS = ("lambdas.register", "lambdas.capacity", "lambdas.deliver")
MEGABYTE = 1_000_000
_COMPILED_SUFFIXES = frozenset({".so", ".pyd", ".dylib"})
_ELF_MAGIC = b"\x7fELF"
_DOWNLOAD_TIMEOUT_S = 30.0
_OK = 200
_TIMED_IMPORT = """
import importlib, sys, time
began = time.perf_counter()
importlib.import_module(sys.argv[1])
took_s = time.perf_counter() - began
assert sys.modules["avskrift"].__file__.startswith(sys.argv[2]), "not the asset's own code"
print(took_s)
"""


@dataclass(frozen=True)
class Asset:
    """The zip file that the functions run."""

    path: Path

    def unpack(self, folder: Path) -> Path:
        with zipfile.ZipFile(self.path) as archive:
            archive.extractall(folder)
        return folder

    def rows(self) -> tuple[Row, ...]:
        with zipfile.ZipFile(self.path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            compiled = sum(_is_compiled(info.filename, archive.open(info).read(4)) for info in members)
        return (
            Row("asset, zipped", "MB", (self.path.stat().st_size / MEGABYTE,)),
            Row("asset, unpacked", "MB", (sum(info.file_size for info in members) / MEGABYTE,)),
            Row("files in the asset", "files", (len(members),)),
            Row("files of them with machine code (pure Python: 0)", "files", (compiled,)),
        )


def deployed_asset(cloud: Cloud, folder: Path) -> Asset:
    """Download what one function runs; all run the same."""
    function = cloud.client("lambda").get_function(FunctionName=cloud.outputs["RegisterFunction"])
    status, content = fetch("GET", function["Code"]["Location"], b"", {}, _DOWNLOAD_TIMEOUT_S)
    if status != _OK or len(content) != function["Configuration"]["CodeSize"]:
        raise LocalCloudError(f"The functions' asset could not be downloaded: status {status}, {len(content)} bytes.")
    path = folder / "asset.zip"
    path.write_bytes(content)
    return Asset(path)


def import_rows(unpacked: Path, runs: int) -> tuple[Row, ...]:
    """Import time of every handler in a fresh process: as deployed, and as another Python than the asset's would."""
    as_deployed = _timed("", unpacked, runs)
    for bytecode in unpacked.rglob("__pycache__"):
        shutil.rmtree(bytecode)
    return as_deployed + _timed(", without the asset's bytecode", unpacked, runs)


def _timed(condition: str, unpacked: Path, runs: int) -> tuple[Row, ...]:
    return tuple(
        Row(f"import {handler}{condition}", "s", tuple(_import_s(handler, unpacked) for _ in range(runs)))
        for handler in HANDLERS
    )


def _import_s(handler: str, unpacked: Path) -> float:
    """Seconds; boto3 is the environment's own and has its bytecode, as in the Lambda runtime."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(unpacked),
        "PYTHONDONTWRITEBYTECODE": "1",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "AWS_DEFAULT_REGION": "eu-north-1",
    }
    command = [sys.executable, "-c", _TIMED_IMPORT, handler, str(unpacked)]
    done = subprocess.run(command, env=environment, cwd=unpacked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalCloudError(f"{handler} could not be imported from the asset: {done.stderr.strip()}")
    return float(done.stdout)


def _is_compiled(name: str, beginning: bytes) -> bool:
    return Path(name).suffix in _COMPILED_SUFFIXES or beginning == _ELF_MAGIC
