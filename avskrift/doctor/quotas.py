"""How many vCPUs of the instance types the account may run: of GPU types, a new account none.

Quotas are counted in vCPUs, by family and market, a region each
(https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html, read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Subject


@dataclass(frozen=True)
class Family:
    """Instance families that share their quotas."""

    name: str
    letters: frozenset[str]
    """What their types begin with."""
    codes: Mapping[str, str]
    """Market → the quota's code."""


VPC_QUOTA = "L-F678F1CE"
"""VPCs per Region: 5 unless more were asked for
(https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html, read 2026-11)."""
FAMILIES = (
    Family("G and VT", frozenset({"g", "gr", "vt"}), {"spot": "L-3819A6DF", "on-demand": "L-DB2E81BA"}),
    Family("P", frozenset({"p"}), {"spot": "L-7212CCBC", "on-demand": "L-417A185B"}),
    Family("Standard", frozenset("acdhimrtz"), {"spot": "L-34B43A08", "on-demand": "L-1216C47A"}),
)


def quotas(subject: Subject) -> Iterator[Check]:
    """A line for each family and market. Nothing runs on spot: red; only fewer than wanted: yellow."""
    vcpus = _vcpus(subject)
    for family in FAMILIES:
        sizes = [count for kind, count in vcpus.items() if _letters(kind) in family.letters]
        if sizes:
            yield from _family(subject, family, sizes)
    known = frozenset().union(*(family.letters for family in FAMILIES))
    if strange := sorted(kind for kind in vcpus if _letters(kind) not in known):
        yield yellow("quota", f"Not checked for {', '.join(strange)}: which quota counts them is not known here.")


def vpcs(subject: Subject) -> Iterator[Check]:
    """Whether there is room for the network that the first deployment makes."""
    if subject.status:
        return
    pages = subject.session.client("ec2").get_paginator("describe_vpcs").paginate()
    count = sum(len(page["Vpcs"]) for page in pages)
    allowed = _allowed(subject, VPC_QUOTA, "vpc")
    told = f"{count} of {allowed:g} in {subject.settings.region}"
    if count < allowed:
        yield green("quota VPCs", f"{told}: room for the deployment's.")
    else:
        more = f"service-quotas request-service-quota-increase --service-code vpc --quota-code {VPC_QUOTA}"
        mend = subject.aws(f"{more} --desired-value {count + 1}")
        yield red("quota VPCs", f"{told}: none is left for the deployment's.", mend)


def _family(subject: Subject, family: Family, sizes: list[int]) -> Iterator[Check]:
    allowed = {market: _allowed(subject, code) for market, code in family.codes.items()}
    all_vcpus = max(sizes) * subject.settings.max_instances
    for market, code in family.codes.items():
        name = f"quota {market} {family.name}"
        mend = subject.aws(
            "service-quotas request-service-quota-increase --service-code ec2 "
            f"--quota-code {code} --desired-value {all_vcpus}"
        )
        said = f"{allowed[market]:g} vCPUs"
        if allowed[market] >= all_vcpus:
            yield green(name, f"{said}, {all_vcpus} needed for {subject.settings.max_instances} instances.")
        elif allowed[market] >= min(sizes):
            count = int(allowed[market] // min(sizes))
            yield yellow(name, f"{said}: {count} of {subject.settings.max_instances} instances at one time.", mend)
        elif market == "on-demand" and allowed["spot"] >= min(sizes):
            yield yellow(name, f"{said}: when spot has no capacity, jobs wait until they end as no_capacity.", mend)
        else:
            yield red(name, f"{said}, and one instance has {min(sizes)}: none can be launched.", mend)


def _allowed(subject: Subject, code: str, service: str = "ec2") -> float:
    """The account's own quota, or AWS' default where nobody ever asked for another."""
    client = subject.session.client("service-quotas")
    try:
        return client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    except client.exceptions.NoSuchResourceException:
        return client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]


def _vcpus(subject: Subject) -> dict[str, int]:
    """Of each of the deployment's types that the region knows."""
    pages = subject.session.client("ec2").get_paginator("describe_instance_types")
    wanted = list(subject.settings.instance_types)
    found = pages.paginate(Filters=[{"Name": "instance-type", "Values": wanted}])
    return {one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] for page in found for one in page["InstanceTypes"]}


def _letters(kind: str) -> str:
    found = re.match(r"[a-z]+", kind)
    return found[0] if found else ""
