"""The synthesized template with its intrinsic functions resolved, so that its policies can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from avskrift.local.aws import ACCOUNT_ID, REGION
from infra.__main__ import prefer_node_beside_python

PARTS = ("register", "reconcile", "capacity", "deliver")


@dataclass(frozen=True)
class Template:
    """A synthesized template with every intrinsic function resolved to a name as AWS would give it."""

    resources: Mapping[str, Any]

    @classmethod
    @cache
    def from_app(cls, **settings: object) -> Template:
        """With these settings, and defaults else."""
        prefer_node_beside_python()
        from aws_cdk.assertions import Template as Synthesized

        from infra.app import build_app

        app = build_app({"aws:cdk:bundling-stacks": [], **settings})
        return cls(Synthesized.from_stack(app.node.find_child("avskrift")).to_json()["Resources"])

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(one) for one in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (kind, inner), *_ = value.items()
            if kind == "Ref":
                return self._reference(inner)
            if kind == "Fn::GetAtt":
                return self._attribute(*inner)
            if kind == "Fn::Join":
                return str(inner[0]).join(str(self.resolve(part)) for part in inner[1])
        return {key: self.resolve(one) for key, one in value.items()}

    def _reference(self, name: str) -> str:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        given = self.resolve(self.resources[name].get("Properties", {}).get("LogGroupName"))
        if self.resources[name]["Type"] == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{name}"
        return str(given or name)

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute not in ("Arn", "Id"):
            return name
        kind = self.resources[name]["Type"]
        patterns = {
            "AWS::S3::Bucket": f"arn:aws:s3:::{name}",
            "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{name}",
            "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}",
            "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}",
            "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{name}",
            "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT_ID}:role/{name}",
            "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{self._reference(name)}:*",
            "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{name}-AbCdEf",
        }
        return patterns.get(kind, name)

    def roles(self) -> dict[str, str]:
        """The logical id of each part's role."""
        described = {
            one["Properties"].get("Description", ""): name
            for name, one in self.resources.items()
            if one["Type"] == "AWS::IAM::Role"
        }
        return {
            "agent": described["The agent on an instance."],
            **{part: described[f"The function {part}."] for part in PARTS},
        }

    def policies(self, role: str) -> list[Mapping[str, Any]]:
        """All policy documents of a role: its own and those attached to it."""
        own = self.resources[role]["Properties"].get("Policies", [])
        attached = [
            one["Properties"]
            for one in self.resources.values()
            if one["Type"] == "AWS::IAM::Policy" and {"Ref": role} in one["Properties"].get("Roles", [])
        ]
        return [self.resolve(one["PolicyDocument"]) for one in (*own, *attached)]
