"""Why EC2 launched less than was asked for, told apart: what another market can mend, and what only people can.

Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class LaunchFault(StrEnum):
    """The kinds of errors of a launch; the values are metric dimensions and log words."""

    CAPACITY = "capacity"
    """AWS has no such machine to give at the moment."""
    QUOTA = "quota"
    """The account may not run more of them."""
    ADDRESSES = "addresses"
    """A subnet has no free address."""
    CONFIGURATION = "configuration"
    """A type that a zone does not offer, a template or an image that is gone."""
    PERMISSION = "permission"
    OTHER = "other"


_KINDS: dict[LaunchFault, tuple[str, ...]] = {
    LaunchFault.CAPACITY: (
        "InsufficientInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "UnfulfillableCapacity",
        "SpotMaxPriceTooLow",
    ),
    LaunchFault.QUOTA: (
        "MaxSpotInstanceCountExceeded",
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "MaxSpotFleetRequestCountExceeded",
        "MaxIOPSLimitExceeded",
        "VolumeLimitExceeded",
    ),
    LaunchFault.ADDRESSES: ("InsufficientFreeAddressesInSubnet", "AddressLimitExceeded"),
    LaunchFault.CONFIGURATION: ("InvalidFleetConfiguration", "InvalidFleetConfig", "Unsupported"),
    LaunchFault.PERMISSION: ("UnauthorizedOperation", "AuthFailure", "AccessDenied", "OptInRequired"),
}
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
_INVALID = ("InvalidLaunchTemplate", "InvalidAMIID", "InvalidParameter", "InvalidSubnet", "InvalidGroup")

ANOTHER_MARKET_HELPS = frozenset({LaunchFault.CAPACITY, LaunchFault.QUOTA})
"""Spot and on-demand machines come from different pools, and each has a quota of its own."""

_SENTENCES = {
    LaunchFault.CAPACITY: "EC2 had none to give: allow more instance types or zones.",
    LaunchFault.QUOTA: "The account's EC2 quota is used up: ask AWS for more 'G and VT' vCPUs, spot and on demand.",
    LaunchFault.ADDRESSES: "The subnets have no free address: free some, or enlarge them.",
    LaunchFault.CONFIGURATION: "EC2 refused the request ({codes}): deploy the stack again and check its machine image.",
    LaunchFault.PERMISSION: "The deployment may not launch instances ({codes}): deploy the stack again.",
    LaunchFault.OTHER: "EC2 answered {codes}.",
}


def fault_of(code: str) -> LaunchFault:
    """The kind of one of EC2's error codes."""
    if code.startswith(_INVALID):
        return LaunchFault.CONFIGURATION
    return _KIND_OF.get(code, LaunchFault.OTHER)


def advice(codes: Iterable[str]) -> str:
    """What to do about a launch that brought nothing: about the fault that most types and zones answered."""
    told = list(codes)
    if not told:
        return ""
    ((kind, _),) = Counter(map(fault_of, told)).most_common(1)
    named = sorted({code for code in told if fault_of(code) is kind})
    return _SENTENCES[kind].format(codes=", ".join(named))
