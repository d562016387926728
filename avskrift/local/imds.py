"""The metadata service of one instance, version 2 only: no token, no answer.

Paths and formats are those of
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html; what is not there answers 404.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from avskrift.local.credentials import RoleCredentials
from avskrift.local.ec2.state import Instance
from avskrift.local.loopback import Handler, LoopbackServer

_MAX_TOKEN_TTL_S = 21_600
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 (a header's name)
_ROOT = "/latest/"
_Leaf = str | Callable[[], str]


@dataclass(frozen=True)
class Notices:
    """What EC2 has announced to the instance."""

    interruption_at: datetime | None = None
    """When the spot market takes the instance."""
    rebalance_at: datetime | None = None
    """When a rebalance recommendation was made."""


class MetadataServer:
    """Serves what ``instance()`` and ``notices()`` say at the time of each request."""

    def __init__(
        self,
        instance: Callable[[], Instance],
        notices: Callable[[], Notices],
        credentials: RoleCredentials | None,
        account_id: str,
    ) -> None:
        self._instance = instance
        self._notices = notices
        self._credentials = credentials
        self._account_id = account_id
        self._tokens: dict[str, float] = {}
        self._server = LoopbackServer(_handler_for(self))
        self.url = self._server.url

    def issue_token(self, ttl_s: int) -> str:
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + ttl_s
        return token

    def accepts(self, token: str | None) -> bool:
        return token is not None and self._tokens.get(token, 0.0) > time.monotonic()

    def read(self, path: str) -> str | None:
        """The document at ``path`` below ``/latest/``; None where there is none."""
        one = self._instance()
        if path == "user-data":
            return base64.b64decode(one.spec.user_data).decode("utf-8", "replace") if one.spec.user_data else None
        if path == "dynamic/instance-identity/document":
            return json.dumps(self._identity(one), indent=2)
        if path.startswith("meta-data"):
            return _lookup(self._metadata(one), path.removeprefix("meta-data").lstrip("/"))
        return None

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def _identity(self, one: Instance) -> dict[str, object]:
        return {
            "accountId": self._account_id,
            "architecture": "x86_64",
            "availabilityZone": one.spec.zone,
            "imageId": one.spec.image_id,
            "instanceId": one.instance_id,
            "instanceType": one.spec.instance_type,
            "pendingTime": _timestamp(one.launched_at),
            "privateIp": one.private_ip,
            "region": one.spec.zone[:-1],
            "version": "2017-09-30",
        }

    def _metadata(self, one: Instance) -> dict[str, _Leaf]:
        """Leaves of the ``meta-data`` tree, by path."""
        leaves: dict[str, _Leaf] = {
            "ami-id": one.spec.image_id,
            "ami-launch-index": "0",
            "instance-id": one.instance_id,
            "instance-life-cycle": one.market,
            "instance-type": one.spec.instance_type,
            "local-ipv4": one.private_ip,
            "placement/availability-zone": one.spec.zone,
            "placement/region": one.spec.zone[:-1],
            "reservation-id": one.reservation_id,
        }
        if one.spec.metadata_options.get("InstanceMetadataTags") == "enabled":
            leaves |= {f"tags/instance/{key}": value for key, value in one.tags.items()}
        return leaves | self._noticed() | self._role()

    def _noticed(self) -> dict[str, _Leaf]:
        notices = self._notices()
        leaves: dict[str, _Leaf] = {}
        if notices.interruption_at is not None:
            action = {"action": "terminate", "time": _timestamp(notices.interruption_at)}
            leaves["spot/instance-action"] = json.dumps(action)
            leaves["spot/termination-time"] = _timestamp(notices.interruption_at)
        if notices.rebalance_at is not None:
            noticed = {"noticeTime": _timestamp(notices.rebalance_at)}
            leaves["events/recommendations/rebalance"] = json.dumps(noticed)
        return leaves

    def _role(self) -> dict[str, _Leaf]:
        """Asked for only when read: a poll for notices must not depend on STS."""
        credentials = self._credentials
        if credentials is None:
            return {}
        return {
            f"iam/security-credentials/{credentials.role_name}": lambda: _credentials_document(credentials),
            "iam/info": lambda: _profile_document(credentials),
        }

    def __enter__(self) -> MetadataServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _credentials_document(credentials: RoleCredentials) -> str:
    current = credentials.current()
    document = {
        "Code": "Success",
        "LastUpdated": _timestamp(current.issued_at),
        "Type": "AWS-HMAC",
        "AccessKeyId": current.access_key_id,
        "SecretAccessKey": current.secret_access_key,
        "Token": current.token,
        "Expiration": _timestamp(current.expires_at),
    }
    return json.dumps(document, indent=2)


def _profile_document(credentials: RoleCredentials) -> str:
    issued_at = _timestamp(credentials.current().issued_at)
    document = {"Code": "Success", "LastUpdated": issued_at, "InstanceProfileArn": credentials.profile_arn}
    return json.dumps(document, indent=2)


def _lookup(leaves: Mapping[str, _Leaf], path: str) -> str | None:
    """A leaf, or the listing of a folder: one name a line, folders with a slash at the end."""
    if path in leaves:
        leaf = leaves[path]
        return leaf if isinstance(leaf, str) else leaf()
    folder = path.rstrip("/") + "/" if path else ""
    names = set()
    for leaf in leaves:
        if leaf.startswith(folder):
            name, slash, _ = leaf.removeprefix(folder).partition("/")
            names.add(name + slash)
    return "\n".join(sorted(names)) if names else None


def _handler_for(metadata: MetadataServer) -> type[Handler]:
    class MetadataHandler(Handler):
        def do_PUT(self) -> None:
            self.read_body()
            ttl = self.headers.get(_TTL_HEADER, "")
            if "X-Forwarded-For" in self.headers:
                self.respond(403, b"")
            elif self.path != f"{_ROOT}api/token":
                self.respond(404, b"")
            elif not ttl.isdigit() or not 1 <= int(ttl) <= _MAX_TOKEN_TTL_S:
                self.respond(400, b"")
            else:
                self.respond(200, metadata.issue_token(int(ttl)).encode(), headers={_TTL_HEADER: ttl})

        def do_GET(self) -> None:
            if not metadata.accepts(self.headers.get(_TOKEN_HEADER)):
                self.respond(401, b"")
                return
            found = metadata.read(self.path.removeprefix(_ROOT)) if self.path.startswith(_ROOT) else None
            self.respond(404, b"") if found is None else self.respond(200, found.encode())

        do_HEAD = do_GET

    return MetadataHandler
