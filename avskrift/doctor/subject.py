"""Whom the doctor looks at: an account, the settings of a deployment, and its stack once there is one."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from avskrift.errors import ConfigurationError

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_ec2.type_defs import ResponseLaunchTemplateDataTypeDef

USUAL = {"name": "avskrift", "region": "eu-north-1"}
"""What ``scripts/deploy`` takes where neither ``cdk.json`` nor ``-c`` says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a deployment is told, as far as a check asks; the names are those of ``infra.config.Config``."""

    name: str
    region: str
    ami_parameter: str
    account: str = ""
    local: bool = False
    bucket_name: str = ""
    availability_zones: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()
    root_volume_gib: int = 0
    """0: not known."""
    device: str = "auto"
    max_instances: int = 1
    callback_url: str = ""
    allowed_callback_hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: object) -> Settings:
        """The same settings, from an object that has them all (and others)."""
        return cls(**{one.name: getattr(config, one.name) for one in fields(cls)})

    def script(self, name: str, *changes: str) -> str:
        """The command line of a script for this deployment, with changed settings as ``name=value``."""
        where = [f"{key}={getattr(self, key)}" for key, usual in USUAL.items() if getattr(self, key) != usual]
        changed = {change.partition("=")[0] for change in changes}
        settings = [*(one for one in where if one.partition("=")[0] not in changed), *changes]
        return " ".join([f"scripts/{name}", *(f"-c {one}" for one in settings)])

    def deploy(self, *changes: str) -> str:
        return self.script("deploy", *changes)

    def repair(self) -> str:
        """What brings back a resource that somebody removed or changed: an ordinary update sees no difference."""
        return f"{self.deploy()} --repair"


@dataclass(frozen=True)
class Subject:
    """One deployment, before (``outputs`` empty) or after it is deployed."""

    session: Session
    account: str
    settings: Settings
    outputs: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    """CloudFormation's word for the stack's state; empty: there is no stack."""
    is_plan: bool = False
    """``settings`` are about to be deployed."""

    @property
    def awaits_deploy(self) -> bool:
        """Whether what ``scripts/deploy`` makes may still be missing."""
        return self.is_plan or not self.outputs

    def output(self, name: str) -> str:
        """An output of the stack; a stack that has it not is older than this command."""
        if name not in self.outputs:
            raise ConfigurationError(f'The stack has no output "{name}": it is of an older version.')
        return self.outputs[name]

    def aws(self, command: str) -> str:
        """An AWS command line for this region."""
        return f"aws {command} --region {self.settings.region}"


def deployed_settings(session: Session, fallback: Settings, outputs: Mapping[str, str]) -> Settings:
    """What the deployed functions were told: it may differ from what the checkout says now.

    Raises ``ClientError`` and ``KeyError`` where the functions can't be asked or are none of ours.
    """
    functions = session.client("lambda")
    told = {
        part: functions.get_function_configuration(FunctionName=outputs[part])["Environment"]["Variables"]
        for part in ("CapacityFunction", "RegisterFunction")
    }
    capacity, register = told["CapacityFunction"], told["RegisterFunction"]
    launched = _launch_data(session, outputs["LaunchTemplateId"])
    return replace(
        fallback,
        ami_parameter=capacity["AVSKRIFT_AMI_PARAMETER"],
        local=bool(capacity.get("AVSKRIFT_INSECURE_CALLBACKS")),
        availability_zones=_names(capacity["AVSKRIFT_SUBNET_ZONES"]),
        instance_types=_names(capacity["AVSKRIFT_INSTANCE_TYPES"]),
        root_volume_gib=_root_volume_gib(launched),
        device=_device(launched, fallback.device),
        max_instances=int(capacity["AVSKRIFT_MAX_INSTANCES"]),
        callback_url=register["AVSKRIFT_CALLBACK_URL"],
        allowed_callback_hosts=_names(register["AVSKRIFT_ALLOWED_CALLBACK_HOSTS"]),
        bucket_name="",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _launch_data(session: Session, template_id: str) -> ResponseLaunchTemplateDataTypeDef:
    found = session.client("ec2").describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Latest"])
    return found["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def _device(launched: ResponseLaunchTemplateDataTypeDef, fallback: str) -> str:
    """What agents are told in their user data; ``fallback`` where somebody edited that into nonsense."""
    try:
        told = json.loads(base64.b64decode(launched.get("UserData", "")))
    except ValueError:
        return fallback
    return str(told.get("device", fallback)) if isinstance(told, dict) else fallback


def _root_volume_gib(launched: ResponseLaunchTemplateDataTypeDef) -> int:
    devices = launched.get("BlockDeviceMappings", [])
    return max((device.get("Ebs", {}).get("VolumeSize", 0) for device in devices), default=0)
