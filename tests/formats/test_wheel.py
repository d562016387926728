"""What is installed can write every format: a wheel holds the page's files, and the schema of the json."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.formats.published_schema import SCHEMA

CHECKOUT = Path(__file__).resolve().parents[2]


def test_a_wheel_holds_what_is_read_and_no_code_of_the_checkout_alone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, capture_output=True, check=True)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        held = set(wheel.namelist())
        assert wheel.read("avskrift/transcript-v1.schema.json") == SCHEMA.read_bytes()
    ours = {f"avskrift/formats/page/{each.name}" for each in (CHECKOUT / "avskrift/formats/page").iterdir()}
    assert {f"avskrift/formats/page/page.{ending}" for ending in ("css", "html", "js")} <= ours <= held
    assert {"instance/__main__.py", "instance/systemd/avskrift-agent.service"} <= held
    assert not any(name.startswith(("tests/", "bench/", "infra/", "docs/")) for name in held)
