"""One emulator with the EC2 proxy before it, per test module."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from avskrift.local.ec2.server import Ec2Proxy
from avskrift.local.emulator import Emulator

AMI_ID = "ami-0123456789abcdef0"
AMI_PARAMETER = "/avskrift/test/ami"
USER_DATA = json.dumps({"deployment": "test", "region": "eu-north-1"})


@dataclass(frozen=True)
class Stage:
    """What the tests launch with."""

    proxy: Ec2Proxy
    emulator: Emulator
    ec2: Any
    subnet_ids: list[str]
    template_id: str
    profile_arn: str
    ami_id: str = AMI_ID
    user_data: str = USER_DATA

    def set_ami(self, value: str, data_type: str = "aws:ec2:image") -> None:
        self.emulator.client("ssm").put_parameter(
            Name=AMI_PARAMETER, Value=value, Type="String", DataType=data_type, Overwrite=True
        )

    def fleet_request(self, count: int = 1, market: str = "spot", **extra: Any) -> dict[str, Any]:
        overrides = [
            {"InstanceType": instance_type, "SubnetId": subnet_id}
            for instance_type in ("g5.xlarge", "g4dn.xlarge")
            for subnet_id in self.subnet_ids
        ]
        template = {"LaunchTemplateId": self.template_id, "Version": "$Latest"}
        return {
            "Type": "instant",
            "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": overrides}],
            "TargetCapacitySpecification": {"TotalTargetCapacity": count, "DefaultTargetCapacityType": market},
            "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": [{"Key": "avskrift:launch", "Value": "launch-1"}]}
                for kind in ("instance", "fleet")
            ],
            **extra,
        }


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    proxy = Ec2Proxy()
    with Emulator.on_free_port(tmp_path_factory.mktemp("cloud"), ec2_endpoint=proxy.url) as emulator:
        proxy.connect(emulator.endpoint)
        with proxy:
            yield _prepare(proxy, emulator)


def _prepare(proxy: Ec2Proxy, emulator: Emulator) -> Stage:
    ec2 = boto3.client(
        "ec2",
        endpoint_url=proxy.url,
        region_name="eu-north-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    vpc_id = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet_ids = [
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=f"eu-north-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for index, zone in enumerate("ab")
    ]
    profile_arn = _make_profile(emulator.client("iam"))
    template = ec2.create_launch_template(
        LaunchTemplateName="test",
        LaunchTemplateData={
            "ImageId": f"resolve:ssm:{AMI_PARAMETER}",
            "UserData": base64.b64encode(USER_DATA.encode()).decode(),
            "IamInstanceProfile": {"Arn": profile_arn},
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "avskrift:deployment", "Value": "test"}]}
            ],
        },
    )
    template_id = template["LaunchTemplate"]["LaunchTemplateId"]
    stage = Stage(proxy, emulator, ec2, subnet_ids, template_id, profile_arn)
    stage.set_ami(AMI_ID)
    return stage


def _make_profile(iam: Any) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
    iam.create_role(RoleName="agent", AssumeRolePolicyDocument=json.dumps(trust))
    profile = iam.create_instance_profile(InstanceProfileName="agent-profile")["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName="agent-profile", RoleName="agent")
    return str(profile["Arn"])
