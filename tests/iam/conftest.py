"""The deployed roles, twice: as policies of the synthesized template, and in an emulator that enforces them."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from avskrift.local.aws import ACCOUNT_ID, REGION
from avskrift.local.cloud import Cloud, CloudSettings
from avskrift.local.iam.checks import Call, checks_of
from avskrift.local.iam.model import Check, is_allowed
from tests.iam.key_checks import key_checks
from tests.iam.rows import FOREIGN, FOREIGN_BUCKET
from tests.iam.template import PARTS, Template


@dataclass(frozen=True)
class Names:
    """What the rows of the table are about."""

    bucket: str
    table: str
    index: str
    uploads: str
    jobs: str
    outbox: str
    secret: str
    capacity: str
    deliver: str
    ami_parameter: str
    agent_logs: str
    template: str
    subnet: str
    group: str
    profile: str
    roles: Mapping[str, str]
    """ARN of each part's role."""

    @property
    def other_queue(self) -> str:
        return self.jobs.rpartition("/")[0] + f"/{FOREIGN}"


class Judge:
    """Decides by the template's policies, in this process."""

    def __init__(self, template: Template) -> None:
        self._template = template
        keys = [name for name, one in template.resources.items() if one["Type"] == "AWS::KMS::Key"]
        self._key = template.resolve({"Fn::GetAtt": [keys[0], "Arn"]}) if keys else ""
        self._roles = template.roles()
        self._policies = {part: template.policies(name) for part, name in self._roles.items()}
        self.names = self._name()

    def without_key(self) -> Judge:
        """One whose roles have lost what they may do with the key."""
        other = copy.copy(self)
        other._policies = {part: _without_key(policies) for part, policies in self._policies.items()}
        return other

    def with_statement(self, statement: Mapping[str, Any]) -> Judge:
        """One whose roles all have a statement more."""
        other = copy.copy(self)
        document = {"Version": "2012-10-17", "Statement": [statement]}
        other._policies = {part: [*policies, document] for part, policies in self._policies.items()}
        return other

    def allows(self, role: str, call: Call) -> bool:
        checks = checks_of(call, self._read_template)
        if self._key:
            checks += [asked for check in checks for asked in key_checks(check, self._key)]
        return all(is_allowed(check, self._policies[role], role) for check in checks)

    def may_terminate(self, role: str, tags: Mapping[str, str]) -> bool:
        """Whether a role may end an instance with these tags."""
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        instance = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/i-0123456789abcdef0"
        return is_allowed(Check("ec2:TerminateInstances", instance, context), self._policies[role], role)

    def may_hand_over(self, role: str, handed_arn: str, service: str = "ec2.amazonaws.com") -> bool:
        """Whether a role may give another one to a service."""
        return is_allowed(
            Check("iam:PassRole", handed_arn, {"iam:PassedToService": service}), self._policies[role], role
        )

    def _one(self, kind: str, containing: str = "") -> str:
        resources = self._template.resources
        (found,) = [name for name, one in resources.items() if one["Type"] == kind and containing in name]
        return found

    def _queue(self, part: str) -> str:
        names = [name for name, one in self._template.resources.items() if one["Type"] == "AWS::SQS::Queue"]
        (found,) = [name for name in names if part in name and "Dlq" not in name]
        return self._template.resolve({"Ref": found})

    def _name(self) -> Names:
        template = self._template
        (secret,) = [name for name, one in template.resources.items() if one["Type"] == "AWS::SecretsManager::Secret"]
        subnets = [name for name, one in template.resources.items() if one["Type"] == "AWS::EC2::Subnet"]
        return Names(
            bucket=self._one("AWS::S3::Bucket"),
            table=self._one("AWS::DynamoDB::Table"),
            index="by_status",
            uploads=self._queue("Uploads"),
            jobs=self._queue("Jobs"),
            outbox=self._queue("Outbox"),
            secret=template.resolve({"Fn::GetAtt": [secret, "Id"]}),
            capacity=self._one("AWS::Lambda::Function", "Capacity"),
            deliver=self._one("AWS::Lambda::Function", "Deliver"),
            ami_parameter="/avskrift/avskrift/ami",
            agent_logs="/avskrift/avskrift/agent",
            template=self._one("AWS::EC2::LaunchTemplate"),
            subnet=template.resolve({"Fn::GetAtt": [subnets[0], "SubnetId"]}),
            group=self._one("AWS::EC2::SecurityGroup"),
            profile=self._one("AWS::IAM::InstanceProfile"),
            roles={part: f"arn:aws:iam::{ACCOUNT_ID}:role/{name}" for part, name in self._roles.items()},
        )

    def _read_template(self, reference: Mapping[str, Any]) -> Mapping[str, Any]:
        if reference.get("LaunchTemplateId") != self.names.template:
            return {}
        data = self._template.resources[self.names.template]["Properties"]["LaunchTemplateData"]
        resolved: dict[str, Any] = self._template.resolve(data)
        return {**resolved, "IamInstanceProfile": {"RoleArn": self.names.roles["agent"]}}


def _without_key(policies: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        {**policy, "Statement": [one for one in policy["Statement"] if "kms:" not in str(one["Action"])]}
        for policy in policies
    ]


class Court:
    """Decides by asking: every call is made with the role's own credentials, in a cloud that enforces."""

    #: What a refusal is called, by the service that refuses.
    REFUSALS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        iam = cloud.client("iam")
        described = {role["Description"]: role["Arn"] for role in iam.list_roles()["Roles"] if "Description" in role}
        roles = {
            "agent": described["The agent on an instance."],
            **{part: described[f"The function {part}."] for part in PARTS},
        }
        self._sessions = {part: cloud.assume(arn) for part, arn in roles.items()}
        self._clients: dict[tuple[str, str, bool], Any] = {}
        outputs = cloud.outputs
        found = cloud.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=outputs["LaunchTemplateId"], Versions=["$Latest"]
        )
        launched = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        self.names = Names(
            bucket=outputs["BucketName"],
            table=outputs["TableName"],
            index="by_status",
            uploads=outputs["UploadsQueueUrl"],
            jobs=outputs["JobsQueueUrl"],
            outbox=outputs["OutboxQueueUrl"],
            secret=outputs["SecretId"],
            capacity=outputs["CapacityFunction"],
            deliver=outputs["DeliverFunction"],
            ami_parameter=outputs["AmiParameter"],
            agent_logs=outputs["AgentLogGroup"],
            template=outputs["LaunchTemplateId"],
            subnet=outputs["SubnetIds"].partition(",")[0],
            group=launched["SecurityGroupIds"][0],
            profile=launched["IamInstanceProfile"]["Arn"],
            roles=roles,
        )

    def allows(self, role: str, call: Call, plain: bool = False) -> bool:
        """Whether the call is not refused; ``plain``: without TLS."""
        from botocore import xform_name
        from botocore.exceptions import ClientError

        client = self._client(role, call.service, plain)
        try:
            getattr(client, xform_name(call.operation))(**call.parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("403", "Forbidden"):  # HEAD has no body to say it in
                return False
            assert code not in ("InvalidClientTokenId", "SignatureDoesNotMatch", "AuthFailure"), code
            return code not in self.REFUSALS
        return True

    def last_instance(self) -> str:
        return self._cloud.instances()[-1].instance_id

    def _client(self, role: str, service: str, plain: bool) -> Any:
        if (role, service, plain) not in self._clients:
            session = self._sessions[role]
            state = self._cloud.environment()
            endpoint = state["AWS_ENDPOINT_URL_EC2" if service == "ec2" else "AWS_ENDPOINT_URL"]
            if plain:
                endpoint = self._cloud.status()["inner_endpoint"]
            self._clients[role, service, plain] = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=endpoint,
                aws_access_key_id=session["AccessKeyId"],
                aws_secret_access_key=session["SecretAccessKey"],
                aws_session_token=session["SessionToken"],
                verify=state["AWS_CA_BUNDLE"],
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[role, service, plain]


@pytest.fixture(scope="session")
def policy_template() -> Template:
    return Template.from_app()


@pytest.fixture(scope="session")
def judge(policy_template: Template) -> Judge:
    return Judge(policy_template)


@pytest.fixture(scope="session")
def key_judge() -> Judge:
    """The same where everything is under a key of the deployment's own."""
    return Judge(Template.from_app(customer_key="true"))


@pytest.fixture(scope="session")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    settings = CloudSettings(tmp_path_factory.mktemp("iam"), enforcing=True, agent_command=sleeper, tied=True)
    with Cloud.up(settings) as cloud:
        foreign = {"SecretString": json.dumps({"current": "none of yours"})}
        cloud.client("secretsmanager").create_secret(Name=FOREIGN, **foreign)
        place = {"LocationConstraint": REGION}
        cloud.client("s3").create_bucket(Bucket=FOREIGN_BUCKET, CreateBucketConfiguration=place)
        yield Court(cloud)
    assert cloud.left_running() == []
