"""The machine image: what the parameter names, whose it is, and whether the instance types can boot it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Subject
from avskrift.jobs.fleet import ROOT_DEVICE
from avskrift.jobs.observation import NO_IMAGE

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

_UNKNOWN = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"})
_NAME = "image"


def image(subject: Subject) -> Iterator[Check]:
    """The image of the deployment's AMI parameter."""
    image_id = _named(subject)
    if image_id is None and subject.awaits_deploy:
        yield yellow(
            _NAME,
            f"The parameter {subject.settings.ami_parameter} is not there yet.",
            f"{subject.settings.deploy()} makes it",
        )
    elif image_id in (None, NO_IMAGE):
        told = f"The parameter {subject.settings.ami_parameter} names no image: jobs end as no_capacity."
        yield (yellow if subject.awaits_deploy else red)(_NAME, told, _name_another(subject))
    else:
        yield from _examine(subject, str(image_id))


def _named(subject: Subject) -> str | None:
    parameters = subject.session.client("ssm")
    try:
        return parameters.get_parameter(Name=subject.settings.ami_parameter)["Parameter"]["Value"]
    except parameters.exceptions.ParameterNotFound:
        return None


def _examine(subject: Subject, image_id: str) -> Iterator[Check]:
    try:
        found = subject.session.client("ec2").describe_images(ImageIds=[image_id])["Images"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _UNKNOWN:
            raise
        found = []
    if not found:
        told = f"{subject.settings.ami_parameter} names {image_id}, which does not exist in {subject.settings.region}."
        yield red(_NAME, told, _name_another(subject))
        return
    faults = list(_faults(subject, found[0]))
    yield from faults
    if not faults:
        yield green(_NAME, f"{image_id}, {found[0]['Architecture']}, made {found[0].get('CreationDate', 'some time')}.")


def _faults(subject: Subject, found: ImageTypeDef) -> Iterator[Check]:
    image_id = found["ImageId"]
    if found["OwnerId"] != subject.account:
        told = f"{image_id} belongs to account {found['OwnerId']}, who may change or withdraw it."
        copy = f"ec2 copy-image --source-region {subject.settings.region} --source-image-id {image_id} --name avskrift"
        yield red(_NAME, told, subject.aws(copy))
    if found["State"] != "available":
        yield red(_NAME, f"{image_id} is {found['State']}: nothing boots from it.", _name_another(subject))
    yield from _architecture(subject, found)
    yield from _volume(subject, found)


def _architecture(subject: Subject, found: ImageTypeDef) -> Iterator[Check]:
    image_id, architecture = found["ImageId"], found["Architecture"]
    runs = _architectures(subject)
    fit = [kind for kind, architectures in runs.items() if architecture in architectures]
    unfit = [kind for kind in runs if kind not in fit]
    if unfit and not fit:
        told = f"{image_id} is for {architecture}, which none of {', '.join(unfit)} runs: none can be launched."
        yield red(_NAME, told, _name_another(subject))
    elif unfit:
        told = f"{image_id} is for {architecture}, which {', '.join(unfit)} can't run."
        yield yellow(_NAME, told, subject.settings.deploy(f"instance_types={','.join(fit)}"))


def _architectures(subject: Subject) -> Mapping[str, list[str]]:
    pages = subject.session.client("ec2").get_paginator("describe_instance_types")
    wanted = list(subject.settings.instance_types)
    found = pages.paginate(Filters=[{"Name": "instance-type", "Values": wanted}])
    return {
        one["InstanceType"]: [str(name) for name in one["ProcessorInfo"]["SupportedArchitectures"]]
        for page in found
        for one in page["InstanceTypes"]
    }


def _volume(subject: Subject, found: ImageTypeDef) -> Iterator[Check]:
    """EC2 refuses a volume smaller than its snapshot."""
    root = found.get("RootDeviceName", ROOT_DEVICE)
    if root != ROOT_DEVICE:
        told = f"{found['ImageId']} boots from {root}, the launch template sizes and encrypts {ROOT_DEVICE}."
        yield red(_NAME, told, _name_another(subject))
    mappings = found.get("BlockDeviceMappings", [])
    size = max(
        (one.get("Ebs", {}).get("VolumeSize", 0) for one in mappings if one.get("DeviceName") == root), default=0
    )
    if 0 < subject.settings.root_volume_gib < size:
        told = f"{found['ImageId']} needs {size} GiB, the root volume has {subject.settings.root_volume_gib}."
        yield red(_NAME, told, subject.settings.deploy(f"root_volume_gib={size}"))


def _name_another(subject: Subject) -> str:
    return subject.aws(f"ssm put-parameter --name {subject.settings.ami_parameter} --overwrite --value ami-…")
