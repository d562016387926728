"""An AWS account that answers from a table, each answer checked against botocore's model of the service."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator

from avskrift import __version__
from avskrift.doctor.check import Check, Level
from avskrift.doctor.examination import examine, examine_plan
from avskrift.doctor.subject import Settings

ACCOUNT = "123456789012"
REGION = "eu-north-1"
BUCKET, TOPIC = "press-recordings", f"arn:aws:sns:{REGION}:{ACCOUNT}:press"
IMAGE = "ami-0123456789abcdef0"
PARTS = ("register", "capacity", "reconcile", "deliver")
ZONES = tuple(f"{REGION}{letter}" for letter in "abc")
TYPES = ("g4dn.xlarge", "g5.xlarge")
MAPPING = "5b1c8d9e-0000-4000-8000-000000000001"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:uploads"


@dataclass(frozen=True)
class Refusal:
    """An error answer of AWS."""

    code: str
    message: str = ""
    status: int = HTTPStatus.BAD_REQUEST


Answer = Mapping[str, Any] | Refusal | Callable[[dict[str, Any]], "Mapping[str, Any] | Refusal"]

SETTINGS = Settings(
    name="press",
    region=REGION,
    ami_parameter="/avskrift/press/ami",
    availability_zones=ZONES,
    instance_types=TYPES,
    root_volume_gib=50,
    max_instances=2,
    allowed_callback_hosts=("receiver.example",),
)

OUTPUTS = {
    "BucketName": BUCKET,
    "TableName": "press-jobs",
    "UploadsQueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/uploads",
    **{
        f"{name}DlqUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
        for name in ("Uploads", "Jobs", "Outbox")
    },
    **{f"{part.capitalize()}Function": f"press-{part}" for part in PARTS},
    "LaunchTemplateId": "lt-1",
    "SecretId": "press-secret",
    "AlarmTopicArn": TOPIC,
    "Version": __version__,
}
ENVIRONMENT = {
    "AVSKRIFT_AMI_PARAMETER": "/avskrift/press/ami",
    "AVSKRIFT_SUBNET_ZONES": ",".join(ZONES),
    "AVSKRIFT_INSTANCE_TYPES": ",".join(TYPES),
    "AVSKRIFT_MAX_INSTANCES": "2",
    "AVSKRIFT_CALLBACK_URL": "",
    "AVSKRIFT_ALLOWED_CALLBACK_HOSTS": "receiver.example",
}


def stack(status: str = "UPDATE_COMPLETE", **outputs: str) -> dict[str, Any]:
    listed = [{"OutputKey": name, "OutputValue": value} for name, value in {**OUTPUTS, **outputs}.items()]
    made = "2026-11-21T12:00:00Z"
    return {"Stacks": [{"StackName": "press", "CreationTime": made, "StackStatus": status, "Outputs": listed}]}


def image(**changed: Any) -> dict[str, Any]:
    sound = {
        "ImageId": IMAGE,
        "OwnerId": ACCOUNT,
        "State": "available",
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 16}}],
        "CreationDate": "2026-11-20T12:00:00.000Z",
    }
    return {"Images": [{**sound, **changed}]}


def offers(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"InstanceTypeOfferings": [{"InstanceType": kind, "Location": zone} for kind, zone in pairs]}


def kinds(architecture: str = "x86_64", **gpus: str) -> dict[str, Any]:
    """The deployment's types; ``gpus`` names whose GPU each has, by the type's family: NVIDIA's unless said."""
    runs = {"SupportedArchitectures": [architecture]}
    size = {"DefaultVCpus": 4}
    found = []
    for name in TYPES:
        maker = gpus.get(name.partition(".")[0], "NVIDIA")
        gpu = {"GpuInfo": {"Gpus": [{"Manufacturer": maker, "Count": 1}]}} if maker else {}
        found.append({"InstanceType": name, "VCpuInfo": size, "ProcessorInfo": runs, **gpu})
    return {"InstanceTypes": found}


def function(request: dict[str, Any], **changed: Any) -> dict[str, Any]:
    name = request["FunctionName"]
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    sound = {"State": "Active", "LastUpdateStatus": "Successful", "Environment": {"Variables": ENVIRONMENT}}
    return {"FunctionName": name, "FunctionArn": arn, **sound, **changed}


def rule(request: dict[str, Any], **changed: Any) -> dict[str, Any]:
    name = request["Name"]
    pattern = json.dumps({"detail": {"bucket": {"name": [BUCKET]}}})
    kind = {"EventPattern": pattern} if name == "uploads" else {"ScheduleExpression": "rate(1 minute)"}
    return {"Name": name, "Arn": rule_arn(name), "State": "ENABLED", **kind, **changed}


def rule_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"


def statement(effect: str = "Allow", rule_name: str = "uploads", action: str = "sqs:SendMessage") -> dict[str, Any]:
    """Of the queue's policy, about one rule."""
    return {
        "Effect": effect,
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["sqs:GetQueueUrl", action],
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn(rule_name)}},
    }


def queue(**changed: str) -> dict[str, Any]:
    allow = statement()
    sound = {"QueueArn": QUEUE_ARN, "ApproximateNumberOfMessages": "0", "Policy": json.dumps({"Statement": [allow]})}
    return {"Attributes": {**sound, **changed}}


def key(state: str) -> dict[str, Any]:
    return {"KeyMetadata": {"KeyId": "key-1", "KeyState": state}}


def quota(value: float) -> dict[str, Any]:
    return {"Quota": {"Value": value}}


def resource(kind: str, physical_id: str) -> dict[str, Any]:
    """One of the stack's, by its type and name."""
    state = {"ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": "2026-11-21T12:00:00Z"}
    return {"ResourceType": kind, "LogicalResourceId": "One", "PhysicalResourceId": physical_id, **state}


WELL: Mapping[str, Answer] = {
    "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/ada"},
    "DescribeStacks": stack(),
    "DescribeAvailabilityZones": {"AvailabilityZones": [{"ZoneName": zone} for zone in ZONES]},
    "DescribeInstanceTypeOfferings": offers(*((kind, zone) for kind in TYPES for zone in ZONES)),
    "DescribeInstanceTypes": kinds(),
    "GetServiceQuota": quota(8),
    "ListRoles": {
        "Roles": [
            {
                "Path": "/aws-service-role/spot.amazonaws.com/",
                "RoleName": "AWSServiceRoleForEC2Spot",
                "RoleId": "AROA0123456789ABCDEF",
                "Arn": f"arn:aws:iam::{ACCOUNT}:role/spot",
                "CreateDate": "2026-11-21T12:00:00Z",
            }
        ]
    },
    "GetParameter": lambda request: {"Parameter": {"Value": IMAGE if "ami" in request["Name"] else "33"}},
    "DescribeImages": image(),
    "DescribeLaunchTemplateVersions": {
        "LaunchTemplateVersions": [
            {"LaunchTemplateData": {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50}}]}}
        ]
    },
    "HeadBucket": {},
    "DescribeTable": {"Table": {"TableStatus": "ACTIVE"}},
    "DescribeVpcs": {"Vpcs": [{"VpcId": "vpc-1"}]},
    "DescribeAlarms": {"MetricAlarms": []},
    "ListStackResources": {
        "StackResourceSummaries": [
            resource("AWS::CloudWatch::Alarm", "press-no-beat"),
            resource("AWS::KMS::Key", "key-1"),
        ]
    },
    "DescribeKey": key("Enabled"),
    "GetBucketNotificationConfiguration": {"EventBridgeConfiguration": {}},
    "GetQueueAttributes": queue(),
    "ListRuleNamesByTarget": lambda request: {"RuleNames": ["uploads" if "sqs" in request["TargetArn"] else "clock"]},
    "DescribeRule": rule,
    "GetFunctionConfiguration": function,
    "ListEventSourceMappings": {"EventSourceMappings": [{"UUID": MAPPING, "State": "Enabled"}]},
    "GetSecretValue": {"SecretString": json.dumps({"current": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})},
    "ListSubscriptionsByTopic": {"Subscriptions": [{"SubscriptionArn": f"{TOPIC}:1"}]},
}
NO_STACK = Refusal("ValidationError", "Stack with id press does not exist")


@dataclass
class Account:
    """Answers by operation; what was asked is kept."""

    session: boto3.Session
    answers: dict[str, Answer]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    has_more: bool = False
    """What the table does not say is asked of whoever stands for AWS beside it (moto)."""

    def examine(self, settings: Settings = SETTINGS) -> list[Check]:
        return list(examine(self.session, settings))

    def examine_plan(self, settings: Settings = SETTINGS) -> list[Check]:
        return list(examine_plan(self.session, settings))

    def answer(self, model: Any, request: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]] | None:
        """What botocore's ``before-call`` event takes for the answer."""
        self.asked.append((model.name, request))
        if self.has_more and model.name not in self.answers:
            return None
        told = self.answers[model.name]
        if callable(told):
            told = told(request)
        status, parsed = HTTPStatus.OK, told
        if isinstance(told, Refusal):
            status, parsed = told.status, {"Error": {"Code": told.code, "Message": told.message}}
        elif model.output_shape is not None:
            report = ParamValidator().validate(told, model.output_shape)
            assert not report.has_errors(), f"{model.name}: {report.generate_report()}"
        response = AWSResponse("https://aws.example", status, {}, None)
        return response, {**copy.deepcopy(parsed), "ResponseMetadata": {"HTTPStatusCode": int(status)}}


def by_name(checks: list[Check]) -> dict[str, Check]:
    """The worst line of each name."""
    order = [Level.GREEN, Level.YELLOW, Level.RED]
    worst: dict[str, Check] = {}
    for check in checks:
        if check.name not in worst or order.index(check.level) > order.index(worst[check.name].level):
            worst[check.name] = check
    return worst


def reach_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers answer, without a network; the shell is in the region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    monkeypatch.setattr("avskrift.doctor.callback.connect", lambda *_: nullcontext())
    monkeypatch.setattr("avskrift.doctor.callback.shake_hands", lambda *_: None)


def open_account() -> Account:
    """An account with one session and its clients for all tests: to make them takes longer than the tests do."""
    core = botocore.session.Session(session_vars={"profile": (None, [], None, None)})
    session = boto3.Session("test", "test", region_name=REGION, botocore_session=core)
    session.client = cache(session.client)  # type: ignore[method-assign,assignment]
    account = Account(session, {})
    requests: dict[str, dict[str, Any]] = {}

    def remember(params: dict[str, Any], model: Any, **_: Any) -> None:
        requests[model.name] = dict(params)

    core.register("provide-client-params", remember)
    core.register("before-call", lambda model, **_: account.answer(model, requests[model.name]))
    return account
