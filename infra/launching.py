"""What capacity may do with EC2: launch its types in its subnets, tag what it launches, end what is its own.

That it launches from the deployment's template is in its code, not in its rights (docs/security.md).
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from avskrift.jobs.fleet import DEPLOYMENT_TAG, TEMPLATE_TAG
from infra.config import Config
from infra.fleet import Fleet
from infra.network import Network
from infra.permissions import allow

LAUNCH, FLEET = "ec2:RunInstances", "ec2:CreateFleet"
LAUNCH_ACTIONS = (FLEET, LAUNCH)
#: What capacity looks at: the fleet, and what a spot instance costs when it is launched.
DESCRIBE_ACTIONS = ("ec2:DescribeInstances", "ec2:DescribeSpotPriceHistory")
#: Kinds of resources that a launch makes or uses beside the instance and its template.
_MADE_KINDS = ("volume", "network-interface", "spot-instances-request")
_IMAGE_KINDS = ("image", "snapshot")
_EVERYTHING = "*"


def launch_statements(config: Config, fleet: Fleet, network: Network) -> list[iam.PolicyStatement]:
    """Statements for CreateFleet and what it does in the caller's name, Describe…, TerminateInstances."""
    stack = cdk.Stack.of(fleet)
    instances = _any(stack, "instance")
    carries_our_tag = {f"aws:RequestTag/{DEPLOYMENT_TAG}": config.name}
    is_ours = {"StringEquals": {**carries_our_tag, "ec2:InstanceType": list(config.instance_types)}}
    return [
        # Both actions are asked for, as CreateFleet launches in the caller's name; parted by what can carry a tag as in
        # https://karpenter.sh/docs/reference/cloudformation/ (read 2026-11), which launches the same way.
        allow(FLEET, [_any(stack, "fleet"), instances], {"StringEquals": carries_our_tag}),
        # Every launch names its type. Its template is in no condition: nothing says that CreateFleet, which launches in
        # the caller's name, tells RunInstances of it as ec2:LaunchTemplate; a launch would be refused if it did not.
        allow(LAUNCH, instances, is_ours),
        allow(LAUNCH_ACTIONS, _launch_parts(stack, fleet, network)),
        allow(
            "ec2:CreateTags",
            [_any(stack, "fleet"), instances, _any(stack, "volume")],
            {"StringEquals": {"ec2:CreateAction": ["CreateFleet", "RunInstances"], **carries_our_tag}},
        ),
        allow(DESCRIBE_ACTIONS, _EVERYTHING),
        *_terminate(config, fleet, instances),
        *fleet.volume_key_statements,
        allow(
            "iam:PassRole",
            fleet.agent_role.role_arn,
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        allow(
            "ssm:GetParameter",
            stack.format_arn(service="ssm", resource="parameter", resource_name=config.ami_parameter.lstrip("/")),
        ),
    ]


def launch_wildcards(fleet: Fleet) -> dict[str, str]:
    """The patterns in these statements, and why EC2 allows nothing narrower."""
    stack = cdk.Stack.of(fleet)
    reasons = {
        "fleet": "A fleet has no id before it is made; its tag is checked.",
        "instance": "An instance has no id before it is launched; launching and ending check its tag.",
        **dict.fromkeys(_MADE_KINDS, "EC2 makes it for an instance, and it has no id before."),
        **dict.fromkeys(_IMAGE_KINDS, "The AMI parameter moves to a new image with every build."),
    }
    return {
        **{_any(stack, kind): reason for kind, reason in reasons.items()},
        _EVERYTHING: "EC2's describe actions know no resources.",
    }


def _launch_parts(stack: cdk.Stack, fleet: Fleet, network: Network) -> list[str]:
    """All that a launch touches but the instance: of networks and templates only our own."""
    group = network.security_group.attr_group_id
    return [
        *(_any(stack, kind) for kind in (*_MADE_KINDS, *_IMAGE_KINDS)),
        *(stack.format_arn(service="ec2", resource="subnet", resource_name=subnet) for subnet in network.subnet_ids),
        stack.format_arn(service="ec2", resource="security-group", resource_name=group),
        fleet.launch_template_arn,
    ]


def _terminate(config: Config, fleet: Fleet, instances: str) -> list[iam.PolicyStatement]:
    """Two statements, because conditions in one must all hold and either mark of ours is enough."""
    marks = {DEPLOYMENT_TAG: config.name, TEMPLATE_TAG: fleet.launch_template.ref}
    return [
        allow("ec2:TerminateInstances", instances, {"StringEquals": {f"aws:ResourceTag/{tag}": value}})
        for tag, value in marks.items()
    ]


def _any(stack: cdk.Stack, kind: str) -> str:
    """ARN pattern of all of one kind; images and snapshots belong to no account in theirs."""
    account = "" if kind in _IMAGE_KINDS else None
    return stack.format_arn(service="ec2", account=account, resource=kind, resource_name="*")
