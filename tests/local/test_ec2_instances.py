"""Describing, tagging and ending instances through the EC2 proxy, and what it leaves to the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from avskrift.local.ec2.state import INSTANCE_SHUTDOWN

if TYPE_CHECKING:
    from conftest import Stage


@pytest.fixture
def instance_id(stage: Stage) -> str:
    return str(stage.ec2.create_fleet(**stage.fleet_request())["Instances"][0]["InstanceIds"][0])


def found(stage: Stage, *filters: tuple[str, str]) -> set[str]:
    wanted = [{"Name": name, "Values": [value]} for name, value in filters]
    answer = stage.ec2.describe_instances(Filters=wanted)
    return {one["InstanceId"] for group in answer["Reservations"] for one in group["Instances"]}


def test_filters_find_instances_by_tag_state_and_lifecycle(stage: Stage, instance_id: str) -> None:
    by_template = ("tag:aws:ec2launchtemplate:id", stage.template_id)

    assert instance_id in found(stage, by_template, ("instance-state-name", "pending"))
    assert instance_id in found(stage, ("tag:avskrift:deployment", "te*"), ("instance-lifecycle", "spot"))
    assert instance_id in found(stage, ("tag-key", "avskrift:launch"), ("instance-id", instance_id))
    assert instance_id not in found(stage, by_template, ("instance-state-name", "running"))
    assert instance_id not in found(stage, ("tag:avskrift:deployment", "other"))


@pytest.mark.parametrize("others", [(), (("instance-id", "i-none"),)], ids=["alone", "behind one that matches nothing"])
def test_unknown_filter_is_an_error_even_if_nothing_is_there_to_filter(
    stage: Stage, others: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*The filter 'colour' is invalid"):
        found(stage, *others, ("colour", "red"))
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*The filter 'colour' is invalid"):
        names = {**dict(others), "colour": "red"}
        stage.ec2.describe_instance_status(Filters=[{"Name": name, "Values": [value]} for name, value in names.items()])
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*The filter 'colour' is invalid"):
        stage.ec2.describe_tags(Filters=[{"Name": "colour", "Values": ["red"]}])


def test_unknown_instance_is_an_error(stage: Stage) -> None:
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        stage.ec2.describe_instances(InstanceIds=["i-0123456789abcdef0"])
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.Malformed"):
        stage.ec2.terminate_instances(InstanceIds=["banana"])


def test_terminating_takes_an_instance_from_pending_to_shutting_down(stage: Stage, instance_id: str) -> None:
    (change,) = stage.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("pending", "shutting-down")

    stage.proxy.state.move(instance_id, "terminated")

    (again,) = stage.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert (again["PreviousState"]["Name"], again["CurrentState"]["Name"]) == ("terminated", "terminated")


def test_states_never_lead_back_and_keep_their_first_reason(stage: Stage, instance_id: str) -> None:
    state = stage.proxy.state
    state.move(instance_id, "running")
    state.move(instance_id, "terminated", INSTANCE_SHUTDOWN)
    state.move(instance_id, "running")

    (reservation,) = stage.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    (instance,) = reservation["Instances"]
    assert instance["State"]["Name"] == "terminated"
    assert instance["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert instance["StateTransitionReason"].startswith("Instance initiated (")


def test_dry_run_of_terminate_ends_nothing(stage: Stage, instance_id: str) -> None:
    with pytest.raises(ClientError, match="DryRunOperation"):
        stage.ec2.terminate_instances(InstanceIds=[instance_id], DryRun=True)

    assert stage.proxy.state.instance(instance_id).state == "pending"


def test_tags_of_owned_and_of_forwarded_resources_live_side_by_side(stage: Stage, instance_id: str) -> None:
    subnet_id = stage.subnet_ids[0]
    stage.ec2.create_tags(Resources=[instance_id, subnet_id], Tags=[{"Key": "note", "Value": "seen <1> & marked"}])

    both = [{"Name": "resource-id", "Values": [instance_id, subnet_id]}, {"Name": "key", "Values": ["note"]}]
    rows = stage.ec2.describe_tags(Filters=both)["Tags"]

    assert {(row["ResourceId"], row["Value"]) for row in rows} == {
        (instance_id, "seen <1> & marked"),
        (subnet_id, "seen <1> & marked"),
    }
    stage.ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "note"}])
    assert "note" not in stage.proxy.state.instance(instance_id).tags


def test_reserved_tags_are_refused(stage: Stage, instance_id: str) -> None:
    with pytest.raises(ClientError, match="reserved for internal use"):
        stage.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "aws:mine", "Value": "1"}])


def test_offerings_and_spot_prices_are_those_of_the_region(stage: Stage) -> None:
    offers = stage.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["g6.xlarge"]}]
    )["InstanceTypeOfferings"]
    assert {offer["Location"] for offer in offers} == {"eu-north-1a", "eu-north-1b", "eu-north-1c"}

    history = stage.ec2.describe_spot_price_history(
        InstanceTypes=["g4dn.xlarge"], ProductDescriptions=["Linux/UNIX"], AvailabilityZone="eu-north-1b"
    )["SpotPriceHistory"]
    assert [float(entry["SpotPrice"]) for entry in history] == [0.19]


def test_the_accounts_image_is_its_own_and_fits_its_types(stage: Stage) -> None:
    """The emulator gives this id to an image of Ubuntu's."""
    (image,) = stage.ec2.describe_images(ImageIds=[stage.ami_id])["Images"]
    kinds = stage.ec2.describe_instance_types(InstanceTypes=["g4dn.xlarge", "g5.xlarge"])["InstanceTypes"]

    assert (image["OwnerId"], image["State"]) == ("123456789012", "available")
    assert {kind["InstanceType"] for kind in kinds} == {"g4dn.xlarge", "g5.xlarge"}
    assert {kind["VCpuInfo"]["DefaultVCpus"] for kind in kinds} == {4}
    assert all(image["Architecture"] in kind["ProcessorInfo"]["SupportedArchitectures"] for kind in kinds)


def test_types_are_found_by_filter_and_unknown_ones_are_refused(stage: Stage) -> None:
    wanted = [{"Name": "instance-type", "Values": ["g6.*", "p5.48xlarge"]}]
    found = stage.ec2.describe_instance_types(Filters=wanted)["InstanceTypes"]

    assert [kind["InstanceType"] for kind in found] == ["g6.xlarge"]
    with pytest.raises(ClientError, match=r"InvalidInstanceType.*\[p5.48xlarge\]"):
        stage.ec2.describe_instance_types(InstanceTypes=["g6.xlarge", "p5.48xlarge"])


def test_instance_status_lists_the_running(stage: Stage, instance_id: str) -> None:
    def statuses(**extra: Any) -> list[dict[str, Any]]:
        return list(stage.ec2.describe_instance_status(InstanceIds=[instance_id], **extra)["InstanceStatuses"])

    assert statuses() == []
    stage.proxy.state.move(instance_id, "running")
    assert statuses()[0]["InstanceStatus"]["Status"] == "ok"


def test_everything_else_is_the_emulators(stage: Stage) -> None:
    zones = stage.ec2.describe_availability_zones()["AvailabilityZones"]
    group = stage.ec2.create_security_group(GroupName="agents", Description="none in")

    assert {zone["ZoneName"] for zone in zones} >= {"eu-north-1a", "eu-north-1b"}
    direct = stage.emulator.client("ec2").describe_security_groups(GroupIds=[group["GroupId"]])
    assert direct["SecurityGroups"][0]["GroupName"] == "agents"
    with pytest.raises(ClientError, match="InvalidVpcID"):
        stage.ec2.describe_vpcs(VpcIds=["vpc-0123456789abcdef0"])
