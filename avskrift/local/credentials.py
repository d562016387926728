"""An instance's role credentials: what EC2 gets from STS for the role of the instance profile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

DURATION_S = 3600
#: Fresh ones are fetched this long before the present ones end: SDKs begin to ask for new ones 15 minutes before.
REFRESH_BEFORE = timedelta(minutes=20)


@dataclass(frozen=True)
class Credentials:
    access_key_id: str
    secret_access_key: str
    token: str
    issued_at: datetime
    expires_at: datetime


class RoleCredentials:
    """The credentials of one instance, renewed in time; safe from any thread."""

    def __init__(
        self, iam: Any, sts: Any, profile_arn: str, instance_id: str, now: Callable[[], datetime] | None = None
    ) -> None:
        self._sts = sts
        self._now = now or (lambda: datetime.now(UTC))
        self._instance_id = instance_id
        self._lock = threading.Lock()
        self._held: Credentials | None = None
        role = _role_of(iam, profile_arn)
        self.role_name: str = role["RoleName"]
        self._role_arn: str = role["Arn"]
        self.profile_arn = profile_arn

    def current(self) -> Credentials:
        """Credentials good for :data:`REFRESH_BEFORE` at least."""
        with self._lock:
            if self._held is None or self._held.expires_at - self._now() < REFRESH_BEFORE:
                self._held = self._assume()
            return self._held

    def _assume(self) -> Credentials:
        issued = self._sts.assume_role(
            RoleArn=self._role_arn, RoleSessionName=self._instance_id, DurationSeconds=DURATION_S
        )["Credentials"]
        return Credentials(
            access_key_id=issued["AccessKeyId"],
            secret_access_key=issued["SecretAccessKey"],
            token=issued["SessionToken"],
            issued_at=self._now(),
            expires_at=issued["Expiration"],
        )


def _role_of(iam: Any, profile_arn: str) -> dict[str, Any]:
    """The role in a profile; an absent profile raises the client's ``NoSuchEntityException``."""
    name = profile_arn.rpartition("/")[2]
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    return dict(profile["Roles"][0])
