"""The units of the image: whatever ends the agent, the machine powers off; and no way out is left open."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.limits import MAX_LIFE_LIMIT_S
from instance import departure
from instance.services import Services
from instance.spotwatch import NOTICE_S

UNITS = Path(__file__).resolve().parents[2] / "instance" / "systemd"
UNIT_SECONDS = {"h": 3_600, "min": 60, "s": 1, "": 1}


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((UNITS / name).read_text())
    return parser


def seconds(text: str) -> int:
    """A time span of systemd: ``6h30min``."""
    return sum(int(count) * UNIT_SECONDS[kind] for count, kind in re.findall(r"(\d+)(h|min|s|)", text))


@pytest.fixture
def agent() -> configparser.ConfigParser:
    return unit("avskrift-agent.service")


def test_end_of_the_agent_is_the_end_of_the_machine(agent: configparser.ConfigParser) -> None:
    assert agent["Unit"]["SuccessAction"] == "poweroff-force"
    assert agent["Unit"]["FailureAction"] == "poweroff-force"
    assert agent["Service"]["Restart"] == "no", "a restart would keep a paid machine that fails"
    assert agent["Service"]["Type"] == "exec", "a program that can't be executed fails the unit"


def test_agent_that_can_not_even_start_ends_the_machine_too(agent: configparser.ConfigParser) -> None:
    """systemd runs ExecStopPost also where ExecStart failed; ``+`` gives it the right that the agent's user lacks."""
    prefix, command = agent["Service"]["ExecStopPost"][0], agent["Service"]["ExecStopPost"][1:].split()
    assert prefix == "+"
    assert command == ["/usr/bin/systemctl", "--no-block", "--force", "poweroff"]
    assert 0 < seconds(agent["Service"]["TimeoutStartSec"]) <= 90


def test_stop_leaves_time_to_hand_the_job_back_and_ends_before_ec2_takes_the_machine(
    agent: configparser.ConfigParser,
) -> None:
    limit_s = seconds(agent["Service"]["TimeoutStopSec"])
    steps = 5  # the worker stops, the checkpoint is saved, the last beat ends, the row is written, the message returns
    hand_back_s = {field.name: field.default for field in Services.__dataclass_fields__.values()}["hand_back_s"]
    assert steps * hand_back_s < limit_s < NOTICE_S
    assert limit_s < NOTICE_S - departure.MARGIN_S


def test_stop_is_told_to_the_agent_alone(agent: configparser.ConfigParser) -> None:
    assert agent["Service"]["KillMode"] == "mixed"


def test_worker_out_of_memory_costs_its_attempt_and_not_the_agent(agent: configparser.ConfigParser) -> None:
    assert 50 <= int(agent["Service"]["MemoryMax"].rstrip("%")) < 100
    assert agent["Service"]["MemorySwapMax"] == "0"
    assert agent["Service"]["OOMPolicy"] == "continue"


def test_agent_runs_without_privileges(agent: configparser.ConfigParser) -> None:
    service = agent["Service"]
    assert service["User"] not in ("", "root")
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["ProtectHome"] == "yes"


def test_agent_is_started_at_boot(agent: configparser.ConfigParser) -> None:
    assert agent["Install"]["WantedBy"] == "multi-user.target"
    assert agent["Service"]["ExecStart"].split()[1:] == ["-m", "instance"]


def test_timer_ends_a_machine_that_outlived_every_setting() -> None:
    timer = unit("avskrift-max-life.timer")
    assert timer["Timer"]["Unit"] == "poweroff.target"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert MAX_LIFE_LIMIT_S < seconds(timer["Timer"]["OnBootSec"]) <= MAX_LIFE_LIMIT_S + 3_600


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    for path in UNITS.iterdir():  # the image's interpreter is not on this machine
        text = path.read_text().replace("/opt/avskrift/venv/bin/python", "/usr/bin/env")
        (tmp_path / path.name).write_text(text)
    command = [analyze, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
