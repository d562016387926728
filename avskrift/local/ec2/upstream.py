"""What the proxy asks the emulator (launch templates, subnets, AMI parameters), and what it passes on."""

from __future__ import annotations

import http.client
import ipaddress
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from avskrift.local.aws import client
from avskrift.local.ec2.errors import Ec2Error, malformed_ami_id, missing
from avskrift.local.ec2.state import LaunchSpec

_AMI_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_RESOLVE_SSM = "resolve:ssm:"
_IMAGE_DATA_TYPE = "aws:ec2:image"
_FORWARD_TIMEOUT_S = 60.0
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}
)
_RESERVED_ADDRESSES = 4  # AWS keeps the first four of each subnet

T = TypeVar("T")


@dataclass(frozen=True)
class Template:
    """One version of a launch template."""

    template_id: str
    name: str
    version: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class ForwardedAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Upstream:
    """The emulator as the proxy sees it; made once its address is known."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.region = region
        self._address = urlsplit(endpoint)
        self._ec2 = client("ec2", endpoint, region)
        self._ssm = client("ssm", endpoint, region)
        self._lock = threading.Lock()
        self._hosts_used: dict[str, int] = {}

    def forward(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> ForwardedAnswer:
        """The call as it came, signature included."""
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=_FORWARD_TIMEOUT_S
        )
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            kept = [pair for pair in answer.getheaders() if pair[0].lower() not in _HOP_BY_HOP | {"content-length"}]
            return ForwardedAnswer(answer.status, kept, answer.read())
        except OSError as error:
            raise Ec2Error("InternalError", f"The emulator did not answer: {error}", 500) from error
        finally:
            connection.close()

    def template(self, reference: Mapping[str, Any]) -> Template:
        """The version that a ``LaunchTemplateSpecification`` names."""
        named = {name: reference[name] for name in ("LaunchTemplateId", "LaunchTemplateName") if name in reference}
        if not named:
            raise missing("LaunchTemplateId")
        version = str(reference.get("Version") or "$Default")
        found = self._ask(lambda: self._ec2.describe_launch_template_versions(**named, Versions=[version]))
        if not found["LaunchTemplateVersions"]:
            raise Ec2Error(
                "InvalidLaunchTemplateId.VersionNotFound", f"Could not find launch template version {version}."
            )
        entry = found["LaunchTemplateVersions"][0]
        return Template(
            template_id=entry["LaunchTemplateId"],
            name=entry["LaunchTemplateName"],
            version=str(entry["VersionNumber"]),
            data=entry.get("LaunchTemplateData", {}),
        )

    def image_id(self, image: str) -> str:
        """An AMI id as it is; ``resolve:ssm:<parameter>`` through the emulator, with AWS' errors."""
        if not image:
            raise missing("ImageId")
        resolved = self._resolve_parameter(image) if image.startswith(_RESOLVE_SSM) else image
        if not _AMI_ID.fullmatch(resolved):
            raise malformed_ami_id(resolved)
        return resolved

    def _resolve_parameter(self, image: str) -> str:
        name = image.removeprefix(_RESOLVE_SSM)
        try:
            parameter = self._ssm.get_parameter(Name=name)["Parameter"]
        except self._ssm.exceptions.ParameterNotFound as error:
            raise Ec2Error("SsmInvalidParameter", f"The following aliases are invalid: [{image}]") from error
        if parameter.get("DataType") != _IMAGE_DATA_TYPE:
            raise Ec2Error(
                "SsmInvalidParameter",
                f"Unsupported data type. The following parameter data types are supported: {_IMAGE_DATA_TYPE}",
            )
        return str(parameter["Value"])

    def place(self, spec: LaunchSpec) -> LaunchSpec:
        """``spec`` with the VPC and zone of its subnet (without one: of the first default subnet)."""
        subnet = self._subnet(spec.subnet_id)
        return replace(spec, subnet_id=subnet["SubnetId"], vpc_id=subnet["VpcId"], zone=subnet["AvailabilityZone"])

    def next_address(self, subnet_id: str) -> str:
        """A private address of the subnet that no instance had yet."""
        network = ipaddress.ip_network(self._subnet(subnet_id)["CidrBlock"])
        with self._lock:
            used = self._hosts_used.get(subnet_id, 0)
            self._hosts_used[subnet_id] = used + 1
        index = _RESERVED_ADDRESSES + used % (network.num_addresses - _RESERVED_ADDRESSES - 1)
        return str(network[index])

    def tags(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """``DescribeTags`` of the emulator's own resources."""
        return list(self._ask(lambda: self._ec2.describe_tags(**request))["Tags"])

    def _subnet(self, subnet_id: str) -> dict[str, Any]:
        query: dict[str, Any] = (
            {"SubnetIds": [subnet_id]} if subnet_id else {"Filters": [{"Name": "default-for-az", "Values": ["true"]}]}
        )
        found = self._ask(lambda: self._ec2.describe_subnets(**query))["Subnets"]
        if not found:
            raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
        return dict(found[0])

    @staticmethod
    def _ask(call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            reported = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            raise Ec2Error(
                reported.get("Code", "InternalError"), reported.get("Message", str(error)), status
            ) from error
