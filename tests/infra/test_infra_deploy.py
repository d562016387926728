"""What scripts/deploy makes sure of before and beside the stack."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from avskrift.errors import ConfigurationError
from infra.config import Config
from infra.deploy import Target, check_zones, ensure_image_parameter, ensure_spot_role, main, reach_account, warnings

ACCOUNT = "123456789012"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


def target(**settings: object) -> Target:
    return reach_account(Config.from_context(settings), {})


@pytest.mark.usefixtures("account")
def test_the_account_is_that_of_the_credentials() -> None:
    assert target().account == ACCOUNT


@pytest.mark.usefixtures("account")
def test_another_account_than_configured_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="999999999999"):
        target(account="999999999999")


def test_without_credentials_it_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ConfigurationError, match="aws configure"):
        target()


@pytest.mark.usefixtures("account")
def test_zones_the_account_lacks_are_named_with_those_it_has() -> None:
    check_zones(target())

    with pytest.raises(ConfigurationError, match=r"eu-north-1z can't be used .*eu-north-1a, eu-north-1b, eu-north-1c"):
        check_zones(target(availability_zones="eu-north-1a,eu-north-1z"))


@pytest.mark.usefixtures("account")
def test_without_a_callback_it_says_before_deploying_that_no_webhook_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    with pytest.raises(SystemExit, match="--yes"):
        main(["-c", "callback_url="])
    assert "jobs will send no webhook" in capsys.readouterr().out

    with pytest.raises(SystemExit, match="--yes"):
        main(["-c", "callback_url=https://example.org/hook"])
    assert "no webhook" not in capsys.readouterr().out


def test_the_warning_names_the_hosts_that_jobs_may_call() -> None:
    (warning,) = warnings(Config.from_context({"allowed_callback_hosts": "example.org"}))

    assert "(example.org)" in warning
    assert warnings(Config.from_context({"callback_url": "https://example.org/hook"})) == []


@pytest.mark.usefixtures("account")
def test_the_image_parameter_is_made_once_and_never_reset() -> None:
    ssm = boto3.client("ssm", region_name="eu-north-1")

    assert ensure_image_parameter(target()) == "none"
    ssm.put_parameter(Name="/avskrift/avskrift/ami", Value="ami-0123", Type="String", Overwrite=True)

    assert ensure_image_parameter(target()) == "ami-0123"
    assert ssm.get_parameter(Name="/avskrift/avskrift/ami")["Parameter"]["Value"] == "ami-0123"


@pytest.mark.usefixtures("account")
def test_the_spot_role_is_made_where_the_account_has_none() -> None:
    ensure_spot_role(target())

    roles = boto3.client("iam").list_roles(PathPrefix="/aws-service-role/spot.amazonaws.com/")["Roles"]
    assert len(roles) == 1


@pytest.mark.usefixtures("account")
def test_nothing_is_changed_when_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    with pytest.raises(SystemExit, match="--yes"):
        main([])

    assert boto3.client("ssm", region_name="eu-north-1").describe_parameters()["Parameters"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"), [(["-c", "naem=x"], "Did you mean"), (["-c", "max_instances=0"], "at least 1")]
)
def test_a_wrong_setting_is_refused_before_anything_else(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        main(arguments)
