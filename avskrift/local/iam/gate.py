"""Who may ask the EC2 proxy for what, in a cloud that enforces.

The emulator checks its own calls; those that the proxy answers itself never reach it. Here the caller is known by the
access key, not by the signature, which only the emulator could verify.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from avskrift.local.aws import ACCOUNT_ID
from avskrift.local.ec2.errors import Ec2Error
from avskrift.local.ec2.state import Ec2State
from avskrift.local.iam.ec2_checks import ec2_checks
from avskrift.local.iam.model import Check, Document, is_allowed

ROOT_KEYS = frozenset({"test"})
"""The access key of the account itself, which may do everything."""
_ACCESS_KEY = re.compile(r"Credential=([A-Za-z0-9]+)/")
_INSTANCE_ARN = re.compile(r":instance/(i-[0-9a-f]+)$")


class Gate:
    """Knows the sessions that were made through it and those the emulator makes for functions."""

    def __init__(self, client: Callable[[str], Any], state: Ec2State) -> None:
        """``client`` makes clients of the emulator by the service's name, with the rights of the account."""
        self._iam, self._sts, self._functions = (client(service) for service in ("iam", "sts", "lambda"))
        self._ec2 = client("ec2")
        self._state = state
        self._roles: dict[str, str] = {}
        self._lock = threading.Lock()

    def assume_role(self, **parameters: Any) -> dict[str, Any]:
        """``sts:AssumeRole``, remembered."""
        answer: dict[str, Any] = self._sts.assume_role(**parameters)
        with self._lock:
            self._roles[answer["Credentials"]["AccessKeyId"]] = _role_name(parameters["RoleArn"])
        return answer

    def check(self, action: str, request: Mapping[str, Any], authorization: str) -> None:
        """Raise AWS' error unless the signer of the request may make it."""
        found = _ACCESS_KEY.search(authorization)
        if found is None:
            raise Ec2Error("MissingAuthenticationToken", "The request is not signed.", HTTPStatus.FORBIDDEN)
        if found[1] in ROOT_KEYS:
            return
        role = self._role_of(found[1])
        policies = self._policies(role)
        for check in ec2_checks(action, request, self._template):
            if not is_allowed(self._with_tags(check), policies, role):
                raise Ec2Error(
                    "UnauthorizedOperation",
                    "You are not authorized to perform this operation. "
                    f"User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role} is not authorized to perform: "
                    f"{check.action} on resource: {check.resource}",
                    HTTPStatus.FORBIDDEN,
                )

    def _role_of(self, access_key: str) -> str:
        with self._lock:
            if access_key not in self._roles:
                self._roles |= self._sessions_of_functions()
            role = self._roles.get(access_key)
        if role is None:
            raise Ec2Error(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                HTTPStatus.UNAUTHORIZED,
            )
        return role

    def _sessions_of_functions(self) -> dict[str, str]:
        """The emulator derives a function's access key from its ARN and its role's (ministack 1.5.33)."""
        functions = self._functions.list_functions()["Functions"]
        return {_key_of(one["FunctionArn"], one["Role"]): _role_name(one["Role"]) for one in functions}

    def _policies(self, role: str) -> list[Document]:
        names = self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        return [self._iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]

    def _with_tags(self, check: Check) -> Check:
        """The check with the tags of the instance that it is about, if there is one."""
        named = _INSTANCE_ARN.search(check.resource)
        tags = next((one.tags for one in self._state.instances() if named and one.instance_id == named[1]), {})
        return replace(check, context={**check.context, **{f"aws:ResourceTag/{key}": tags[key] for key in tags}})

    def _template(self, reference: Mapping[str, Any]) -> Mapping[str, Any]:
        named = {key: reference[key] for key in ("LaunchTemplateId", "LaunchTemplateName") if key in reference}
        version = str(reference.get("Version") or "$Default")
        found = self._ec2.describe_launch_template_versions(**named, Versions=[version])["LaunchTemplateVersions"][0]
        data = dict(found["LaunchTemplateData"])
        profile = str(data.get("IamInstanceProfile", {}).get("Arn", "")).rpartition("/")[2]
        if profile:
            role = self._iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"][0]
            data["IamInstanceProfile"] = {"RoleArn": role["Arn"]}
        return {**data, "template_id": found["LaunchTemplateId"]}


def _role_name(role_arn: str) -> str:
    return role_arn.rpartition("/")[2]


def _key_of(function_arn: str, role_arn: str) -> str:
    digest = hashlib.sha256(f"{function_arn}:{role_arn}".encode()).hexdigest()
    return f"ASIA{digest[:16].upper()}"
