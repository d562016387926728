"""What an instance is told, where it runs and how it ends."""

from __future__ import annotations

import json
from dataclasses import fields

from aws_cdk.assertions import Template

from instance.settings import AgentSettings
from tests.infra.template_reading import Resources, launch_data, of_type, only, resolved


def test_an_instance_ends_by_powering_off(resources: Resources) -> None:
    assert launch_data(resources)["InstanceInitiatedShutdownBehavior"] == "terminate"
    (disk,) = launch_data(resources)["BlockDeviceMappings"]
    assert disk["Ebs"]["DeleteOnTermination"] is True
    assert disk["Ebs"]["Encrypted"] is True


def test_metadata_needs_a_token_and_ends_at_the_instance(resources: Resources) -> None:
    options = launch_data(resources)["MetadataOptions"]

    assert options["HttpTokens"] == "required"
    assert options["HttpPutResponseHopLimit"] == 1


def test_the_image_comes_from_a_parameter_the_stack_does_not_own_never_from_the_template(
    template: Template, resources: Resources
) -> None:
    assert "ImageId" not in launch_data(resources)
    template.resource_count_is("AWS::SSM::Parameter", 0)


def test_instance_and_volume_carry_the_deployments_tag(resources: Resources) -> None:
    tag = {"Key": "avskrift:deployment", "Value": "avskrift"}
    tagged = {each["ResourceType"]: each["Tags"] for each in launch_data(resources)["TagSpecifications"]}

    assert tag in tagged["instance"]
    assert tag in tagged["volume"]


def test_user_data_is_json_with_ids_and_settings_and_no_secret(resources: Resources) -> None:
    text = resolved(launch_data(resources)["UserData"]["Fn::Base64"])
    told = json.loads(text)

    assert told["deployment"] == "avskrift"
    assert told["insecure_callbacks"] is False
    assert told["secret_id"].startswith("ref:")
    assert "SecretString" not in text and "resolve:secretsmanager" not in text
    assert set(told) == {setting.name for setting in fields(AgentSettings)}


def test_nothing_reaches_an_instance_and_it_reaches_only_https(resources: Resources) -> None:
    group = only(resources, "AWS::EC2::SecurityGroup")

    assert not group.get("SecurityGroupIngress")
    (way_out,) = group["SecurityGroupEgress"]
    assert (way_out["IpProtocol"], way_out["FromPort"], way_out["ToPort"]) == ("tcp", 443, 443)
    assert not of_type(resources, "AWS::EC2::SecurityGroupIngress")


def test_every_zone_has_a_public_subnet_and_nothing_costs_while_idle(template: Template, resources: Resources) -> None:
    subnets = of_type(resources, "AWS::EC2::Subnet").values()

    assert {each["AvailabilityZone"] for each in subnets} == {"eu-north-1a", "eu-north-1b", "eu-north-1c"}
    assert len({each["CidrBlock"] for each in subnets}) == 3
    assert all(each["MapPublicIpOnLaunch"] for each in subnets)
    assert {each["VpcEndpointType"] for each in of_type(resources, "AWS::EC2::VPCEndpoint").values()} == {"Gateway"}
    template.resource_count_is("AWS::EC2::NatGateway", 0)
