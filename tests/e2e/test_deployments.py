"""The life of a deployment by the real CDK command line: deploy, diff, update, a second one beside it, destroy."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from avskrift.jobs.layout import job_id_for
from avskrift.local.aws import ACCOUNT_ID, REGION, client_environment, plain_environment
from avskrift.local.emulator import Emulator
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.xdist_group("deployments"), pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).resolve().parents[2]
CDK = CHECKOUT / "node_modules" / ".bin" / "cdk"
#: The app as it is, less the one resource that the emulator refuses (and the local cloud therefore leaves out).
APP = """
import sys
sys.path.insert(0, {checkout!r})
from infra.__main__ import prefer_node_beside_python
prefer_node_beside_python()
from infra.app import build_app
app = build_app()
for construct in app.node.find_all():
    if getattr(construct, "cfn_resource_type", "") == "AWS::Logs::QueryDefinition":
        construct.node.scope.node.try_remove_child(construct.node.id)
app.synth()
"""


@dataclass(frozen=True)
class Account:
    """An empty account in the emulator, made ready for the CDK."""

    emulator: Emulator
    folder: Path

    @property
    def app(self) -> Path:
        return self.folder / "app.py"

    def cdk(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line; what it says comes back, whatever its status."""
        plain = plain_environment()
        environment = {
            **plain,
            **client_environment(self.emulator.endpoint, self.emulator.endpoint),
            "PATH": f"{Path(sys.executable).parent}:{plain.get('PATH', os.defpath)}",
            "TMPDIR": str(self.folder),
            "CI": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "NO_COLOR": "1",
        }
        return subprocess.run(
            [str(CDK), *arguments, "--no-notices"],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def client(self, service: str) -> Any:
        return self.emulator.client(service)


@dataclass(frozen=True)
class Deployment:
    """One deployment with its settings; everything else as ``cdk.json`` says."""

    account: Account
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def having(self, **settings: str) -> Deployment:
        return Deployment(self.account, self.name, {**self.settings, **settings})

    def deploy(self) -> dict[str, str]:
        outputs = self.account.folder / f"{self.name}.json"
        self._done("deploy", "--require-approval", "never", "--outputs-file", str(outputs))
        found: dict[str, str] = json.loads(outputs.read_text(encoding="utf-8"))[self.name]
        return found

    def differences(self) -> str:
        """What a deployment would change; empty when nothing."""
        done = self._run("diff", "--fail")
        assert ("no differences" in done.stdout + done.stderr) is (done.returncode == 0), done.stderr
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def destroy(self) -> None:
        self._done("destroy", "--force")

    def _done(self, command: str, *arguments: str) -> None:
        done = self._run(command, *arguments)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def _run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = {"name": self.name, "region": REGION, "account": ACCOUNT_ID, **self.settings}
        context = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        app = f"{shlex.quote(sys.executable)} {shlex.quote(str(self.account.app))}"
        assembly = str(self.account.folder / f"{self.name}.out")
        return self.account.cdk(command, self.name, "--app", app, "-o", assembly, *context, *arguments)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("deployments å")
    with Emulator.on_free_port(folder) as emulator:
        account = Account(emulator, folder)
        account.app.write_text(APP.format(checkout=str(CHECKOUT)), encoding="utf-8")
        bootstrapped = account.cdk("bootstrap", f"aws://{ACCOUNT_ID}/{REGION}", "--app", "")
        assert bootstrapped.returncode == 0, bootstrapped.stderr
        yield account


@pytest.fixture(scope="module")
def press(account: Account) -> Deployment:
    account.client("ssm").put_parameter(Name="/avskrift/press/ami", Value="none", Type="String")
    return Deployment(account, "press")


@pytest.fixture(scope="module")
def outputs(press: Deployment) -> dict[str, str]:
    """Of the first deployment, with a recording and a row of its own in it."""
    outputs = press.deploy()
    put(press.account, outputs, "kept")
    return outputs


def put(account: Account, outputs: Mapping[str, str], name: str) -> str:
    """Upload a recording and wait for its job: the functions are alive."""
    bucket, key = outputs["BucketName"], f"uploads/{name}.ogg"
    put = account.client("s3").put_object(Bucket=bucket, Key=key, Body=b"sound")
    job_id = job_id_for(bucket, key, put["VersionId"])
    await_condition(lambda: has_row(account, outputs, job_id), 60, f"the job of {name}")
    return job_id


def has_row(account: Account, outputs: Mapping[str, str], job_id: str) -> bool:
    wanted = {"pk": {"S": f"job#{job_id}"}}
    return "Item" in account.client("dynamodb").get_item(TableName=outputs["TableName"], Key=wanted)


def user_data(account: Account, outputs: Mapping[str, str]) -> dict[str, Any]:
    """What an instance launched now would be told."""
    found = account.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=outputs["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    told: dict[str, Any] = json.loads(base64.b64decode(found["UserData"]))
    return told


def environment_of(account: Account, function: str) -> dict[str, str]:
    values = account.client("lambda").get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    return dict(values)


def versions_of(account: Account, bucket: str) -> list[str]:
    return [one["Key"] for one in account.client("s3").list_object_versions(Bucket=bucket).get("Versions", [])]


def test_after_a_deployment_there_is_no_difference(press: Deployment, outputs: dict[str, str]) -> None:
    assert press.differences() == ""


def test_changed_setting_is_shown_takes_effect_and_keeps_data(
    account: Account, press: Deployment, outputs: dict[str, str]
) -> None:
    changed = press.having(max_instances="7", linger_s="300")
    shown = changed.differences()
    assert "AVSKRIFT_MAX_INSTANCES" in shown
    assert "AWS::DynamoDB::Table" not in shown
    assert "AWS::S3::Bucket " not in shown
    after = changed.deploy()
    assert {name: after[name] for name in ("BucketName", "TableName")} == {
        name: outputs[name] for name in ("BucketName", "TableName")
    }
    assert environment_of(account, after["CapacityFunction"])["AVSKRIFT_MAX_INSTANCES"] == "7"
    assert user_data(account, after)["linger_s"] == 300
    assert versions_of(account, outputs["BucketName"]) == ["uploads/kept.ogg"]
    put(account, after, "after-the-update")
    assert changed.differences() == ""


def test_second_deployment_stands_beside_the_first_and_goes_alone(
    account: Account, press: Deployment, outputs: dict[str, str]
) -> None:
    account.client("ssm").put_parameter(Name="/avskrift/radio/ami", Value="none", Type="String")
    radio = Deployment(account, "radio", {"retain_data": "false"})
    beside = radio.deploy()
    shared = {name for name in outputs if outputs[name] == beside[name]}
    assert shared <= {"InstanceTypes", "Version"}
    job_id = put(account, beside, "of-the-second")
    assert not has_row(account, outputs, job_id)
    empty(account, beside["BucketName"])
    radio.destroy()
    assert not exists(account, "s3", "head_bucket", Bucket=beside["BucketName"])
    assert not exists(account, "dynamodb", "describe_table", TableName=beside["TableName"])
    put(account, outputs, "after-the-second-went")


def test_destroyed_it_leaves_data_and_nothing_else(
    account: Account, press: Deployment, outputs: dict[str, str]
) -> None:
    """Last in this module: it takes the deployment away."""
    job_id = put(account, outputs, "before-the-end")
    press.destroy()
    assert "uploads/kept.ogg" in versions_of(account, outputs["BucketName"])
    assert has_row(account, outputs, job_id)
    stacks = account.client("cloudformation").describe_stacks()["Stacks"]
    assert [one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"] == ["CDKToolkit"]
    assert account.client("lambda").list_functions()["Functions"] == []
    assert account.client("sqs").list_queues().get("QueueUrls", []) == []
    assert not exists(account, "secretsmanager", "get_secret_value", SecretId=outputs["SecretId"])
    assert account.client("logs").describe_log_groups(logGroupNamePrefix="/avskrift/press/")["logGroups"] == []


def empty(account: Account, bucket: str) -> None:
    """What scripts/destroy tells to do before a bucket may go."""
    s3 = account.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def exists(account: Account, service: str, method: str, **named: str) -> bool:
    try:
        getattr(account.client(service), method)(**named)
    except ClientError:
        return False
    return True
