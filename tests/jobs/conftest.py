"""A deployment's λ capacity on moto's EC2, and its λ reconcile."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.jobs.capacity import Capacity, CapacitySettings
from avskrift.jobs.fleet import Fleet, LaunchSettings
from avskrift.jobs.reconcile import Reconciler
from tests.jobs.capacity_world import IMAGE_PARAMETER, LIMITS, FaultyEC2
from tests.jobs.policy_world import IMAGE


@pytest.fixture
def ec2(deployment: Any) -> FaultyEC2:
    return FaultyEC2(deployment.client("ec2"))


@pytest.fixture
def capacity(deployment: Any, ec2: FaultyEC2) -> Capacity:
    ssm = deployment.client("ssm")
    ssm.put_parameter(Name=IMAGE_PARAMETER, Value=IMAGE, Type="String")
    data = {"ImageId": IMAGE}  # moto launches from the template's image only
    template = ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData=data)["LaunchTemplate"]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    zones = {subnet: "eu-north-1a"}
    settings = LaunchSettings("test", template["LaunchTemplateId"], ("g4dn.xlarge",), (subnet,), zones)
    return Capacity(
        table=deployment.table,
        fleet=Fleet(ec2, deployment.table, settings),
        sqs=deployment.sqs,
        ssm=ssm,
        settings=CapacitySettings(deployment.jobs_queue_url, deployment.outbox_queue_url, IMAGE_PARAMETER, LIMITS),
    )


@pytest.fixture
def reconciler(deployment: Any) -> Reconciler:
    return Reconciler(registrar=deployment.registrar(), dynamodb=deployment.dynamodb, bucket=deployment.bucket)
