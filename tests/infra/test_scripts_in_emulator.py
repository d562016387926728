"""scripts/deploy, cleanup and destroy for real: the CDK's own command line, the real stack, in the emulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from avskrift.doctor.check import Check, Level
from avskrift.doctor.examination import examine
from avskrift.doctor.report import session_for
from avskrift.doctor.subject import Settings
from avskrift.local.aws import client_environment, plain_environment
from avskrift.local.ec2.catalog import IMAGE_ID
from avskrift.local.ec2.server import Ec2Proxy
from avskrift.local.emulator import Emulator
from infra import cleanup, deploy, destroy
from infra.checkout import config_of

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.xdist_group("cloud"), pytest.mark.timeout(600)]
SETTINGS = {"name": "press", "local": "true"}
ARGUMENTS = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]


@dataclass(frozen=True)
class Account:
    """An empty account in the emulator."""

    emulator: Emulator
    proxy: Ec2Proxy
    said: Callable[[], str]
    """What was printed since it was last asked, by the CDK too."""

    def run(self, main: Callable[[list[str]], None], *arguments: str) -> str:
        self.said()
        main([*ARGUMENTS, *arguments])
        return self.said()

    def refused(self, main: Callable[[list[str]], None], *arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            main([*ARGUMENTS, *arguments])
        return str(end.value)

    def client(self, service: str) -> Any:
        return self.emulator.client(service)

    def launch(self) -> str:
        """An instance with the deployment's tag."""
        tags = [{"Key": "avskrift:deployment", "Value": "press"}]
        launched = (
            session_for("eu-north-1")
            .client("ec2")
            .run_instances(
                ImageId=IMAGE_ID,
                InstanceType="g4dn.xlarge",
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            )
        )
        return launched["Instances"][0]["InstanceId"]

    def ill(self) -> dict[str, Check]:
        """Red lines of the doctor by name."""
        checks = examine(session_for("eu-north-1"), Settings.of(config_of(SETTINGS)))
        return {check.name: check for check in checks if check.level == Level.RED}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Account]:
    proxy = Ec2Proxy()
    with Emulator.on_free_port(tmp_path, ec2_endpoint=proxy.url) as emulator:
        proxy.connect(emulator.endpoint)
        with proxy:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                monkeypatch.delenv(name)
            told = {**plain_environment(), **client_environment(emulator.endpoint, proxy.url), "CI": "true"}
            for name, value in told.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(deploy, "ASSEMBLY", tmp_path / "cdk.out")
            monkeypatch.setattr(deploy, "OUTPUTS_FILE", tmp_path / "outputs.json")
            yield Account(emulator, proxy, lambda: "".join(capfd.readouterr()))


def test_an_empty_account_to_a_deployment_and_back(account: Account) -> None:
    said = account.run(deploy.main, "--yes")
    assert "[+] AWS::S3::Bucket" in said
    assert "bootstrapped" in said
    assert "s3://press-" in said
    assert account.ill().keys() == {"image"}

    account.client("ssm").put_parameter(Name="/avskrift/press/ami", Value=IMAGE_ID, Type="String", Overwrite=True)
    assert account.ill() == {}

    said = account.run(deploy.main, "--yes")
    assert "There were no differences" in said
    assert "no changes" in said

    _break(account)
    assert account.ill().keys() == {"bucket", "λ capacity", "λ register", "webhook secret"}

    assert "left nothing behind" in account.run(cleanup.main)

    running = account.launch()
    assert f"terminate-instances --instance-ids {running}" in account.refused(destroy.main, "--yes")
    account.proxy.state.move(running, "terminated")

    said = account.run(destroy.main, "--yes")
    assert "Removed press." in said
    assert "aws ssm delete-parameter --name /avskrift/press/ami --region eu-north-1" in said
    assert account.client("s3").list_buckets()["Buckets"] != []  # the CDK's own
    assert [one["Name"] for one in account.client("s3").list_buckets()["Buckets"] if "press" in one["Name"]] == []
    assert "There is no deployment press" in account.refused(destroy.main, "--yes")

    leaked = account.launch()
    assert f"instance  {leaked}" in account.run(cleanup.main)
    assert "Ended 1." in account.run(cleanup.main, "--yes")
    assert account.proxy.state.instance(leaked).state == "shutting-down"


def _break(account: Account) -> None:
    """What somebody may do by hand in the console."""
    stack = account.client("cloudformation").describe_stacks(StackName="press")["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    functions, events = account.client("lambda"), account.client("events")
    account.client("s3").put_bucket_notification_configuration(
        Bucket=outputs["BucketName"], NotificationConfiguration={}
    )
    capacity = functions.get_function_configuration(FunctionName=outputs["CapacityFunction"])["FunctionArn"]
    for rule in events.list_rule_names_by_target(TargetArn=capacity)["RuleNames"]:
        events.disable_rule(Name=rule)
    (mapping,) = functions.list_event_source_mappings(FunctionName=outputs["RegisterFunction"])["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    account.client("secretsmanager").put_secret_value(SecretId=outputs["SecretId"], SecretString="a word")
