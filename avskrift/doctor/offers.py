"""What the region has: zones, and the instance types in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Subject

ALTERNATIVES = ("g4dn.xlarge", "g6.xlarge", "g5.xlarge", "g6e.xlarge", "g4dn.2xlarge", "g5.2xlarge")
"""Types with one NVIDIA GPU on which the models fit, from which a mend is put together."""


def zones(subject: Subject) -> Iterator[Check]:
    """Zones that this account may use; AWS gives each account its own choice of them."""
    wanted = subject.settings.availability_zones
    found = subject.session.client("ec2").describe_availability_zones()["AvailabilityZones"]
    offered = sorted(zone["ZoneName"] for zone in found if zone.get("ZoneType", "availability-zone") == _ORDINARY)
    missing = [zone for zone in wanted if zone not in offered]
    if missing:
        told = f"{', '.join(missing)} can't be used by this account, which has {', '.join(offered)}."
        yield red("zones", told, subject.settings.deploy(f"availability_zones={','.join(offered[:3])}"))
    else:
        yield green("zones", f"{', '.join(wanted)}.")


_ORDINARY = "availability-zone"


def instance_types(subject: Subject) -> Iterator[Check]:
    """Whether the types can be had at all, and in which zones."""
    name, settings = "instance types", subject.settings
    by_zone = offered_by_zone(subject, settings.instance_types)
    offered = {kind for kinds in by_zone.values() for kind in kinds}
    if not offered:
        yield _none_offered(subject)
        return
    absent = [kind for kind in settings.instance_types if kind not in offered]
    bare = [zone for zone in settings.availability_zones if not by_zone.get(zone)]
    if absent:
        kept = ",".join(kind for kind in settings.instance_types if kind in offered)
        yield yellow(name, f"{', '.join(absent)}: not in {settings.region}.", settings.deploy(f"instance_types={kept}"))
    if bare:
        kept = ",".join(zone for zone in settings.availability_zones if zone not in bare)
        told = f"{', '.join(bare)} offers none of {', '.join(settings.instance_types)}."
        yield yellow(name, told, settings.deploy(f"availability_zones={kept}"))
    if not absent and not bare:
        yield green(name, _where(settings.instance_types, by_zone))


def gpus(subject: Subject) -> Iterator[Check]:
    """Whether the types have the processor that the model runs on: one of NVIDIA's, unless it is told to do without."""
    name, settings = "GPU", subject.settings
    if settings.device == "cpu":
        yield green(name, "None needed: the setting device is cpu.")
        return
    having = _gpu_counts(subject)
    bare = [kind for kind in settings.instance_types if having.get(kind) == 0]
    if not bare and having:
        yield green(name, f"One of NVIDIA's in each of {', '.join(having)}.")
    if not bare:
        return
    kept = [kind for kind in settings.instance_types if kind not in bare] or list(ALTERNATIVES[:3])
    mend = f"{settings.deploy('instance_types=' + ','.join(kept))}; or, if it is meant so: -c device=cpu"
    told = f"{', '.join(bare)} without one of NVIDIA's"
    if settings.device == "cuda":
        yield red(name, f"{told}: no job can run there, as the setting device is cuda.", mend)
    else:
        slower = "the model runs on the CPU there, as the setting device is auto: many times slower"
        yield yellow(name, f"{told}: {slower}.", mend)


def _gpu_counts(subject: Subject) -> dict[str, int]:
    """NVIDIA GPUs of each of the deployment's types that the region knows."""
    pages = subject.session.client("ec2").get_paginator("describe_instance_types")
    wanted = list(subject.settings.instance_types)
    return {
        kind["InstanceType"]: sum(
            gpu.get("Count", 0)
            for gpu in kind.get("GpuInfo", {}).get("Gpus", [])
            if gpu.get("Manufacturer") == "NVIDIA"
        )
        for page in pages.paginate(Filters=[{"Name": "instance-type", "Values": wanted}])
        for kind in page["InstanceTypes"]
    }


def _where(kinds: Sequence[str], by_zone: Mapping[str, set[str]]) -> str:
    """Each type with the zones that offer it."""
    homes = {kind: [zone for zone in sorted(by_zone) if kind in by_zone[zone]] for kind in kinds}
    if all(len(zones) == len(by_zone) for zones in homes.values()):
        return f"{', '.join(kinds)}, in each of the {len(by_zone)} zones."
    return "; ".join(f"{kind} in {', '.join(zones)}" for kind, zones in homes.items()) + "."


def offered_by_zone(subject: Subject, kinds: Sequence[str]) -> dict[str, set[str]]:
    """Zone → those of the types that it offers, for the zones of the deployment."""
    pages = subject.session.client("ec2").get_paginator("describe_instance_type_offerings")
    found = pages.paginate(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(kinds)}])
    by_zone: dict[str, set[str]] = defaultdict(set)
    for page in found:
        for offer in page["InstanceTypeOfferings"]:
            if offer["Location"] in subject.settings.availability_zones:
                by_zone[offer["Location"]].add(offer["InstanceType"])
    return by_zone


def _none_offered(subject: Subject) -> Check:
    settings = subject.settings
    instead = offered_by_zone(subject, ALTERNATIVES)
    offered = {kind for kinds in instead.values() for kind in kinds}
    others = [kind for kind in ALTERNATIVES if kind in offered][:3]
    change = f"instance_types={','.join(others)}" if others else "region=eu-north-1"
    return red(
        "instance types",
        f"None of {', '.join(settings.instance_types)} is offered in {', '.join(settings.availability_zones)}.",
        settings.deploy(change),
    )
