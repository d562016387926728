"""What EC2 asks IAM: the parts of a launch, each by itself, and tags on what exists.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html (RunInstances, CreateFleet);
an instant fleet launches, tags and passes the role in its caller's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from avskrift.local.aws import ACCOUNT_ID, REGION
from avskrift.local.iam.model import Check

Parameters = Mapping[str, Any]
TemplateReader = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""The data of the launch template version that a ``LaunchTemplateSpecification`` names, with its ``template_id``."""


def ec2_checks(operation: str, parameters: Parameters, read_template: TemplateReader | None = None) -> list[Check]:
    """All that must be allowed. What a launch template adds is left out without ``read_template``."""
    read = read_template or (lambda reference: {})
    if operation == "CreateFleet":
        return list(_fleet(parameters, read))
    if operation == "RunInstances":
        return list(_run(parameters, parameters.get("TagSpecifications", []), read))
    if operation in ("CreateTags", "DeleteTags"):
        context = _request_tags(parameters.get("Tags", []))
        return [Check(f"ec2:{operation}", _kind_of(one), context) for one in parameters["Resources"]]
    if operation in ("TerminateInstances", "StopInstances", "StartInstances", "RebootInstances"):
        return [Check(f"ec2:{operation}", _arn("instance", one)) for one in parameters["InstanceIds"]]
    return [Check(f"ec2:{operation}", "*")]


def _fleet(parameters: Parameters, read: TemplateReader) -> Iterator[Check]:
    tags = parameters.get("TagSpecifications", [])
    yield Check("ec2:CreateFleet", _arn("fleet", "*"), _request_tags(_tags_for("fleet", tags)))
    yield from _created_tags("fleet", tags, "CreateFleet")
    spot = parameters["TargetCapacitySpecification"].get("DefaultTargetCapacityType") == "spot"
    market = {"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}
    for config in parameters["LaunchTemplateConfigs"]:
        reference = config.get("LaunchTemplateSpecification", {})
        for override in config.get("Overrides") or [{}]:
            yield from _run({"LaunchTemplate": reference, **market, **override}, tags, read)


def _run(parameters: Parameters, tags: list[Mapping[str, Any]], read: TemplateReader) -> Iterator[Check]:
    template = read(parameters["LaunchTemplate"]) if "LaunchTemplate" in parameters else {}
    wanted = {**template, **parameters}
    tags = [*template.get("TagSpecifications", []), *tags]
    asked = {"ec2:InstanceType": wanted["InstanceType"]} if "InstanceType" in wanted else {}
    yield Check("ec2:RunInstances", _arn("instance", "*"), {**asked, **_request_tags(_tags_for("instance", tags))})
    for resource in _parts(wanted):
        yield Check("ec2:RunInstances", resource)
    for kind in ("instance", "volume"):
        yield from _created_tags(kind, tags, "RunInstances")
    profile = wanted.get("IamInstanceProfile", {}).get("RoleArn")
    if profile:
        yield Check("iam:PassRole", profile, {"iam:PassedToService": "ec2.amazonaws.com"})


def _parts(wanted: Parameters) -> Iterator[str]:
    """ARNs of what a launch uses and makes beside the instance itself."""
    image = str(wanted.get("ImageId") or "*")
    yield f"arn:aws:ec2:{REGION}::image/{image if image.startswith('ami-') else '*'}"
    yield _arn("subnet", wanted.get("SubnetId") or "*")
    yield from (_arn("security-group", group) for group in wanted.get("SecurityGroupIds", []))
    yield _arn("network-interface", "*")
    yield _arn("volume", "*")
    if wanted.get("InstanceMarketOptions", {}).get("MarketType") == "spot":
        yield _arn("spot-instances-request", "*")
    if "LaunchTemplate" in wanted:
        yield _arn("launch-template", wanted.get("template_id") or wanted["LaunchTemplate"].get("LaunchTemplateId"))


def _created_tags(kind: str, tags: list[Mapping[str, Any]], creating: str) -> Iterator[Check]:
    mine = _tags_for(kind, tags)
    if mine:
        yield Check("ec2:CreateTags", _arn(kind, "*"), {"ec2:CreateAction": creating, **_request_tags(mine)})


def _tags_for(kind: str, specifications: list[Mapping[str, Any]]) -> list[Mapping[str, str]]:
    return [tag for one in specifications if one["ResourceType"] == kind for tag in one["Tags"]]


def _request_tags(tags: list[Mapping[str, str]]) -> dict[str, Any]:
    if not tags:
        return {}
    return {"aws:TagKeys": [tag["Key"] for tag in tags]} | {
        f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags
    }


def _kind_of(resource_id: str) -> str:
    kinds = {"i": "instance", "vol": "volume", "fleet": "fleet", "lt": "launch-template"}
    return _arn(kinds.get(resource_id.partition("-")[0], "*"), resource_id)


def _arn(kind: str, resource_id: object) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:{kind}/{resource_id}"
