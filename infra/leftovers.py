"""What a deployment may leave behind in EC2, found by its own marks: our tag, or its launch template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from avskrift.jobs.fleet import DEPLOYMENT_TAG, LIVE_STATES, TEMPLATE_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, ImageTypeDef, InstanceTypeDef, SnapshotTypeDef


def live_instances(ec2: EC2Client, deployment: str, template_id: str = "") -> list[InstanceTypeDef]:
    """Instances of the deployment that cost something: those with our tag, and those that lost it."""
    marks = [(DEPLOYMENT_TAG, deployment), *([(TEMPLATE_TAG, template_id)] if template_id else [])]
    found = {one["InstanceId"]: one for name, value in marks for one in _instances(ec2, name, value)}
    return [one for one in found.values() if one["State"]["Name"] in LIVE_STATES]


def _instances(ec2: EC2Client, tag: str, value: str) -> Iterator[InstanceTypeDef]:
    pages = ec2.get_paginator("describe_instances").paginate(Filters=_marked(tag, value))
    return (one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"])


def images_of(ec2: EC2Client, deployment: str) -> list[ImageTypeDef]:
    """The account's own images with our tag, newest first."""
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=_marked(DEPLOYMENT_TAG, deployment))
    found = [image for page in pages for image in page["Images"]]
    return sorted(found, key=lambda image: image.get("CreationDate", ""), reverse=True)


def snapshots_of(ec2: EC2Client, deployment: str) -> list[SnapshotTypeDef]:
    """The account's own snapshots with our tag."""
    pages = ec2.get_paginator("describe_snapshots").paginate(
        OwnerIds=["self"], Filters=_marked(DEPLOYMENT_TAG, deployment)
    )
    return [snapshot for page in pages for snapshot in page["Snapshots"]]


def _marked(tag: str, value: str) -> list[FilterTypeDef]:
    return [{"Name": f"tag:{tag}", "Values": [value]}]
