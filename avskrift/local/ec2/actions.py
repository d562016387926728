"""The actions that the proxy answers itself; everything that is not listed here is the emulator's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from avskrift.local.ec2 import catalog, describe
from avskrift.local.ec2.errors import Ec2Error, dry_run, instances_not_found, malformed_instance_id, missing
from avskrift.local.ec2.launch import Launcher, check_tags
from avskrift.local.ec2.protocol import Request
from avskrift.local.ec2.state import USER_SHUTDOWN, Ec2State, Instance
from avskrift.local.ec2.upstream import Upstream

_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_RESOURCE_TYPES = {"i": "instance", "fleet": "fleet"}
_TAG_COLUMNS = {"resource-id": "ResourceId", "resource-type": "ResourceType", "key": "Key", "value": "Value"}

Action = Callable[[Request], Request | None]


class Actions:
    """One method per action: a request as boto3 has it in, the answer out; None hands the call to the emulator."""

    def __init__(self, state: Ec2State, launcher: Launcher, upstream: Callable[[], Upstream], account_id: str) -> None:
        self._state = state
        self._launcher = launcher
        self._upstream = upstream
        self._account_id = account_id
        self.table: Mapping[str, Action] = {
            "CreateFleet": self._changing(launcher.create_fleet),
            "RunInstances": self._changing(self.run_instances),
            "TerminateInstances": self._changing(self.terminate_instances, self.check_instances),
            "DescribeInstances": self.describe_instances,
            "DescribeInstanceStatus": self.describe_instance_status,
            "DescribeFleets": self.describe_fleets,
            "CreateTags": self.create_tags,
            "DeleteTags": self.delete_tags,
            "DescribeTags": self.describe_tags,
            "DescribeInstanceTypeOfferings": self.describe_instance_type_offerings,
            "DescribeInstanceTypes": self.describe_instance_types,
            "DescribeImages": self.describe_images,
            "DescribeSpotPriceHistory": self.describe_spot_price_history,
        }

    @staticmethod
    def _changing(perform: Callable[[Request], Request], check: Callable[[Request], object] | None = None) -> Action:
        def action(request: Request) -> Request:
            if check is not None:
                check(request)
            if request.get("DryRun"):
                raise dry_run()
            return perform(request)

        return action

    def run_instances(self, request: Request) -> Request:
        launched = self._launcher.run_instances(request)
        instances = [self._state.instance(instance_id) for instance_id in launched["InstanceIds"]]
        return describe.reservations(instances, self._account_id)[0]

    def check_instances(self, request: Request) -> list[Instance]:
        """The instances that the request names; AWS' errors for malformed and unknown ids."""
        wanted: list[str] = request.get("InstanceIds", [])
        for instance_id in wanted:
            if not _INSTANCE_ID.fullmatch(instance_id):
                raise malformed_instance_id(instance_id)
        if unknown := [instance_id for instance_id in wanted if not self._state.owns(instance_id)]:
            raise instances_not_found(unknown)
        return [self._state.instance(instance_id) for instance_id in wanted]

    def terminate_instances(self, request: Request) -> Request:
        before = self.check_instances(request)
        if not before:
            raise missing("InstanceIds")
        changes = []
        for one in before:
            after = self._state.move(one.instance_id, "shutting-down", USER_SHUTDOWN)
            changes.append(
                {
                    "InstanceId": one.instance_id,
                    "PreviousState": describe.state_of(one.state),
                    "CurrentState": describe.state_of(after.state),
                }
            )
        return {"TerminatingInstances": changes}

    def describe_instances(self, request: Request) -> Request:
        return {"Reservations": describe.reservations(self._find_instances(request), self._account_id)}

    def _find_instances(self, request: Request) -> list[Instance]:
        filters = request.get("Filters", [])
        describe.check_filters(filters, describe.INSTANCE_FILTERS)
        candidates = self.check_instances(request) or self._state.instances()
        return [one for one in candidates if describe.matches(one, filters)]

    def describe_instance_status(self, request: Request) -> Request:
        wanted = self._find_instances(request)
        shown = [one for one in wanted if request.get("IncludeAllInstances") or one.state == "running"]
        fine = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
        return {
            "InstanceStatuses": [
                {
                    "InstanceId": one.instance_id,
                    "AvailabilityZone": one.spec.zone,
                    "InstanceState": describe.state_of(one.state),
                    "InstanceStatus": fine if one.state == "running" else {"Status": "not-applicable"},
                    "SystemStatus": fine if one.state == "running" else {"Status": "not-applicable"},
                }
                for one in shown
            ]
        }

    def describe_fleets(self, request: Request) -> Request:
        """Instant fleets are shown by id only, as in AWS."""
        fleets = {one.fleet_id: one for one in self._state.fleets()}
        wanted = request.get("FleetIds", [])
        if unknown := [fleet_id for fleet_id in wanted if fleet_id not in fleets]:
            raise Ec2Error("InvalidFleetId.NotFound", f"The fleet ID '{', '.join(unknown)}' does not exist")
        return {"Fleets": [describe.fleet(fleets[fleet_id]) for fleet_id in wanted]}

    def create_tags(self, request: Request) -> Request | None:
        tags = {tag["Key"]: tag.get("Value", "") for tag in request.get("Tags", [])}
        return self._retag(request, lambda owned: self._state.retag(owned, tags), lambda: check_tags(tags))

    def delete_tags(self, request: Request) -> Request | None:
        keys = frozenset(tag["Key"] for tag in request.get("Tags", []))
        return self._retag(
            request, lambda owned: self._state.retag(owned, {}, keys), lambda: check_tags(dict.fromkeys(keys, ""))
        )

    def _retag(self, request: Request, change: Callable[[str], None], check: Callable[[], None]) -> Request | None:
        """Owned resources are changed here; if the request names others too, the emulator gets it as well."""
        resources: list[str] = request.get("Resources", [])
        for resource_id in resources:
            if _INSTANCE_ID.fullmatch(resource_id) and not self._state.owns(resource_id):
                raise instances_not_found([resource_id])
        owned = [resource_id for resource_id in resources if self._state.owns(resource_id)]
        if owned:
            check()
            if request.get("DryRun"):
                raise dry_run()
        for resource_id in owned:
            change(resource_id)
        return {} if len(owned) == len(resources) else None

    def describe_tags(self, request: Request) -> Request:
        """The tags of owned resources together with those of the emulator."""
        filters = request.get("Filters", [])
        describe.check_filters(filters, _TAG_COLUMNS)
        rows = [row for row in self._owned_tags() if all(_tag_row_matches(row, entry) for entry in filters)]
        return {"Tags": rows + self._upstream().tags(request)}

    def _owned_tags(self) -> list[Request]:
        tagged = [(one.instance_id, one.tags) for one in self._state.instances()]
        tagged += [(one.fleet_id, one.tags) for one in self._state.fleets()]
        return [
            {
                "ResourceId": resource_id,
                "ResourceType": _RESOURCE_TYPES[resource_id.partition("-")[0]],
                "Key": key,
                "Value": value,
            }
            for resource_id, tags in tagged
            for key, value in tags.items()
        ]

    def describe_instance_type_offerings(self, request: Request) -> Request:
        return {"InstanceTypeOfferings": describe.offerings(request, self._upstream().region)}

    def describe_instance_types(self, request: Request) -> Request:
        return {"InstanceTypes": describe.instance_types(request)}

    def describe_images(self, request: Request) -> Request | None:
        """The account's one image, asked for by its id; the emulator has others, with this id for one of Ubuntu's."""
        asked_for = request.get("ImageIds") == [catalog.IMAGE_ID]
        return {"Images": [describe.own_image(self._account_id)]} if asked_for else None

    def describe_spot_price_history(self, request: Request) -> Request:
        return {"SpotPriceHistory": describe.spot_prices(request, self._upstream().region)}


def _tag_row_matches(row: Request, entry: Request) -> bool:
    name, wanted = entry["Name"], entry.get("Values", [])
    if name.startswith("tag:"):
        return row["Key"] == name.removeprefix("tag:") and describe.like(row["Value"], wanted)
    return describe.like(row[_TAG_COLUMNS[name]], wanted)
