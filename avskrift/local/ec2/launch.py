"""CreateFleet (instant) and RunInstances: from a request to instances in state ``pending``."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from avskrift.local.ec2 import catalog
from avskrift.local.ec2.errors import Ec2Error, missing, token_mismatch, unsupported
from avskrift.local.ec2.faults import FaultPlan
from avskrift.local.ec2.protocol import Request
from avskrift.local.ec2.state import Ec2State, Fleet, Instance, LaunchSpec, Market, new_fleet_id, new_id
from avskrift.local.ec2.upstream import Template, Upstream

_FLEET_PARAMETERS = frozenset(
    {
        "ClientToken",
        "DryRun",
        "LaunchTemplateConfigs",
        "OnDemandOptions",
        "SpotOptions",
        "TagSpecifications",
        "TargetCapacitySpecification",
        "Type",
    }
)
_OPTION_PARAMETERS = frozenset({"AllocationStrategy", "InstanceInterruptionBehavior"})
_MAX_TAGS = 50
_RESERVED_TAG_PREFIX = "aws:"
_UNKNOWN_PRICE = float("inf")


@dataclass(frozen=True)
class Candidate:
    """One pool that a fleet may draw from: a template with one of its overrides, or why that is impossible."""

    template: Template
    override: Mapping[str, Any]
    spec: LaunchSpec
    error: Ec2Error | None = None

    def describe(self, market: Market) -> Request:
        return {
            "LaunchTemplateAndOverrides": {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": self.template.template_id,
                    "Version": self.template.version,
                },
                "Overrides": dict(self.override),
            },
            "Lifecycle": market,
        }


@dataclass(frozen=True)
class Order:
    """So many instances of one specification."""

    spec: LaunchSpec
    count: int
    market: Market
    tags: Mapping[str, str]
    client_token: str = ""


class Launcher:
    """Launches one request at a time, so that a repeated client token meets the answer of the first."""

    def __init__(self, state: Ec2State, upstream: Callable[[], Upstream], faults: FaultPlan) -> None:
        self._state = state
        self._upstream = upstream
        self._faults = faults
        self._one_at_a_time = threading.Lock()
        self._answered: dict[tuple[str, str], tuple[Request, Request]] = {}

    def create_fleet(self, request: Request) -> Request:
        """``{FleetId, Errors, Instances}``; capacity failures are in ``Errors``, never raised."""
        _check_fleet(request)
        return self._once("CreateFleet", request, self._create_fleet)

    def run_instances(self, request: Request) -> Request:
        """The reservation, as AWS answers it."""
        return self._once("RunInstances", request, self._run_instances)

    def _once(self, action: str, request: Request, perform: Callable[[Request], Request]) -> Request:
        token = request.get("ClientToken")
        with self._one_at_a_time:
            if token and (action, token) in self._answered:
                earlier, answer = self._answered[action, token]
                if earlier != request:
                    raise token_mismatch()
                return copy.deepcopy(answer)
            answer = perform(request)
            if token:
                self._answered[action, token] = (copy.deepcopy(request), copy.deepcopy(answer))
            return answer

    def _create_fleet(self, request: Request) -> Request:
        fleet_id = new_fleet_id()
        fleet_tags = tags_for("fleet", request.get("TagSpecifications", []))
        candidates = self._candidates(request)
        errors: list[Request] = []
        groups: list[Request] = []
        for market, count in _demands(request["TargetCapacitySpecification"]):
            ordered = sorted(candidates, key=_preference(request, market))
            for candidate, granted in self._grant(ordered, market, count, errors):
                groups.append(self._launch_group(candidate, granted, market, fleet_id, request))
        answer: Request = {"FleetId": fleet_id, "Errors": errors, "Instances": groups}
        self._state.add_fleet(Fleet(fleet_id, datetime.now(UTC), request, answer, fleet_tags))
        return answer

    def _candidates(self, request: Request) -> list[Candidate]:
        found = []
        for config in request["LaunchTemplateConfigs"]:
            template = self._upstream().template(config.get("LaunchTemplateSpecification", {}))
            for override in config.get("Overrides") or [{}]:
                found.append(self._candidate(template, override))
        return found

    def _candidate(self, template: Template, override: Mapping[str, Any]) -> Candidate:
        spec = spec_from({**template.data, **override})
        try:
            return Candidate(template, override, self._resolve(spec))
        except Ec2Error as error:
            if error.code.startswith(("Ssm", "Missing")) or error.status >= 500:
                raise
            return Candidate(template, override, spec, error)

    def _resolve(self, spec: LaunchSpec) -> LaunchSpec:
        """AMI parameter, subnet, zone and type made real, or AWS' error."""
        upstream = self._upstream()
        image_id = upstream.image_id(spec.image_id)
        if not spec.instance_type:
            raise missing("InstanceType")
        if spec.instance_type not in catalog.INSTANCE_TYPES:
            raise Ec2Error("InvalidParameterValue", f"Invalid value '{spec.instance_type}' for InstanceType.")
        return replace(upstream.place(spec), image_id=image_id)

    def _grant(
        self, ordered: list[Candidate], market: Market, count: int, errors: list[Request]
    ) -> Iterable[tuple[Candidate, int]]:
        """How many instances come from which pool; what failed is appended to ``errors``."""
        for candidate in ordered:
            if candidate.error is not None:
                errors.append(_error_item(candidate, market, candidate.error.code, candidate.error.message))
        usable = [candidate for candidate in ordered if candidate.error is None]
        fault = self._faults.for_fleet(market, [candidate.spec for candidate in usable])
        failing = [candidate for candidate in usable if fault is not None and fault.hits(candidate.spec)]
        serving = [candidate for candidate in usable if candidate not in failing]
        if fault is not None:
            errors += [_error_item(one, market, fault.code, fault.sentence(one.spec)) for one in failing]
        if serving:
            return [(serving[0], count)]
        if fault is not None and fault.fulfilled and failing:
            return [(failing[0], min(fault.fulfilled, count))]
        return []

    def _launch_group(
        self, candidate: Candidate, count: int, market: Market, fleet_id: str, request: Request
    ) -> Request:
        tags = self._template_tags(candidate.template) | tags_for("instance", request.get("TagSpecifications", []))
        order = Order(candidate.spec, count, market, tags | {"aws:ec2:fleet-id": fleet_id})
        launched = self._launch(order)
        return {
            **candidate.describe(market),
            "InstanceIds": [instance.instance_id for instance in launched],
            "InstanceType": candidate.spec.instance_type,
        }

    def _template_tags(self, template: Template) -> dict[str, str]:
        return {
            **tags_for("instance", template.data.get("TagSpecifications", [])),
            "aws:ec2launchtemplate:id": template.template_id,
            "aws:ec2launchtemplate:version": template.version,
        }

    def _run_instances(self, request: Request) -> Request:
        tags = tags_for("instance", request.get("TagSpecifications", []))
        data: dict[str, Any] = {}
        if "LaunchTemplate" in request:
            template = self._upstream().template(request["LaunchTemplate"])
            data, tags = dict(template.data), self._template_tags(template) | tags
        spec = self._resolve(spec_from({**data, **request}))
        market: Market = "spot" if _is_spot(request) or _is_spot(data) else "on-demand"
        count = int(request.get("MaxCount", 1))
        launched = self._launch(Order(spec, count, market, tags, str(request.get("ClientToken", ""))))
        return {"ReservationId": launched[0].reservation_id, "InstanceIds": [one.instance_id for one in launched]}

    def _launch(self, order: Order) -> list[Instance]:
        reservation_id = new_id("r")
        launched = [
            Instance(
                instance_id=new_id("i"),
                spec=order.spec,
                market=order.market,
                private_ip=self._upstream().next_address(order.spec.subnet_id),
                reservation_id=reservation_id,
                launched_at=datetime.now(UTC),
                tags=order.tags,
                client_token=order.client_token,
            )
            for _ in range(order.count)
        ]
        for instance in launched:
            self._state.add_instance(instance)
        return launched


def spec_from(data: Mapping[str, Any]) -> LaunchSpec:
    """A specification from launch template data merged with overrides; nothing resolved yet."""
    interfaces = data.get("NetworkInterfaces") or [{}]
    profile = data.get("IamInstanceProfile", {})
    return LaunchSpec(
        image_id=data.get("ImageId", ""),
        instance_type=data.get("InstanceType", ""),
        subnet_id=data.get("SubnetId") or interfaces[0].get("SubnetId", ""),
        vpc_id="",
        zone="",
        user_data=data.get("UserData", ""),
        profile_arn=profile.get("Arn") or profile.get("Name", ""),
        security_group_ids=tuple(data.get("SecurityGroupIds") or interfaces[0].get("Groups", ())),
        shutdown_behavior=data.get("InstanceInitiatedShutdownBehavior", "stop"),
        metadata_options=data.get("MetadataOptions", {}),
    )


def tags_for(
    resource_type: Literal["instance", "fleet"], specifications: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """The tags that a request gives to resources of this type; reserved ones raise."""
    tags: dict[str, str] = {}
    for specification in specifications:
        if specification.get("ResourceType") == resource_type:
            tags |= {tag["Key"]: tag.get("Value", "") for tag in specification.get("Tags", [])}
    check_tags(tags)
    return tags


def check_tags(tags: Mapping[str, str]) -> None:
    reserved = [key for key in tags if key.lower().startswith(_RESERVED_TAG_PREFIX)]
    if reserved:
        raise Ec2Error("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    if len(tags) > _MAX_TAGS:
        raise Ec2Error("TagLimitExceeded", f"More than {_MAX_TAGS} tags specified")


def _check_fleet(request: Request) -> None:
    for name in ("LaunchTemplateConfigs", "TargetCapacitySpecification"):
        if name not in request:
            raise missing(name)
    if request.get("Type", "maintain") != "instant":
        raise unsupported(f"fleets of type {request.get('Type', 'maintain')}")
    if ignored := request.keys() - _FLEET_PARAMETERS:
        raise unsupported(f"CreateFleet with {', '.join(sorted(ignored))}")
    for group in ("SpotOptions", "OnDemandOptions"):
        if ignored := request.get(group, {}).keys() - _OPTION_PARAMETERS:
            raise unsupported(f"CreateFleet with {group}.{', '.join(sorted(ignored))}")


def _demands(target: Mapping[str, Any]) -> list[tuple[Market, int]]:
    total = int(target["TotalTargetCapacity"])
    default_spot = target.get("DefaultTargetCapacityType", "on-demand") == "spot"
    if default_spot:
        on_demand = int(target.get("OnDemandTargetCapacity", 0))
    else:
        on_demand = total - int(target.get("SpotTargetCapacity", 0))
    demands: list[tuple[Market, int]] = [("on-demand", on_demand), ("spot", total - on_demand)]
    return [(market, count) for market, count in demands if count > 0]


def _preference(request: Request, market: Market) -> Callable[[Candidate], tuple[float, float]]:
    """By priority if asked for, else the cheapest first: as near as this comes to the capacity-optimized strategies."""
    options = request.get("SpotOptions" if market == "spot" else "OnDemandOptions", {})
    by_priority = "prioritized" in options.get("AllocationStrategy", "")

    def key(candidate: Candidate) -> tuple[float, float]:
        price = _UNKNOWN_PRICE
        if candidate.error is None:
            price = catalog.price_usd(candidate.spec.instance_type, candidate.spec.zone, market)
        priority = float(candidate.override.get("Priority", _UNKNOWN_PRICE)) if by_priority else 0.0
        return priority, price

    return key


def _error_item(candidate: Candidate, market: Market, code: str, message: str) -> Request:
    return {**candidate.describe(market), "ErrorCode": code, "ErrorMessage": message}


def _is_spot(data: Mapping[str, Any]) -> bool:
    return bool(data.get("InstanceMarketOptions", {}).get("MarketType") == "spot")
