"""Which of a deployment's own images and snapshots nothing needs any more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
PARAMETERS = "/avskrift/"
"""Where deployments have their AMI parameters unless told otherwise."""
_PLAIN, _SECRET = ("String", "StringList"), "SecureString"
_AT_ONCE = 10
"""Parameters of one ``GetParameters`` request, at most."""
_IMAGE_ID = re.compile(r"ami-[0-9a-f]+")
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
    kept = _named_images(session, ami_parameter) | _launchable_images(ec2) | _running_images(ec2)
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
                snapshot_ids=tuple(one for one in ids if one in own_snapshots and not _is_lent(ec2, one)),
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
        if one["SnapshotId"] not in used and not _is_lent(ec2, one["SnapshotId"]):
            yield one["SnapshotId"], f"{one['VolumeSize']} GiB, of {one['StartTime']:%Y-%m-%d}, of no image"


def _named_images(session: boto3.Session, ami_parameter: str) -> set[str]:
    """Of any SSM parameter of the region: an image may be built for one deployment and promoted to another.

    Secret ones are read only where deployments have theirs: nothing else launches from one that it can't read, and
    what others keep secret is not ours to decrypt.
    """
    ssm = session.client("ssm")
    listed = [one for page in ssm.get_paginator("describe_parameters").paginate() for one in page["Parameters"]]
    plain = [one["Name"] for one in listed if one["Type"] in _PLAIN]
    ours = [
        one["Name"]
        for one in listed
        if one["Type"] == _SECRET and (one["Name"] == ami_parameter or one["Name"].startswith(PARAMETERS))
    ]
    named: set[str] = set()
    for names in (*_by_ten(plain), *_by_ten(ours)):
        found = ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"]
        named.update(image_id for one in found for image_id in _IMAGE_ID.findall(one["Value"]))
    return named


def _by_ten(names: list[str]) -> Iterable[list[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _launchable_images(ec2: EC2Client) -> set[str]:
    """Of any version of the account's launch templates, which auto scaling groups and others start instances from."""
    templates = ec2.get_paginator("describe_launch_templates").paginate()
    versions = ec2.get_paginator("describe_launch_template_versions")
    return {
        version["LaunchTemplateData"].get("ImageId", "")
        for templates_page in templates
        for template in templates_page["LaunchTemplates"]
        for page in versions.paginate(LaunchTemplateId=template["LaunchTemplateId"])
        for version in page["LaunchTemplateVersions"]
    }


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


def _is_lent(ec2: EC2Client, snapshot_id: str) -> bool:
    """Other accounts may make volumes of it."""
    permissions = ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
    return bool(permissions.get("CreateVolumePermissions"))
