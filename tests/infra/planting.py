"""How a fault is planted: the parts of a template by name, and small changes to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.infra.security_rules import Rule, of_type

Plant = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """``plant`` changes the template it is given, which has a key of its own where ``customer_key`` says so."""

    rule: Rule
    title: str
    plant: Plant
    customer_key: bool = False


def one(template: Any, kind: str, part: str = "") -> Any:
    """Properties of the first resource of a type whose logical id contains ``part``."""
    return next(each for name, each in of_type(template, f"AWS::{kind}").items() if part in name)


def add(template: Any, kind: str, **properties: Any) -> None:
    template["Resources"]["Planted"] = {"Type": f"AWS::{kind}", "Properties": properties}


def drop(template: Any, kind: str, part: str = "") -> None:
    name = next(name for name in of_type(template, f"AWS::{kind}") if part in name)
    del template["Resources"][name]


def launch_data(template: Any) -> Any:
    return one(template, "EC2::LaunchTemplate")["LaunchTemplateData"]


def allow(template: Any, part: str, action: Any, resource: Any = "arn:aws:s3:::b", **more: Any) -> None:
    """One more statement in a role's policy."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    one(template, "IAM::Role", part)["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def policy_statements(template: Any, kind: str) -> Any:
    return one(template, kind)["PolicyDocument"]["Statement"]


def allowing(statements: Any) -> Any:
    return next(each for each in statements if each["Effect"] == "Allow")


def open_to_everybody(template: Any, kind: str) -> None:
    policy_statements(template, kind).append(
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "*"}
    )


def dead_letters(template: Any) -> Any:
    return one(template, "SQS::Queue", "UploadsDlq")


def queue(template: Any, part: str) -> Any:
    """The one of the two that is worked on."""
    queues = of_type(template, "AWS::SQS::Queue").items()
    return next(each for name, each in queues if part in name and "RedrivePolicy" in each)


def lifecycle(template: Any) -> Any:
    return one(template, "S3::Bucket")["LifecycleConfiguration"]["Rules"]


def taken_by(template: Any, part: str, principal: Any) -> None:
    document = one(template, "IAM::Role", part)["AssumeRolePolicyDocument"]
    document["Statement"].append({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal})


def resource(template: Any, kind: str) -> Any:
    return next(each for each in template["Resources"].values() if each["Type"] == f"AWS::{kind}")


def alarm_on(template: Any, metric: str, part: str = "") -> str:
    """The alarm on a metric; ``part``: of something whose logical id contains it."""
    return next(
        name
        for name, each in of_type(template, "AWS::CloudWatch::Alarm").items()
        if each["MetricName"] == metric and part in str(each["Dimensions"])
    )


def add_clocked_function(template: Any) -> None:
    target = {"Arn": {"Fn::GetAtt": ["Planted", "Arn"]}}
    add(template, "Events::Rule", ScheduleExpression="rate(1 hour)", Targets=[target])
