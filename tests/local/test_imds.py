"""The metadata service of an instance, asked by hand and by botocore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from avskrift.local.credentials import RoleCredentials
from avskrift.local.imds import MetadataServer, Notices
from avskrift.local.loopback import fetch

if TYPE_CHECKING:
    from conftest import Stage


class Machine:
    """One instance of the stage with its metadata server, as a client inside it would see them."""

    def __init__(self, stage: Stage) -> None:
        answer = stage.ec2.create_fleet(**stage.fleet_request())
        self.instance_id = answer["Instances"][0]["InstanceIds"][0]
        self.notices = Notices()
        emulator = stage.emulator
        credentials = RoleCredentials(
            emulator.client("iam"), emulator.client("sts"), stage.profile_arn, self.instance_id
        )
        state = stage.proxy.state
        self.server = MetadataServer(
            lambda: state.instance(self.instance_id), lambda: self.notices, credentials, "123456789012"
        )

    def token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        return fetch("PUT", f"{self.server.url}/latest/api/token", headers=headers)[1].decode()

    def get(self, path: str) -> tuple[int, str]:
        headers = {"X-aws-ec2-metadata-token": self.token()}
        status, body = fetch("GET", f"{self.server.url}/latest/{path}", headers=headers)
        return status, body.decode()


@pytest.fixture(scope="module")
def machine(stage: Stage) -> Iterator[Machine]:
    machine = Machine(stage)
    with machine.server:
        yield machine


def test_nothing_is_told_without_a_token(machine: Machine) -> None:
    url = f"{machine.server.url}/latest/meta-data/instance-id"

    assert fetch("GET", url)[0] == 401
    assert fetch("GET", url, headers={"X-aws-ec2-metadata-token": "guessed"})[0] == 401


@pytest.mark.parametrize("ttl", ["", "0", "21601", "soon"])
def test_token_needs_a_sensible_life(machine: Machine, ttl: str) -> None:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": ttl} if ttl else {}

    assert fetch("PUT", f"{machine.server.url}/latest/api/token", headers=headers)[0] == 400


def test_forwarded_token_requests_are_refused(machine: Machine) -> None:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Forwarded-For": "10.0.0.1"}

    assert fetch("PUT", f"{machine.server.url}/latest/api/token", headers=headers)[0] == 403


def test_instance_learns_who_it_is(machine: Machine, stage: Stage) -> None:
    assert machine.get("meta-data/instance-id") == (200, machine.instance_id)
    assert machine.get("meta-data/instance-type") == (200, "g4dn.xlarge")
    assert machine.get("meta-data/instance-life-cycle") == (200, "spot")
    assert machine.get("meta-data/placement/region") == (200, "eu-north-1")
    assert machine.get("meta-data/tags/instance/avskrift:launch") == (200, "launch-1")
    assert machine.get("user-data") == (200, stage.user_data)
    document = json.loads(machine.get("dynamic/instance-identity/document")[1])
    assert (document["accountId"], document["instanceId"]) == ("123456789012", machine.instance_id)
    assert document["availabilityZone"].startswith("eu-north-1")


def test_folders_list_their_names(machine: Machine) -> None:
    assert machine.get("meta-data/placement/")[1].split() == ["availability-zone", "region"]
    assert "iam/" in machine.get("meta-data/")[1].split()
    assert machine.get("meta-data/iam/security-credentials/") == (200, "agent")


def test_notices_appear_when_they_are_given(machine: Machine) -> None:
    assert machine.get("meta-data/spot/instance-action")[0] == 404
    assert machine.get("meta-data/events/recommendations/rebalance")[0] == 404

    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    machine.notices = replace(machine.notices, interruption_at=at, rebalance_at=at)

    status, notice = machine.get("meta-data/spot/instance-action")
    assert (status, json.loads(notice)) == (200, {"action": "terminate", "time": "2026-11-21T12:00:00Z"})
    assert json.loads(machine.get("meta-data/events/recommendations/rebalance")[1]) == {
        "noticeTime": "2026-11-21T12:00:00Z"
    }


def test_botocore_gets_the_roles_credentials(machine: Machine, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.server.url)

    session = boto3.session.Session(region_name="eu-north-1")
    caller = session.client("sts", endpoint_url=stage.emulator.endpoint).get_caller_identity()

    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.method == "iam-role"
    assert caller["Arn"].endswith(f":assumed-role/agent/{machine.instance_id}")


def test_credentials_are_renewed_well_before_they_end(stage: Stage) -> None:
    now = datetime.now(UTC)
    clock = {"now": now}
    emulator = stage.emulator
    iam: Any = emulator.client("iam")
    role = RoleCredentials(iam, emulator.client("sts"), stage.profile_arn, "i-1234567890abcdef0", lambda: clock["now"])

    first = role.current()
    clock["now"] = now + timedelta(minutes=30)
    assert role.current() == first
    clock["now"] = now + timedelta(minutes=45)
    assert role.current().access_key_id != first.access_key_id
