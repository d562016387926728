"""EC2: launching instances with CreateFleet so that a repeated request never launches twice, finding and ending them.

Before each call a launch record holds the exact request; its id is the ClientToken. Closing the record and remembering
its answer is one transaction, so that a crash anywhere between leaves an open record, which the next pass repeats as it
stands: the same token brings the same fleet. Every new try has a new id. Success is counted from ``Instances``: a lack
of capacity is HTTP 200 with ``Errors``.

The image is named in the request, not in the launch template: EC2 accepts ``resolve:ssm:`` there only for parameters of
data type ``aws:ec2:image``, which can't say "none yet" (aws/aws-cdk#26712), and the record of a launch should name it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.jobs.fleet_model import ON_DEMAND, SPOT, Instance, Launch, LaunchAnswer
from avskrift.jobs.table import JobTable

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

DEPLOYMENT_TAG = "avskrift:deployment"
LAUNCH_TAG = "avskrift:launch"
TEMPLATE_TAG = "aws:ec2launchtemplate:id"
"""Set by EC2 itself: nobody can take it away."""
ROOT_DEVICE = "/dev/sda1"
"""Root device of the Ubuntu image that the AMI is built from: what the launch template sizes and encrypts."""
OPEN_KEY = "launch#open"
"""Index partition of launch records that have no answer yet."""
LIVE_STATES = frozenset({"pending", "running", "stopping", "stopped"})
"""Somebody who stops an instance by hand leaves a volume that costs: it stays the reaper's."""
RECORD_TTL_S = 30 * 86_400
REPEAT_FOR_S = 600
"""How long a request without an answer is repeated."""
_THROTTLING = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"})


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """Where and what to launch."""

    deployment: str
    launch_template_id: str
    instance_types: tuple[str, ...]
    subnet_ids: tuple[str, ...]
    zones: Mapping[str, str] = field(default_factory=dict)
    """subnet_id → its availability zone, for the audit."""


@dataclass(frozen=True, slots=True)
class Described:
    """The instances of a deployment as EC2 describes them now."""

    live: tuple[Instance, ...]
    ended: frozenset[str]


@dataclass(frozen=True)
class Fleet:
    """The instances of one deployment."""

    ec2: EC2Client
    table: JobTable
    settings: LaunchSettings

    def record(self, wanted: Launch, now: float) -> dict[str, Any]:
        """Write down a request before it is made."""
        launch_id = uuid.uuid4().hex
        record = {
            "pk": f"launch#{launch_id}",
            "launch_id": launch_id,
            "market": wanted.market,
            "wanted": wanted.count,
            "request": fleet_request(self.settings, launch_id, wanted),
            "created_at": now,
            "expires_at": int(now) + RECORD_TTL_S,
            "status_key": OPEN_KEY,
            "status_at": now,
        }
        self.table.put_values(record)
        return record

    def unanswered(self, now: float) -> list[dict[str, Any]]:
        """Records whose answer never arrived: a crash between call and record, or an EC2 that did not answer.

        Old ones are closed: what they may have launched carries our tag and is counted as any other instance. One that
        was edited into nonsense is taken out of sight, lest it stop every pass.
        """
        found = (self.table.get_values(values["pk"]) for values in self.table.indexed(OPEN_KEY))
        open_records = [record for record in found if record and record.get("status_key") == OPEN_KEY]
        fresh = []
        for record in open_records:
            if not _is_sound(record):
                self.table.put_aside(record["pk"])
            elif now - record["created_at"] > REPEAT_FOR_S:
                self.close(record, LaunchAnswer(record["launch_id"], record["market"], record["wanted"]))
            else:
                fresh.append(record)
        return fresh

    def submit(self, record: Mapping[str, Any]) -> LaunchAnswer:
        """Make exactly the recorded request: the same token brings the same fleet.

        A refusal (bad image, no permission, template gone) is an answer. Throttling and faults of EC2 are none: they
        raise, and the record stays open to be repeated.
        """
        try:
            response: Mapping[str, Any] = self.ec2.create_fleet(**record["request"])
        except ClientError as error:
            if _is_no_answer(error):
                raise
            fault = error.response["Error"]
            response = {"Errors": [{"ErrorCode": fault["Code"], "ErrorMessage": fault.get("Message", "")}]}
        return LaunchAnswer(
            launch_id=record["launch_id"],
            market=record["market"],
            wanted=record["wanted"],
            instances=tuple(self._launched(response)),
            errors=tuple(self._error_line(error) for error in response.get("Errors", [])),
        )

    def close(self, record: Mapping[str, Any], answer: LaunchAnswer, *remembered: Mapping[str, Any]) -> None:
        """The record's answer and what is ``remembered`` of it (whole rows), together or not at all."""
        closed = {name: value for name, value in record.items() if name not in ("status_key", "status_at")}
        instances, errors = [dict(one) for one in answer.instances], [dict(error) for error in answer.errors]
        self.table.put_together({**closed, "instances": instances, "errors": errors}, *remembered)

    def instances(self) -> Described:
        """Ours: those that carry our tag, and those of our launch template even if somebody took the tag away."""
        tags = {DEPLOYMENT_TAG: self.settings.deployment, TEMPLATE_TAG: self.settings.launch_template_id}
        found = {one["InstanceId"]: one for name, value in tags.items() for one in self._tagged(name, value)}
        live = tuple(_instance(one) for one in found.values() if one["State"]["Name"] in LIVE_STATES)
        ended = frozenset(one["InstanceId"] for one in found.values() if one["State"]["Name"] not in LIVE_STATES)
        return Described(live, ended)

    def _tagged(self, name: str, value: str) -> Iterator[InstanceTypeDef]:
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": f"tag:{name}", "Values": [value]}]
        )
        return (one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"])

    def _launched(self, response: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        for group in response.get("Instances", []):
            overrides = group.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
            instance_type = group.get("InstanceType") or overrides.get("InstanceType", "")
            for instance_id in group.get("InstanceIds", []):
                yield {"instance_id": instance_id, "instance_type": instance_type, "zone": self._zone(overrides)}

    def _error_line(self, error: Mapping[str, Any]) -> dict[str, str]:
        overrides = error.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
        return {
            "code": error.get("ErrorCode", "Unknown"),
            "message": error.get("ErrorMessage", ""),
            "instance_type": overrides.get("InstanceType", ""),
            "zone": self._zone(overrides),
        }

    def _zone(self, overrides: Mapping[str, str]) -> str:
        """EC2 echoes the request: the zone is that of the subnet, where the deployment says which that is."""
        subnet_id = overrides.get("SubnetId", "")
        return overrides.get("AvailabilityZone") or self.settings.zones.get(subnet_id, subnet_id)

    def terminate(self, instance_id: str) -> None:
        self.ec2.terminate_instances(InstanceIds=[instance_id])


def fleet_request(settings: LaunchSettings, launch_id: str, wanted: Launch) -> dict[str, Any]:
    """A CreateFleet request: every type in every zone, the cheapest pools that are unlikely to be taken back."""
    tags = [{"Key": DEPLOYMENT_TAG, "Value": settings.deployment}, {"Key": LAUNCH_TAG, "Value": launch_id}]
    overrides = [
        {"InstanceType": instance_type, "SubnetId": subnet_id, "ImageId": wanted.image_id}
        for instance_type in settings.instance_types
        for subnet_id in settings.subnet_ids
    ]
    template = {"LaunchTemplateId": settings.launch_template_id, "Version": "$Latest"}
    request: dict[str, Any] = {
        "ClientToken": launch_id,
        "Type": "instant",
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": overrides}],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": wanted.count,
            "DefaultTargetCapacityType": wanted.market,
        },
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "fleet")],
    }
    if wanted.market == SPOT:
        request["SpotOptions"] = {"AllocationStrategy": "price-capacity-optimized"}
    else:
        request["OnDemandOptions"] = {"AllocationStrategy": "lowest-price"}
    return request


def _is_no_answer(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in _THROTTLING or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500


def _is_sound(record: Mapping[str, Any]) -> bool:
    kinds: dict[str, Any] = {
        "launch_id": str,
        "market": str,
        "wanted": int,
        "request": dict,
        "created_at": (int, float),
    }
    return all(isinstance(record.get(name), kind) for name, kind in kinds.items())


def _instance(found: InstanceTypeDef) -> Instance:
    return Instance(
        instance_id=found["InstanceId"],
        instance_type=found["InstanceType"],
        market=SPOT if found.get("InstanceLifecycle") == "spot" else ON_DEMAND,
        launched_at=found["LaunchTime"].timestamp(),
    )
