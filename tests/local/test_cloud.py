"""The life of a local cloud: up, used, down, and every way it can end before its time.

The stack has no part in that, so these clouds deploy nothing: their checkout has a scripted CDK command line. The real
stack is what tests/e2e drives.
"""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from avskrift.errors import LocalCloudError
from avskrift.local.cloud import Cloud, CloudSettings, Step, StepFailed, left_running
from avskrift.local.ec2.faults import Fault
from avskrift.local.journal import JournalReader
from avskrift.local.lock import is_held
from avskrift.local.loopback import fetch
from avskrift.local.processes import await_condition
from avskrift.local.settings import Files

# By way of sh, because a path with a space can't stand behind #!.
CDK = f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''
import json, pathlib, sys, time
command = sys.argv[1]
told = pathlib.Path("told.json")
behaviour = json.loads(told.read_text()).get(command) if told.exists() else None
print(command, "begins", flush=True)
if behaviour == "hang":
    time.sleep(600)
if behaviour == "fail":
    sys.exit("the subnet is on fire")
if command == "deploy":
    outputs = pathlib.Path(sys.argv[sys.argv.index("--outputs-file") + 1])
    outputs.write_text(json.dumps({{"avskrift": {{"BucketName": "a-bucket", "CapacityFunction": "capacity"}}}}))
"""
SLEEPER = (sys.executable, "-c", "print('booted', flush=True); import time; time.sleep(600)")
UP = """
import sys
from pathlib import Path
from avskrift.local.cloud import Cloud, CloudSettings
folder, checkout, tied = sys.argv[1:]
Cloud.up(CloudSettings(folder=Path(folder), checkout=Path(checkout), tied=tied == "tied"))
print("up", flush=True)
sys.stdin.read()
"""


def settings_in(folder: Path, **behaviour: str) -> CloudSettings:
    """A cloud with a scripted CDK; ``deploy="hang"`` and the like say what it does."""
    cdk = folder / "checkout" / "node_modules" / ".bin" / "cdk"
    cdk.parent.mkdir(parents=True)
    cdk.write_text(CDK)
    cdk.chmod(0o755)
    (folder / "checkout" / "told.json").write_text(json.dumps(behaviour))
    return CloudSettings(
        folder=folder / "a cloud", checkout=folder / "checkout", agent_command=SLEEPER, tied_to=os.getpid()
    )


def launch(cloud: Cloud, market: str = "on-demand") -> str:
    ec2 = cloud.client("ec2")
    subnet_id = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    options = {"InstanceMarketOptions": {"MarketType": "spot"}} if market == "spot" else {}
    answer = ec2.run_instances(
        ImageId="ami-0123456789abcdef0", InstanceType="g6.xlarge", SubnetId=subnet_id, MinCount=1, MaxCount=1, **options
    )
    instance_id = str(answer["Instances"][0]["InstanceId"])
    await_state(cloud, instance_id, "running")
    return instance_id


def put_function(cloud: Cloud, name: str, writes_to: Path) -> None:
    """A Lambda that writes its event to a file."""
    code = (
        "import json, os\n"
        "def handler(event, context):\n"
        "    with open(os.environ['FILE'] + '.new', 'w') as file: json.dump(event, file)\n"
        "    os.rename(os.environ['FILE'] + '.new', os.environ['FILE'])\n"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("main.py", code)
    cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="main.handler",
        Role="arn:aws:iam::123456789012:role/anything",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"FILE": str(writes_to)}},
    )


def await_state(cloud: Cloud, instance_id: str, state: str) -> None:
    await_condition(
        lambda: any(one.instance_id == instance_id and one.state == state for one in cloud.instances()), 30, state
    )


def await_end(folder: Path) -> None:
    await_condition(lambda: not is_held(folder) and not left_running(folder), 30, "the end of the cloud")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> CloudSettings:
    return settings_in(tmp_path_factory.mktemp("cloud"))


@pytest.fixture(scope="module")
def cloud(settings: CloudSettings) -> Iterator[Cloud]:
    with Cloud.up(settings) as cloud:
        yield cloud


def test_steps_are_told_and_nothing_is_left_after_down(tmp_path: Path) -> None:
    told: list[Step] = []
    settings = settings_in(tmp_path)

    with Cloud.up(settings, on_step=told.append) as cloud:
        assert cloud.outputs["BucketName"] == "a-bucket"
        assert cloud.left_running()

    assert [step.name for step in told if step.state == "done"] == [
        "check the checkout",
        "start the emulator",
        "bootstrap the account",
        "synthesize the stack",
        "deploy the stack",
        "watch for instances",
        "ready",
    ]
    assert cloud.left_running() == []
    assert not is_held(settings.folder)
    assert not Files(settings.folder).state.exists()
    assert not [path for path in settings.folder.iterdir() if path.name.endswith("-tmp")]


def test_second_cloud_in_the_same_folder_is_refused(cloud: Cloud, settings: CloudSettings) -> None:
    with pytest.raises(LocalCloudError, match="already up"):
        Cloud.up(settings)

    assert cloud.status()["ready"]


def test_handle_attaches_to_a_cloud_that_is_up_and_to_no_other(cloud: Cloud, tmp_path: Path) -> None:
    assert Cloud.attach(cloud.folder).outputs == cloud.outputs
    with pytest.raises(LocalCloudError, match="No local cloud is up"):
        Cloud.attach(tmp_path)


def test_control_door_opens_to_the_private_token_only(cloud: Cloud) -> None:
    state = Files(cloud.folder).state
    url = json.loads(state.read_text())["control_url"]

    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert fetch("GET", f"{url}/status")[0] == 401
    assert fetch("POST", f"{url}/stop", headers={"Authorization": "Bearer guessed"})[0] == 401


def test_environment_points_any_sdk_at_the_cloud(cloud: Cloud) -> None:
    code = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'],"
        " boto3.client('ec2').meta.endpoint_url, boto3.client('s3').meta.endpoint_url)"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    said = subprocess.check_output([sys.executable, "-c", code], env=plain | cloud.environment(), text=True)

    assert said.split() == ["123456789012", cloud.status()["ec2_endpoint"], cloud.endpoint]


def test_session_ignores_what_the_environment_says(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-somebody")

    session = cloud.session()

    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert session.client("ec2").meta.endpoint_url == cloud.status()["ec2_endpoint"]
    assert session.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_clients_can_be_made_again_and_again(cloud: Cloud) -> None:
    for _ in range(2):
        cloud.client("s3").list_buckets()
        cloud.session().client("s3").list_buckets()


def test_faults_are_injected_through_the_handle(cloud: Cloud) -> None:
    cloud.inject_fault(Fault("UnauthorizedOperation", action="DescribeKeyPairs", http_status=403))

    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        cloud.client("ec2").describe_key_pairs()

    cloud.inject_fault(Fault("InsufficientInstanceCapacity", market="spot", instance_types=("g6.xlarge",)))
    assert cloud.status()["faults"] == 1
    cloud.clear_faults()
    assert cloud.status()["faults"] == 0


def test_launched_instance_runs_until_it_is_terminated(cloud: Cloud) -> None:
    instance_id = launch(cloud)
    log = next(Path(one.log) for one in cloud.instances() if one.instance_id == instance_id)
    await_condition(lambda: "booted" in log.read_text(), 30, "the agent's first line")

    cloud.client("ec2").terminate_instances(InstanceIds=[instance_id])

    await_state(cloud, instance_id, "terminated")


def test_interruption_reaches_the_capacity_function_and_then_takes_the_instance(cloud: Cloud, tmp_path: Path) -> None:
    put_function(cloud, "capacity", writes_to=tmp_path / "event.json")
    instance_id = launch(cloud, market="spot")

    cloud.interrupt(instance_id, notice_s=0.5)

    await_condition((tmp_path / "event.json").exists, 30, "the event")
    event = json.loads((tmp_path / "event.json").read_text())
    assert (event["source"], event["detail-type"]) == ("aws.ec2", "EC2 Spot Instance Interruption Warning")
    assert event["detail"] == {"instance-id": instance_id, "instance-action": "terminate"}
    await_state(cloud, instance_id, "terminated")
    assert next(one.reason for one in cloud.instances() if one.instance_id == instance_id) == (
        "Server.SpotInstanceTermination"
    )


def test_unknown_instance_can_not_be_interrupted(cloud: Cloud) -> None:
    with pytest.raises(LocalCloudError, match="no running instance"):
        cloud.interrupt("i-0123456789abcdef0")


@pytest.mark.parametrize("command", ["synth", "bootstrap", "deploy"])
def test_failing_step_names_its_log_and_leaves_nothing(tmp_path: Path, command: str) -> None:
    settings = settings_in(tmp_path, **{command: "fail"})

    with pytest.raises(StepFailed, match="failed; its log is") as caught:
        Cloud.up(settings)

    assert "the subnet is on fire" in caught.value.tail
    assert caught.value.log == settings.folder / f"{command}.log"
    assert not is_held(settings.folder)
    assert left_running(settings.folder) == []


def test_missing_cdk_is_said_in_a_sentence(tmp_path: Path) -> None:
    settings = CloudSettings(folder=tmp_path / "cloud", checkout=tmp_path)

    with pytest.raises(LocalCloudError, match="CDK command line is not installed"):
        Cloud.up(settings)

    assert left_running(settings.folder) == []


def test_sigkill_of_the_supervisor_leaves_no_process_and_the_next_cloud_comes_up(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    cloud = Cloud.up(settings)
    launch(cloud)

    os.kill(cloud.status()["pid"], signal.SIGKILL)

    await_end(settings.folder)
    with Cloud.up(settings) as again:
        assert again.instances() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signal_to_the_supervisor_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    settings = settings_in(tmp_path)
    cloud = Cloud.up(settings)
    launch(cloud)

    os.kill(cloud.status()["pid"], number)

    await_end(settings.folder)
    assert not Files(settings.folder).state.exists()


@pytest.mark.parametrize("tied", ["tied", pytest.param("free", marks=pytest.mark.slow)])
def test_tied_cloud_ends_with_the_process_that_started_it(tmp_path: Path, tied: str) -> None:
    settings = settings_in(tmp_path)
    command = [sys.executable, "-c", UP, str(settings.folder), str(settings.checkout), tied]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        starter.kill()

    if tied == "free":
        assert Cloud.attach(settings.folder).status()["ready"]
        Cloud.attach(settings.folder).down()
    await_end(settings.folder)


def test_interrupt_half_way_leaves_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, deploy="hang")
    command = [sys.executable, "-c", UP, str(settings.folder), str(settings.checkout), "free"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as starter:
        reader = JournalReader(Files(settings.folder).journal)
        await_condition(lambda: any(step.name == "deploy the stack" for step in reader.new_steps()), 30, "the deploy")
        starter.send_signal(signal.SIGINT)

    await_end(settings.folder)


def test_web_proxy_of_the_machine_is_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there

    with Cloud.up(settings_in(tmp_path)) as cloud:
        launch(cloud)


def test_down_of_a_cloud_that_is_gone_is_no_error(tmp_path: Path) -> None:
    cloud = Cloud.up(settings_in(tmp_path))
    cloud.down()

    cloud.down()

    with suppress(LocalCloudError):
        cloud.status()
    assert cloud.left_running() == []


def test_context_and_callback_address_reach_the_stack(tmp_path: Path) -> None:
    settings = replace(CloudSettings(folder=tmp_path), callback_url="http://127.0.0.1:1/x", context={"linger_s": "9"})

    settings.save()

    assert CloudSettings.load(tmp_path).deploy_context() == {"callback_url": "http://127.0.0.1:1/x", "linger_s": "9"}
