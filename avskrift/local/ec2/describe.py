"""Instances, fleets, tags and prices as EC2 shows them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from avskrift.local.ec2 import catalog
from avskrift.local.ec2.errors import Ec2Error
from avskrift.local.ec2.protocol import Request
from avskrift.local.ec2.state import STATE_CODES, Fleet, Instance, StateName

_INSTANCE_FILTERS: dict[str, Callable[[Instance], str]] = {
    "instance-id": lambda one: one.instance_id,
    "instance-state-name": lambda one: one.state,
    "instance-type": lambda one: one.spec.instance_type,
    "instance-lifecycle": lambda one: one.market if one.market == "spot" else "",
    "availability-zone": lambda one: one.spec.zone,
    "subnet-id": lambda one: one.spec.subnet_id,
    "vpc-id": lambda one: one.spec.vpc_id,
    "image-id": lambda one: one.spec.image_id,
    "client-token": lambda one: one.client_token,
}
INSTANCE_FILTERS = frozenset({*_INSTANCE_FILTERS, "tag-key"})


def state_of(name: StateName) -> Request:
    return {"Code": STATE_CODES[name], "Name": name}


def tag_list(tags: Mapping[str, str]) -> list[Request]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def instance(one: Instance, account_id: str) -> Request:
    """One ``Instance`` of ``DescribeInstances``."""
    spec = one.spec
    shown: Request = {
        "InstanceId": one.instance_id,
        "ImageId": spec.image_id,
        "InstanceType": spec.instance_type,
        "State": state_of(one.state),
        "LaunchTime": one.launched_at,
        "Placement": {"AvailabilityZone": spec.zone, "Tenancy": "default"},
        "SubnetId": spec.subnet_id,
        "VpcId": spec.vpc_id,
        "PrivateIpAddress": one.private_ip,
        "Architecture": catalog.ARCHITECTURE,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceType": "ebs",
        "AmiLaunchIndex": 0,
        "ClientToken": one.client_token,
        "SecurityGroups": [{"GroupId": group} for group in spec.security_group_ids],
        "MetadataOptions": {"State": "applied", **spec.metadata_options},
        "Tags": tag_list(one.tags),
    }
    if one.market == "spot":
        shown["InstanceLifecycle"] = "spot"
        shown["SpotInstanceRequestId"] = "sir-" + one.instance_id[-8:]
    if spec.profile_arn:
        arn = spec.profile_arn
        shown["IamInstanceProfile"] = {
            "Arn": arn if arn.startswith("arn:") else f"arn:aws:iam::{account_id}:instance-profile/{arn}"
        }
    if one.reason is not None and one.changed_at is not None:
        said = one.reason.message.rpartition(": ")[2].removesuffix(" shutdown")
        shown["StateReason"] = {"Code": one.reason.code, "Message": one.reason.message}
        shown["StateTransitionReason"] = f"{said} ({one.changed_at:%Y-%m-%d %H:%M:%S} GMT)"
    return shown


def reservations(found: Iterable[Instance], account_id: str) -> list[Request]:
    """Instances grouped by the reservation that launched them."""
    ordered = sorted(found, key=lambda one: (one.launched_at, one.reservation_id))
    return [
        {
            "ReservationId": reservation_id,
            "OwnerId": account_id,
            "Instances": [instance(one, account_id) for one in group],
        }
        for reservation_id, group in groupby(ordered, key=lambda one: one.reservation_id)
    ]


def fleet(one: Fleet) -> Request:
    """One ``FleetData`` of ``DescribeFleets``."""
    target = one.request["TargetCapacitySpecification"]
    launched = list(one.answer["Instances"])
    return {
        "FleetId": one.fleet_id,
        "FleetState": "active",
        "Type": "instant",
        "ClientToken": one.request.get("ClientToken", ""),
        "CreateTime": one.created_at,
        "FulfilledCapacity": float(sum(len(group["InstanceIds"]) for group in launched)),
        "TargetCapacitySpecification": dict(target),
        "Errors": one.answer["Errors"],
        "Instances": launched,
        "Tags": tag_list(one.tags),
    }


def check_filters(filters: Iterable[Mapping[str, Any]], known: Collection[str]) -> None:
    """Refuse unknown filter names as AWS does: whether or not there is anything to filter."""
    for entry in filters:
        name = entry["Name"]
        if name not in known and not name.startswith("tag:"):
            raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def matches(one: Instance, filters: Iterable[Mapping[str, Any]]) -> bool:
    """All filters (checked before), each with any of its values (``*`` and ``?`` as wildcards)."""
    return all(_matches_filter(one, entry["Name"], entry.get("Values", [])) for entry in filters)


def _matches_filter(one: Instance, name: str, wanted: list[str]) -> bool:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return key in one.tags and like(one.tags[key], wanted)
    if name == "tag-key":
        return any(like(key, wanted) for key in one.tags)
    return like(_INSTANCE_FILTERS[name](one), wanted)


def like(value: str, wanted: Iterable[str]) -> bool:
    """Whether a filter with these values (``*`` and ``?`` as wildcards) lets ``value`` through."""
    return any(fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in wanted)


def offerings(request: Request, region: str) -> list[Request]:
    """``InstanceTypeOfferings``: every type of the catalog in every zone."""
    location_type = request.get("LocationType", "region")
    locations = catalog.zones(region) if location_type == "availability-zone" else [region]
    filters = {entry["Name"]: entry.get("Values", []) for entry in request.get("Filters", [])}
    return [
        {"InstanceType": name, "LocationType": location_type, "Location": location}
        for name in catalog.INSTANCE_TYPES
        for location in locations
        if like(name, filters.get("instance-type", ["*"])) and like(location, filters.get("location", ["*"]))
    ]


def instance_types(request: Request) -> list[Request]:
    """``InstanceTypeInfo`` of the catalog's types; a name that is none is AWS' error."""
    named = request.get("InstanceTypes", [])
    if unknown := [name for name in named if name not in catalog.INSTANCE_TYPES]:
        message = f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        raise Ec2Error("InvalidInstanceType", message)
    filters = request.get("Filters", [])
    check_filters(filters, {"instance-type"})
    wanted = [value for entry in filters for value in entry.get("Values", [])] or ["*"]
    return [
        {
            "InstanceType": kind.name,
            "VCpuInfo": {"DefaultVCpus": kind.vcpus},
            "MemoryInfo": {"SizeInMiB": kind.memory_mib},
            "ProcessorInfo": {"SupportedArchitectures": [catalog.ARCHITECTURE]},
            "GpuInfo": {"Gpus": [{"Manufacturer": "NVIDIA", "Count": 1}]},
            "SupportedUsageClasses": ["on-demand", "spot"],
        }
        for kind in catalog.INSTANCE_TYPES.values()
        if like(kind.name, wanted) and (not named or kind.name in named)
    ]


def own_image(account_id: str) -> Request:
    """The local cloud's image as ``DescribeImages`` shows it."""
    return {
        "ImageId": catalog.IMAGE_ID,
        "Name": "avskrift-local",
        "OwnerId": account_id,
        "State": "available",
        "Architecture": catalog.ARCHITECTURE,
        "Public": False,
        "RootDeviceType": "ebs",
        "RootDeviceName": "/dev/sda1",
        "CreationDate": "2026-11-01T00:00:00.000Z",
    }


def spot_prices(request: Request, region: str) -> list[Request]:
    """``SpotPriceHistory`` with one price per type and zone: the present one."""
    filters = {entry["Name"]: entry.get("Values", []) for entry in request.get("Filters", [])}
    names = request.get("InstanceTypes") or filters.get("instance-type") or list(catalog.INSTANCE_TYPES)
    products = request.get("ProductDescriptions") or filters.get("product-description") or ["Linux/UNIX"]
    wanted_zones = [request["AvailabilityZone"]] if "AvailabilityZone" in request else catalog.zones(region)
    now = datetime.now(UTC)
    return [
        {
            "InstanceType": name,
            "AvailabilityZone": zone,
            "ProductDescription": "Linux/UNIX",
            "SpotPrice": f"{catalog.price_usd(name, zone, 'spot'):.6f}",
            "Timestamp": now,
        }
        for name in names
        if name in catalog.INSTANCE_TYPES and any("Linux/UNIX" in product for product in products)
        for zone in wanted_zones
    ]
