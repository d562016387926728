"""Which of a deployment's own images and snapshots nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avskrift.jobs.fleet import LIVE_STATES
from infra.leftovers import images_of, snapshots_of

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import ImageTypeDef

KEEP_IMAGES = 3
"""The newest, to go back to."""
PARAMETERS = "/avskrift"
"""Where deployments have their AMI parameters unless told otherwise."""
ORPHAN_AGE_S = 86_400
"""A snapshot is older than its image: while one is built, no image has it."""


@dataclass(frozen=True)
class OldImage:
    """An image that can go, with its own snapshots."""

    ec2: EC2Client
    image_id: str
    name: str
    made: str
    snapshot_ids: tuple[str, ...]

    def remove(self) -> None:
        """The image first: a snapshot can't be deleted while an image has it."""
        self.ec2.deregister_image(ImageId=self.image_id)
        for snapshot_id in self.snapshot_ids:
            self.ec2.delete_snapshot(SnapshotId=snapshot_id)


def old_images(session: boto3.Session, deployment: str, ami_parameter: str) -> Iterator[OldImage]:
    """The deployment's images but for the newest, and for those that anybody may still start or run."""
    ec2 = session.client("ec2")
    candidates = images_of(ec2, deployment)[KEEP_IMAGES:]
    if not candidates:
        return
    kept = _named_images(session, ami_parameter) | _running_images(ec2)
    own_snapshots = {snapshot["SnapshotId"] for snapshot in snapshots_of(ec2, deployment)}
    for image in candidates:
        if image["ImageId"] not in kept and not _is_shared(ec2, image):
            mappings = image.get("BlockDeviceMappings", [])
            ids = [one.get("Ebs", {}).get("SnapshotId", "") for one in mappings]
            yield OldImage(
                ec2=ec2,
                image_id=image["ImageId"],
                name=image.get("Name", ""),
                made=image.get("CreationDate", "some time ago"),
                snapshot_ids=tuple(one for one in ids if one in own_snapshots),
            )


def orphaned_snapshots(session: boto3.Session, deployment: str, now: float) -> Iterator[tuple[str, str]]:
    """Snapshots with our tag that belong to no image of the account, and since when they lie there."""
    ec2 = session.client("ec2")
    candidates = [one for one in snapshots_of(ec2, deployment) if now - one["StartTime"].timestamp() > ORPHAN_AGE_S]
    if not candidates:
        return
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"])
    used = {
        mapping.get("Ebs", {}).get("SnapshotId", "")
        for page in pages
        for image in page["Images"]
        for mapping in image.get("BlockDeviceMappings", [])
    }
    for one in candidates:
        if one["SnapshotId"] not in used:
            yield one["SnapshotId"], f"{one['VolumeSize']} GiB, of {one['StartTime']:%Y-%m-%d}, of no image"


def _named_images(session: boto3.Session, ami_parameter: str) -> set[str]:
    """Of any deployment's AMI parameter: an image may be built for one and promoted to another."""
    ssm = session.client("ssm")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=PARAMETERS, Recursive=True)
    named = {parameter["Value"] for page in pages for parameter in page["Parameters"]}
    try:
        return named | {ssm.get_parameter(Name=ami_parameter)["Parameter"]["Value"]}
    except ssm.exceptions.ParameterNotFound:
        return named


def _running_images(ec2: EC2Client) -> set[str]:
    states = [{"Name": "instance-state-name", "Values": sorted(LIVE_STATES)}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=states)  # type: ignore[arg-type]
    return {
        instance["ImageId"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }


def _is_shared(ec2: EC2Client, image: ImageTypeDef) -> bool:
    """Other accounts may run it where we can't see."""
    if image.get("Public"):
        return True
    permissions = ec2.describe_image_attribute(ImageId=image["ImageId"], Attribute="launchPermission")
    return bool(permissions.get("LaunchPermissions"))
