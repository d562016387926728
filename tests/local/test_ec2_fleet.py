"""Launching through the EC2 proxy, as real boto3 sees it over a real socket."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from avskrift.local.ec2.faults import Fault

if TYPE_CHECKING:
    from conftest import Stage


@pytest.fixture(autouse=True)
def _nothing_left(stage: Stage) -> Iterator[None]:
    yield
    stage.proxy.faults.clear()
    for instance in stage.proxy.state.instances():
        stage.proxy.state.move(instance.instance_id, "terminated")


def launched_ids(answer: dict[str, Any]) -> list[str]:
    return [instance_id for group in answer["Instances"] for instance_id in group["InstanceIds"]]


def describe(stage: Stage, instance_id: str) -> dict[str, Any]:
    answer = stage.ec2.describe_instances(InstanceIds=[instance_id])
    return dict(answer["Reservations"][0]["Instances"][0])


def test_fleet_takes_the_cheapest_pool_and_resolves_the_launch_template(stage: Stage) -> None:
    answer = stage.ec2.create_fleet(**stage.fleet_request(count=2))

    assert answer["Errors"] == []
    (group,) = answer["Instances"]
    assert (group["InstanceType"], group["Lifecycle"], len(group["InstanceIds"])) == ("g4dn.xlarge", "spot", 2)
    instance = describe(stage, group["InstanceIds"][0])
    assert instance["ImageId"] == stage.ami_id
    assert instance["State"]["Name"] == "pending"
    assert instance["InstanceLifecycle"] == "spot"
    assert instance["IamInstanceProfile"]["Arn"] == stage.profile_arn
    assert instance["SubnetId"] in stage.subnet_ids
    assert instance["PrivateIpAddress"].startswith("10.7.")
    owned = stage.proxy.state.instance(instance["InstanceId"])
    assert base64.b64decode(owned.spec.user_data).decode() == stage.user_data


def test_instances_carry_the_tags_of_template_request_and_aws(stage: Stage) -> None:
    answer = stage.ec2.create_fleet(**stage.fleet_request())

    tags = {tag["Key"]: tag["Value"] for tag in describe(stage, launched_ids(answer)[0])["Tags"]}
    assert tags == {
        "avskrift:deployment": "test",
        "avskrift:launch": "launch-1",
        "aws:ec2launchtemplate:id": stage.template_id,
        "aws:ec2launchtemplate:version": "1",
        "aws:ec2:fleet-id": answer["FleetId"],
    }


def test_on_demand_instances_have_no_lifecycle(stage: Stage) -> None:
    answer = stage.ec2.create_fleet(**stage.fleet_request(market="on-demand"))

    assert answer["Instances"][0]["Lifecycle"] == "on-demand"
    assert "InstanceLifecycle" not in describe(stage, launched_ids(answer)[0])


def test_same_token_and_request_give_the_same_answer_once_launched(stage: Stage) -> None:
    request = stage.fleet_request(ClientToken=str(uuid.uuid4()))

    first, second = stage.ec2.create_fleet(**request), stage.ec2.create_fleet(**request)

    assert (first["FleetId"], launched_ids(first)) == (second["FleetId"], launched_ids(second))
    alive = [one for one in stage.proxy.state.instances() if one.state == "pending"]
    assert len(alive) == 1


def test_same_token_with_another_request_is_refused(stage: Stage) -> None:
    token = str(uuid.uuid4())
    stage.ec2.create_fleet(**stage.fleet_request(ClientToken=token))

    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        stage.ec2.create_fleet(**stage.fleet_request(count=2, ClientToken=token))


def test_lack_of_spot_capacity_is_a_successful_answer_with_errors(stage: Stage) -> None:
    stage.proxy.inject(Fault("InsufficientInstanceCapacity", market="spot"))

    answer = stage.ec2.create_fleet(**stage.fleet_request())

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Instances"] == []
    assert len(answer["Errors"]) == 4
    error = answer["Errors"][0]
    assert error["ErrorCode"] == "InsufficientInstanceCapacity"
    assert "g4dn.xlarge capacity in the Availability Zone you requested (eu-north-1a)" in error["ErrorMessage"]
    assert error["Lifecycle"] == "spot"
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"] == "g4dn.xlarge"
    assert launched_ids(stage.ec2.create_fleet(**stage.fleet_request()))


def test_fault_of_one_market_spares_the_other(stage: Stage) -> None:
    stage.proxy.inject(Fault("MaxSpotInstanceCountExceeded", market="spot", times=5))

    answer = stage.ec2.create_fleet(**stage.fleet_request(market="on-demand"))

    assert launched_ids(answer)
    assert stage.proxy.faults.pending()


def test_fault_of_one_type_leaves_errors_beside_instances(stage: Stage) -> None:
    stage.proxy.inject(Fault("InsufficientInstanceCapacity", instance_types=("g4dn.xlarge",)))

    answer = stage.ec2.create_fleet(**stage.fleet_request())

    assert {error["ErrorCode"] for error in answer["Errors"]} == {"InsufficientInstanceCapacity"}
    assert answer["Instances"][0]["InstanceType"] == "g5.xlarge"


def test_partial_fleet_launches_some_and_says_why_not_all(stage: Stage) -> None:
    stage.proxy.inject(Fault("UnfulfillableCapacity", fulfilled=1))

    answer = stage.ec2.create_fleet(**stage.fleet_request(count=3))

    assert len(launched_ids(answer)) == 1
    assert answer["Errors"]


@pytest.mark.parametrize(
    ("code", "status"), [("RequestLimitExceeded", 503), ("InternalError", 500), ("UnauthorizedOperation", 403)]
)
def test_injected_exceptions_arrive_as_such(stage: Stage, code: str, status: int) -> None:
    stage.proxy.inject(Fault(code, http_status=status))

    with pytest.raises(ClientError) as caught:
        stage.ec2.create_fleet(**stage.fleet_request())

    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_any_action_can_fail_on_order_the_forwarded_ones_too(stage: Stage) -> None:
    stage.proxy.inject(Fault("UnauthorizedOperation", action="DescribeVpcs", http_status=403))

    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        stage.ec2.describe_vpcs()

    assert stage.ec2.describe_vpcs()["Vpcs"]


def test_lost_answer_breaks_the_connection_after_the_launch(stage: Stage) -> None:
    before = len(stage.proxy.state.instances())
    stage.proxy.inject(Fault(answer_lost=True))
    request = stage.fleet_request(ClientToken="lost")

    with pytest.raises(ConnectionClosedError):
        stage.ec2.create_fleet(**request)

    assert len(stage.proxy.state.instances()) == before + 1
    assert launched_ids(stage.ec2.create_fleet(**request)) == [stage.proxy.state.instances()[-1].instance_id]


def test_late_answer_is_the_same_answer(stage: Stage) -> None:
    stage.proxy.inject(Fault(action="DescribeVpcs", delay_s=0.2))
    began = time.monotonic()
    assert stage.ec2.describe_vpcs()["Vpcs"]
    assert time.monotonic() - began >= 0.2


def test_fault_that_says_nothing_or_two_things_is_refused() -> None:
    with pytest.raises(ValueError, match="code"):
        Fault()
    with pytest.raises(ValueError, match="two faults"):
        Fault("InternalError", http_status=500, answer_lost=True)


def test_dry_run_launches_nothing(stage: Stage) -> None:
    before = len(stage.proxy.state.instances())

    with pytest.raises(ClientError, match="DryRunOperation"):
        stage.ec2.create_fleet(**stage.fleet_request(DryRun=True))

    assert len(stage.proxy.state.instances()) == before


def test_ami_parameter_that_holds_no_ami_fails_every_pool(stage: Stage) -> None:
    stage.set_ami("none")
    try:
        answer = stage.ec2.create_fleet(**stage.fleet_request())
    finally:
        stage.set_ami(stage.ami_id)

    assert answer["Instances"] == []
    assert {error["ErrorCode"] for error in answer["Errors"]} == {"InvalidAMIID.Malformed"}
    assert answer["Errors"][0]["ErrorMessage"] == 'Invalid id: "none" (expecting "ami-...")'


def test_ami_parameter_must_be_of_the_image_data_type(stage: Stage) -> None:
    stage.set_ami(stage.ami_id, data_type="text")
    try:
        with pytest.raises(ClientError, match=r"SsmInvalidParameter.*Unsupported data type"):
            stage.ec2.create_fleet(**stage.fleet_request())
    finally:
        stage.set_ami(stage.ami_id)


def test_absent_ami_parameter_is_refused(stage: Stage) -> None:
    with pytest.raises(ClientError, match="SsmInvalidParameter"):
        stage.ec2.run_instances(
            ImageId="resolve:ssm:/nowhere",
            InstanceType="g6.xlarge",
            MinCount=1,
            MaxCount=1,
            SubnetId=stage.subnet_ids[0],
        )


def test_unknown_launch_template_is_refused(stage: Stage) -> None:
    request = stage.fleet_request()
    request["LaunchTemplateConfigs"][0]["LaunchTemplateSpecification"]["LaunchTemplateId"] = "lt-0123456789abcdef0"

    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.NotFound"):
        stage.ec2.create_fleet(**request)


def test_unknown_subnet_fails_its_pools_only(stage: Stage) -> None:
    request = stage.fleet_request()
    overrides = request["LaunchTemplateConfigs"][0]["Overrides"]
    overrides.append({"InstanceType": "g4dn.xlarge", "SubnetId": "subnet-0123456789abcdef0"})

    answer = stage.ec2.create_fleet(**request)

    assert [error["ErrorCode"] for error in answer["Errors"]] == ["InvalidSubnetID.NotFound"]
    assert launched_ids(answer)


def test_what_is_not_implemented_is_refused_not_ignored(stage: Stage) -> None:
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        stage.ec2.create_fleet(**stage.fleet_request(Type="maintain"))
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*MaxTotalPrice"):
        stage.ec2.create_fleet(**stage.fleet_request(SpotOptions={"MaxTotalPrice": "1"}))


def test_run_instances_launches_from_the_template(stage: Stage) -> None:
    answer = stage.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": stage.template_id},
        InstanceType="g6.xlarge",
        SubnetId=stage.subnet_ids[1],
        MinCount=1,
        MaxCount=2,
        InstanceMarketOptions={"MarketType": "spot"},
    )

    assert [one["InstanceType"] for one in answer["Instances"]] == ["g6.xlarge", "g6.xlarge"]
    assert answer["Instances"][0]["Placement"]["AvailabilityZone"] == "eu-north-1b"
    assert answer["Instances"][0]["InstanceLifecycle"] == "spot"


def test_fleets_are_described_by_id(stage: Stage) -> None:
    fleet_id = stage.ec2.create_fleet(**stage.fleet_request())["FleetId"]

    (fleet,) = stage.ec2.describe_fleets(FleetIds=[fleet_id])["Fleets"]

    assert fleet["FulfilledCapacity"] == 1.0
    assert {"Key": "avskrift:launch", "Value": "launch-1"} in fleet["Tags"]
