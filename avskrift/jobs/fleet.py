"""EC2: launching instances with CreateFleet so that a repeated request never launches twice, finding and ending them.

Before each call a launch record holds the exact request; its id is the ClientToken. A record without an answer is
repeated as it stands; every new try has a new id. Success is counted from ``Instances``: a lack of capacity is HTTP 200
with ``Errors``.

The image is named in the request, not in the launch template: EC2 accepts ``resolve:ssm:`` there only for parameters of
data type ``aws:ec2:image``, which can't say "none yet" (aws/aws-cdk#26712), and the record of a launch should name it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.jobs.policy import ON_DEMAND, SPOT, Instance, Launch
from avskrift.jobs.table import JobTable

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

DEPLOYMENT_TAG = "avskrift:deployment"
LAUNCH_TAG = "avskrift:launch"
OPEN_KEY = "launch#open"
"""Index partition of launch records that have no answer yet."""
SPOT_CAPACITY_ERRORS = frozenset(
    {
        "InsufficientInstanceCapacity",
        "UnfulfillableCapacity",
        "MaxSpotInstanceCountExceeded",
        "SpotMaxPriceTooLow",
    }
)
LIVE_STATES = frozenset({"pending", "running"})
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


@dataclass(frozen=True, slots=True)
class LaunchAnswer:
    """What a fleet request brought. ``errors`` are EC2's codes, by type and zone; both can be filled."""

    launch_id: str
    market: str
    wanted: int
    instance_ids: tuple[str, ...]
    errors: tuple[dict[str, str], ...]

    @property
    def missing(self) -> int:
        return max(0, self.wanted - len(self.instance_ids))

    @property
    def lacks_spot(self) -> bool:
        codes = {error["code"] for error in self.errors}
        return self.market == SPOT and self.missing > 0 and bool(codes & SPOT_CAPACITY_ERRORS)


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

    def launch(self, wanted: Launch, now: float) -> LaunchAnswer:
        """Record a request, make it, record what came."""
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
        return self.submit(record)

    def unanswered(self, now: float) -> list[dict[str, Any]]:
        """Records whose answer never arrived: a crash between call and record, or an EC2 that did not answer.

        Old ones are closed: what they may have launched carries our tag and is counted as any other instance.
        """
        found = (self.table.get_values(values["pk"]) for values in self.table.indexed(OPEN_KEY))
        records = [record for record in found if record and record.get("status_key") == OPEN_KEY]
        for record in records:
            if now - record["created_at"] > REPEAT_FOR_S:
                self._close(record, [], [{"code": "NoAnswer", "message": "given up"}])
        return [record for record in records if now - record["created_at"] <= REPEAT_FOR_S]

    def submit(self, record: Mapping[str, Any]) -> LaunchAnswer:
        """Make exactly the recorded request: the same token brings the same fleet.

        A refusal (bad image, no permission, template gone) is an answer and closes the record. Throttling and faults of
        EC2 are none: they raise, and the record stays open to be repeated.
        """
        try:
            response: Mapping[str, Any] = self.ec2.create_fleet(**record["request"])
        except ClientError as error:
            if _is_no_answer(error):
                raise
            fault = error.response["Error"]
            response = {"Errors": [{"ErrorCode": fault["Code"], "ErrorMessage": fault.get("Message", "")}]}
        instance_ids = [one for group in response.get("Instances", []) for one in group.get("InstanceIds", [])]
        errors = [_error_line(error) for error in response.get("Errors", [])]
        self._close(record, instance_ids, errors)
        return LaunchAnswer(
            launch_id=record["launch_id"],
            market=record["market"],
            wanted=record["wanted"],
            instance_ids=tuple(instance_ids),
            errors=tuple(errors),
        )

    def _close(self, record: Mapping[str, Any], instance_ids: list[str], errors: list[dict[str, str]]) -> None:
        closed = {name: value for name, value in record.items() if name not in ("status_key", "status_at")}
        self.table.put_values({**closed, "instance_ids": instance_ids, "errors": errors})

    def instances(self) -> Described:
        """Ours, found by tag: those that are pending or running, and the ids of those that ended of late."""
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": f"tag:{DEPLOYMENT_TAG}", "Values": [self.settings.deployment]}]
        )
        found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
        live = tuple(_instance(one) for one in found if one["State"]["Name"] in LIVE_STATES)
        ended = frozenset(one["InstanceId"] for one in found if one["State"]["Name"] not in LIVE_STATES)
        return Described(live, ended)

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


def _error_line(error: Mapping[str, Any]) -> dict[str, str]:
    overrides = error.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    return {
        "code": error.get("ErrorCode", "Unknown"),
        "message": error.get("ErrorMessage", ""),
        "instance_type": overrides.get("InstanceType", ""),
        "subnet_id": overrides.get("SubnetId", ""),
    }


def _instance(found: InstanceTypeDef) -> Instance:
    return Instance(
        instance_id=found["InstanceId"],
        instance_type=found["InstanceType"],
        market=SPOT if found.get("InstanceLifecycle") == "spot" else ON_DEMAND,
        launched_at=found["LaunchTime"].timestamp(),
    )
