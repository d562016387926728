"""Instances as real processes, with a scripted agent in the place of the real one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from avskrift.errors import LocalCloudError
from avskrift.local.ec2.state import Instance
from avskrift.local.processes import await_condition
from avskrift.local.shim import InstanceShim, ShimSettings

if TYPE_CHECKING:
    from conftest import Stage

AGENT = """
import json, os, signal, sys, time, urllib.request
metadata = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
put = urllib.request.Request(metadata + "/latest/api/token", method="PUT",
                             headers={"X-aws-ec2-metadata-token-ttl-seconds": "600"})
token = urllib.request.urlopen(put).read().decode()

def read(path):
    request = urllib.request.Request(f"{metadata}/latest/{path}", headers={"X-aws-ec2-metadata-token": token})
    try:
        return urllib.request.urlopen(request).read().decode()
    except urllib.error.HTTPError as error:
        return error.code

def stop(*_):
    print("TERM", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
print(json.dumps({"pid": os.getpid(), "instance_id": read("meta-data/instance-id"), "environment": dict(os.environ),
                  "user_data": read("user-data")}), flush=True)
while not os.path.exists(os.environ["AGENT_END"]):
    if read("meta-data/spot/instance-action") != 404:
        print("NOTICE", flush=True)
        signal.pause()
    time.sleep(0.05)
"""


class Cloud:
    """The stage with a shim on it, and a few questions to ask."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder / "instances"
        self.end_all = folder / "end"
        self.shim = InstanceShim(
            ShimSettings(
                folder=self.folder,
                checkout=folder,
                endpoint=stage.emulator.endpoint,
                region="eu-north-1",
                agent_command=(sys.executable, "-c", AGENT),
                agent_environment={"AGENT_END": str(self.end_all)},
                stop_grace_s=20,
            ),
            stage.proxy.state,
        )

    def launch(self, market: str = "spot") -> str:
        answer = self.stage.ec2.create_fleet(**self.stage.fleet_request(market=market))
        return str(answer["Instances"][0]["InstanceIds"][0])

    def instance(self, instance_id: str) -> Instance:
        return self.stage.proxy.state.instance(instance_id)

    def await_state(self, instance_id: str, state: str) -> None:
        await_condition(lambda: self.instance(instance_id).state == state, 30, f"{instance_id} {state}")

    def log(self, instance_id: str) -> str:
        path = self.folder / f"{instance_id}.log"
        return path.read_text() if path.exists() else ""

    def await_log(self, instance_id: str, text: str) -> None:
        await_condition(lambda: text in self.log(instance_id), 30, f"{text} in the log")

    def report(self, instance_id: str) -> dict[str, Any]:
        self.await_log(instance_id, "\n")
        return dict(json.loads(self.log(instance_id).splitlines()[0]))


@pytest.fixture
def cloud(stage: Stage, tmp_path: Path) -> Iterator[Cloud]:
    for instance in stage.proxy.state.instances():  # of tests without a shim
        stage.proxy.state.move(instance.instance_id, "terminated")
    cloud = Cloud(stage, tmp_path)
    cloud.shim.start()
    yield cloud
    cloud.shim.stop()
    assert not list(cloud.folder.glob("*-disk"))


def test_pending_instance_becomes_a_process_that_knows_who_it_is(cloud: Cloud, stage: Stage) -> None:
    instance_id = cloud.launch()
    cloud.await_state(instance_id, "running")

    report = cloud.report(instance_id)

    assert report["instance_id"] == instance_id
    assert report["user_data"] == stage.user_data
    aws = {name for name in report["environment"] if name.startswith("AWS_")}
    assert aws == {
        "AWS_ENDPOINT_URL",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
    }


def test_instance_terminates_when_its_process_ends(cloud: Cloud) -> None:
    instance_id = cloud.launch()
    cloud.await_state(instance_id, "running")

    cloud.end_all.touch()

    cloud.await_state(instance_id, "terminated")
    reason = cloud.instance(instance_id).reason
    assert reason is not None
    assert reason.code == "Client.InstanceInitiatedShutdown"


def test_killed_agent_is_a_terminated_instance(cloud: Cloud) -> None:
    instance_id = cloud.launch()

    os.kill(cloud.report(instance_id)["pid"], signal.SIGKILL)

    cloud.await_state(instance_id, "terminated")


def test_terminating_an_instance_ends_its_process_politely(cloud: Cloud, stage: Stage) -> None:
    instance_id = cloud.launch()
    cloud.report(instance_id)

    stage.ec2.terminate_instances(InstanceIds=[instance_id])

    cloud.await_state(instance_id, "terminated")
    assert cloud.log(instance_id).endswith("TERM\n")
    reason = cloud.instance(instance_id).reason
    assert reason is not None
    assert reason.code == "Client.UserInitiatedShutdown"


def test_interrupted_instance_sees_its_notice_and_is_then_taken(cloud: Cloud) -> None:
    instance_id = cloud.launch()
    cloud.report(instance_id)

    cloud.shim.interrupt(instance_id, notice_s=1.0)

    cloud.await_log(instance_id, "NOTICE")
    cloud.await_state(instance_id, "terminated")
    reason = cloud.instance(instance_id).reason
    assert reason is not None
    assert reason.code == "Server.SpotInstanceTermination"


def test_only_running_spot_instances_can_be_interrupted(cloud: Cloud) -> None:
    instance_id = cloud.launch(market="on-demand")
    cloud.report(instance_id)

    with pytest.raises(LocalCloudError, match="only spot instances"):
        cloud.shim.interrupt(instance_id)
    with pytest.raises(LocalCloudError, match="no running instance"):
        cloud.shim.interrupt("i-0123456789abcdef0")


def test_instance_without_terminate_on_shutdown_stays_stopped(cloud: Cloud, stage: Stage) -> None:
    answer = stage.ec2.run_instances(
        ImageId=stage.ami_id, InstanceType="g6.xlarge", SubnetId=stage.subnet_ids[0], MinCount=1, MaxCount=1
    )
    instance_id = answer["Instances"][0]["InstanceId"]
    cloud.report(instance_id)

    cloud.end_all.touch()

    cloud.await_state(instance_id, "stopped")


def test_stopping_the_shim_leaves_no_process(cloud: Cloud) -> None:
    pids = [cloud.report(cloud.launch())["pid"] for _ in range(2)]

    cloud.shim.stop()

    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert {one.state for one in cloud.stage.proxy.state.instances()} <= {"terminated", "stopped"}
