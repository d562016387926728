"""scripts/deploy through its entry point: it looks, shows, asks, deploys and looks again, in this order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra import deploy
from infra.checkout import CHECKOUT
from infra.config import Config
from tests.doctor.account import (
    NO_STACK,
    OUTPUTS,
    WELL,
    ZONES,
    Account,
    Refusal,
    image,
    offers,
    open_account,
    quota,
    reach_everybody,
    stack,
)

CHANGING = ("Create", "Put", "Delete", "Update", "Terminate", "Deregister", "Run")
BUDGET = ("-c", "monthly_budget_usd=50", "-c", "alarm_email=ada@example.org")
SETTINGS = ("-c", "name=press", "-c", "instance_types=g4dn.xlarge,g5.xlarge", "-c", "max_instances=2")


@dataclass
class Desk:
    """What the operator of a script has before them: the account, and the CDK commands that were run."""

    account: Account
    commands: list[tuple[str, ...]] = field(default_factory=list)

    def cdk(self, target: Any, *command: str) -> None:
        """In place of the CDK's command line: notes what was asked of it, and writes what a deployment would."""
        self.commands.append(command)
        if command[0] == "deploy":
            Path(command[command.index("--outputs-file") + 1]).write_text(json.dumps({"press": OUTPUTS}))
            if isinstance(self.account.answers["DescribeStacks"], Refusal):
                self.account.answers["DescribeStacks"] = stack()

    def budget_of(self, region: str) -> None:
        """Let the stack of a budget be there, of the deployment press in this region."""
        self.account.answers["DescribeStacks"] = found = stack()
        tags = {"avskrift:deployment": "press", "avskrift:region": region}
        found["Stacks"][0]["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]

    @property
    def changes(self) -> list[str]:
        return [name for name, _ in self.account.asked if name.startswith(CHANGING)]


@pytest.fixture(scope="module")
def opened() -> Account:
    return open_account()


@pytest.fixture
def desk(opened: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A new account in which everything is right and nothing is deployed yet."""
    opened.asked = []
    opened.answers = {
        **WELL,
        "DescribeStacks": NO_STACK,
        "GetParameter": Refusal("ParameterNotFound"),
        "ListRoles": {"Roles": []},
        "PutParameter": {},
        "CreateServiceLinkedRole": {},
    }
    found = Desk(opened)
    monkeypatch.setattr("infra.operator.session_for", lambda _: opened.session)
    reach_everybody(monkeypatch)
    monkeypatch.setattr(deploy, "cdk", found.cdk)
    monkeypatch.setattr(deploy, "ASSEMBLY", tmp_path / "cdk.out")
    monkeypatch.setattr(deploy, "OUTPUTS_FILE", tmp_path / "outputs.json")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    return found


def test_it_shows_what_would_change_and_makes_what_no_stack_owns_before_it_deploys(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.main([*SETTINGS, "--yes"])

    assert [command[0] for command in desk.commands] == ["synth", "diff", "bootstrap", "deploy"]
    assert desk.changes == ["CreateServiceLinkedRole", "PutParameter"]
    made = dict(desk.account.asked)["PutParameter"]
    assert (made["Name"], made["Value"]) == ("/avskrift/press/ami", "none")
    printed = capsys.readouterr().out
    assert printed.index("The account, for press") < printed.index("The deployment:")
    assert "aws s3 cp talk.mp3 s3://press-recordings/uploads/" in printed
    assert "scripts/destroy -c name=press" in printed


def test_what_is_deployed_is_what_was_shown(desk: Desk) -> None:
    deploy.main([*SETTINGS, "--yes"])

    assemblies = {command[command.index("--app") + 1] for command in desk.commands if command[0] in ("diff", "deploy")}
    assert assemblies == {str(deploy.ASSEMBLY)}
    assert "--all" in desk.commands[-1]


def test_an_account_that_has_all_is_changed_by_the_stack_alone(desk: Desk) -> None:
    desk.account.answers.update({name: WELL[name] for name in ("ListRoles", "GetParameter", "DescribeStacks")})

    deploy.main([*SETTINGS, "--yes"])

    assert [command[0] for command in desk.commands] == ["synth", "diff", "deploy"]
    assert desk.changes == []


def test_a_deployment_without_an_image_is_updated_all_the_same(desk: Desk) -> None:
    """The image comes after the first deployment, and needs none to be deployed again."""
    desk.account.answers["DescribeStacks"] = stack()
    desk.account.answers["GetParameter"] = lambda request: {
        "Parameter": {"Value": "none" if request["Name"] == "/avskrift/press/ami" else "33"}
    }

    deploy.main([*SETTINGS, "--yes"])

    assert desk.commands[-1][0] == "deploy"


def test_an_old_bootstrap_is_made_anew(desk: Desk) -> None:
    desk.account.answers["GetParameter"] = {"Parameter": {"Value": "5"}}

    deploy.main([*SETTINGS, "--yes", "--anyway"])

    assert "bootstrap" in [command[0] for command in desk.commands]


def test_nothing_is_changed_when_nobody_can_be_asked(desk: Desk) -> None:
    with pytest.raises(SystemExit, match="--yes"):
        deploy.main([*SETTINGS])

    assert [command[0] for command in desk.commands] == ["synth", "diff"]
    assert desk.changes == []


def test_nothing_is_changed_when_the_answer_is_no(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")

    with pytest.raises(SystemExit, match="Nothing was changed"):
        deploy.main([*SETTINGS])

    assert desk.changes == []


def test_repair_looks_at_the_resources_themselves(desk: Desk) -> None:
    deploy.main([*SETTINGS, "--yes", "--repair"])

    assert "--revert-drift" in desk.commands[-1]


def test_a_budget_that_is_no_longer_wanted_is_named_with_what_removes_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.account.answers.update({name: WELL[name] for name in ("ListRoles", "GetParameter")})
    desk.budget_of("eu-north-1")

    deploy.main([*SETTINGS, "--yes"])
    assert "aws cloudformation delete-stack --stack-name press-account --region us-east-1" in capsys.readouterr().out

    deploy.main([*SETTINGS, *BUDGET, "--yes"])
    assert "delete-stack" not in capsys.readouterr().out


def test_the_budget_of_the_same_name_in_another_region_is_not_taken_over(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.account.answers.update({name: WELL[name] for name in ("ListRoles", "GetParameter")})
    desk.budget_of("eu-west-1")

    with pytest.raises(SystemExit, match="press-account in us-east-1 is of the deployment press in eu-west-1: give"):
        deploy.main([*SETTINGS, *BUDGET, "--yes"])
    assert desk.commands == []

    deploy.main([*SETTINGS, "--yes"])
    assert desk.commands[-1][0] == "deploy"
    assert "delete-stack" not in capsys.readouterr().out


TAKEN = Refusal("403", "Forbidden", 403)


def only_g6e(request: dict[str, Any]) -> dict[str, Any]:
    """A region with one type of GPU instances."""
    kinds = request["Filters"][0]["Values"]
    return offers(*((kind, zone) for kind in kinds if kind == "g6e.xlarge" for zone in ZONES))


BAD_INPUT = {
    "a region without the instance types": (
        {"DescribeInstanceTypeOfferings": only_g6e, "DescribeInstanceTypes": {"InstanceTypes": []}},
        [],
        ["None of g4dn.xlarge, g5.xlarge is offered in eu-north-1a", "-c instance_types=g6e.xlarge"],
    ),
    "a zone that is another account's": (
        {"DescribeAvailabilityZones": {"AvailabilityZones": [{"ZoneName": zone} for zone in ZONES[1:]]}},
        [],
        ["eu-north-1a can't be used by this account", "-c availability_zones=eu-north-1b,eu-north-1c"],
    ),
    "a quota of 0": (
        {"GetServiceQuota": quota(0)},
        [],
        ["0 vCPUs, and one instance has 4", "request-service-quota-increase", "L-3819A6DF", "L-DB2E81BA"],
    ),
    "a bucket name that is taken": (
        {"HeadBucket": TAKEN},
        ["-c", "bucket_name=recordings"],
        ["recordings is taken, by another account", "-c bucket_name="],
    ),
    "an AMI for another architecture": (
        {"DescribeImages": image(Architecture="arm64"), "GetParameter": WELL["GetParameter"]},
        [],
        ["is for arm64, which none of g4dn.xlarge, g5.xlarge runs", "ssm put-parameter --name /avskrift/press/ami"],
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_what_can_not_work_stops_it_with_a_sentence_before_anything_is_changed(
    desk: Desk, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, arguments, told = BAD_INPUT[case]
    desk.account.answers.update(answers)

    with pytest.raises(SystemExit, match=r"red: mend what it says there, or deploy all the same with --anyway\.$"):
        deploy.main([*SETTINGS, *arguments, "--yes"])

    printed = capsys.readouterr().out
    assert [sentence for sentence in told if sentence not in printed] == []
    assert desk.commands == []
    assert desk.changes == []


def test_a_red_line_can_be_overruled(desk: Desk) -> None:
    desk.account.answers["GetServiceQuota"] = quota(0)

    deploy.main([*SETTINGS, "--yes", "--anyway"])

    assert desk.commands[-1][0] == "deploy"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-c", "naem=x"], "Did you mean"),
        (["-c", "max_instances=0"], '"max_instances" must be'),
        (["-c", "max_instances=10000"], '"max_instances" must be'),
        (["-c", "callback_url=http://example.org/hook"], "https://"),
        (["-c", "region=Stockholm"], "an AWS region such as"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_asked(desk: Desk, arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        deploy.main(arguments)

    assert desk.account.asked == []


def test_another_account_than_configured_is_refused(desk: Desk) -> None:
    with pytest.raises(SystemExit, match="999999999999"):
        deploy.main([*SETTINGS, "-c", "account=999999999999"])


def test_without_credentials_it_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(SystemExit, match="aws configure"):
        deploy.main([])


def test_a_refusal_of_aws_is_one_sentence(desk: Desk) -> None:
    desk.account.answers["PutParameter"] = Refusal("AccessDeniedException", "You may not.")

    with pytest.raises(SystemExit, match=r"^AWS refused PutParameter: You may not\.$"):
        deploy.main([*SETTINGS, "--yes"])


def test_the_settings_are_those_of_the_checkout() -> None:
    assert (CHECKOUT / "cdk.json").is_file()
    assert Config.from_context({}).name == json.loads((CHECKOUT / "cdk.json").read_text())["context"]["name"]
