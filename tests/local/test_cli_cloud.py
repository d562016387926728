"""`avskrift cloud …` as a user types it, where no cloud needs to be deployed for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from avskrift.cli import app
from avskrift.errors import LocalCloudError
from avskrift.local.cloud import Cloud, CloudSettings
from avskrift.local.settings import Files, parse_context

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands' folder, as a user names it; a cloud that is up in this checkout is left alone."""
    monkeypatch.setenv("AVSKRIFT_CLOUD_DIR", str(tmp_path))
    return tmp_path


class Started(Exception):
    """A cloud would be brought up."""


@pytest.mark.parametrize("named", ["by the environment", "by an option", "from where one stands"])
def test_a_cloud_is_brought_up_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    def up(settings: CloudSettings, **_: Any) -> None:
        raise Started(settings.folder)

    monkeypatch.setattr(Cloud, "up", up)
    monkeypatch.setenv("AVSKRIFT_CLOUD_DIR", str(tmp_path if named == "by the environment" else tmp_path / "another"))
    monkeypatch.chdir(tmp_path)
    options = {"by an option": ["--cloud-dir", str(tmp_path)], "from where one stands": ["--cloud-dir", "."]}
    result = runner.invoke(app, ["cloud", "up", *options.get(named, [])])

    assert isinstance(result.exception, Started)
    assert result.exception.args == (tmp_path,)


def test_down_without_a_cloud_says_so_and_succeeds(folder: Path) -> None:
    (folder / "emulator-tmp").mkdir()

    result = runner.invoke(app, ["cloud", "down"])

    assert result.exit_code == 0
    assert "No local cloud is up." in result.stderr
    assert not (folder / "emulator-tmp").exists()


@pytest.mark.parametrize("command", ["status", "env", "interrupt i-0123456789abcdef0"])
def test_commands_that_need_a_cloud_name_the_one_that_starts_it(folder: Path, command: str) -> None:
    result = runner.invoke(app, ["cloud", *command.split()])

    assert isinstance(result.exception, LocalCloudError)
    assert "`avskrift cloud up` starts one" in result.exception.message


def test_logs_of_the_last_cloud_can_be_read(folder: Path) -> None:
    Files(folder).supervisor_log.write_text("one\ntwo\nthree\n")

    assert runner.invoke(app, ["cloud", "logs", "-n", "2"]).stdout.splitlines()[-2:] == ["two", "three"]
    assert isinstance(runner.invoke(app, ["cloud", "logs", "emulator"]).exception, LocalCloudError)


def test_settings_are_written_as_name_and_value() -> None:
    assert parse_context(["linger_s=5", "callback_url=http://a/?x=1"]) == {
        "linger_s": "5",
        "callback_url": "http://a/?x=1",
    }
    with pytest.raises(LocalCloudError, match="name=value"):
        parse_context(["linger_s"])


def test_settings_survive_the_way_to_the_supervisor(tmp_path: Path) -> None:
    settings = CloudSettings(folder=tmp_path, agent_command=("a", "b"), context={"x": "1"}, tied_to=7)

    settings.save()

    assert asdict(CloudSettings.load(tmp_path)) == asdict(settings)
    assert json.loads(Files(tmp_path).settings.read_text())["folder"] == str(tmp_path)
