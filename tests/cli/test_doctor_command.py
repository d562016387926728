"""avskrift doctor as its user sees it: lines or JSON, and an exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from avskrift.cli import app
from avskrift.errors import ConfigurationError
from avskrift.local.settings import CHECKOUT
from tests.doctor.account import NO_STACK, WELL, Account, Refusal, open_account, quota, reach_everybody, stack


@pytest.fixture(scope="module")
def opened() -> Account:
    return open_account()


@pytest.fixture
def account(opened: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A deployment ``press`` that is well."""
    opened.answers, opened.asked = {**WELL}, []
    monkeypatch.setattr("avskrift.doctor.report.session_for", lambda _: opened.session)
    reach_everybody(monkeypatch)
    monkeypatch.delenv("AVSKRIFT_DEPLOYMENT", raising=False)
    return opened


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_each_line_has_a_mark_and_below_it_what_mends_it(account: Account) -> None:
    account.answers["GetServiceQuota"] = quota(0)

    done = run("--deployment", "press")

    lines = done.stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("✗ quota spot G and VT"))
    assert "none can be launched" in lines[at]
    assert lines[at + 1].strip().startswith("→ aws service-quotas request-service-quota-increase")
    assert done.exit_code == 1


def test_a_warning_is_no_failure(account: Account) -> None:
    account.answers["ListSubscriptionsByTopic"] = {"Subscriptions": []}

    done = run("--deployment", "press")

    assert "! alarms" in done.stdout
    assert done.exit_code == 0


def test_json_is_one_object_with_every_line(account: Account) -> None:
    account.answers["ListRoles"] = {"Roles": []}

    done = run("--deployment", "press", "--json")

    told = json.loads(done.stdout)
    assert (told["deployment"], told["region"], told["ok"]) == ("press", "eu-north-1", False)
    (role,) = [check for check in told["checks"] if check["name"] == "spot role"]
    assert role == {
        "name": "spot role",
        "level": "red",
        "detail": "EC2's service-linked role for spot instances is missing: no spot instance can be launched.",
        "mend": "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    }
    assert done.exit_code == 1


def test_before_a_deployment_the_settings_are_those_of_the_checkout_and_of_c(account: Account) -> None:
    account.answers.update({"DescribeStacks": NO_STACK, "GetParameter": Refusal("ParameterNotFound")})

    run("-c", "name=archive", "-c", "instance_types=g6.xlarge")

    asked = dict(account.asked)
    assert asked["DescribeStacks"] == {"StackName": "archive"}
    assert asked["DescribeInstanceTypes"]["Filters"][0]["Values"] == ["g6.xlarge"]


def test_outside_a_checkout_a_deployment_is_found_by_name_and_the_shells_region(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("avskrift.cli.doctor.CHECKOUT", tmp_path)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    account.answers["DescribeStacks"] = stack()

    lines = run("--deployment", "press").stdout.splitlines()
    assert [line.split()[:3] for line in lines if "stack" in line] == [["✓", "stack", "press,"]]

    refused = run("-c", "max_instances=2")
    assert "needs a checkout" in str(refused.exception)


@pytest.mark.parametrize("settings", [("max_instances=0",), ("nonsense",), ("callback_url=http://example.org",)])
def test_a_wrong_setting_is_a_sentence(account: Account, settings: tuple[str, ...]) -> None:
    done = run(*(part for setting in settings for part in ("-c", setting)))

    assert done.exit_code == 1
    assert isinstance(done.exception, ConfigurationError)
    assert account.asked == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_output_that_takes_no_more_is_one_sentence(form: list[str]) -> None:
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    settings = {"AWS_EC2_METADATA_DISABLED": "true", "PATH": os.environ["PATH"], **nothing}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "avskrift", "doctor", *form],
            cwd=CHECKOUT,
            env=settings,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == 1
    assert b"bad_configuration: Standard output could not be written (No space left on device)" in done.stderr
    assert b"Traceback" not in done.stderr


def test_help_shows_how_it_is_used() -> None:
    shown = run("--help").stdout

    assert "avskrift doctor -c region=eu-west-1" in shown
    assert "--json" in shown
