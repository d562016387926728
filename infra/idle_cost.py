"""What a deployment costs in a month in which nothing is uploaded, computed from its template.

``python -m infra.idle_cost`` prints it, for cdk.json's settings and those given as ``name=value``. A type of resource
that nobody has looked up is refused, so that no addition to the stack is free by mistake.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.limits import SYSTEM_DISK_GIB

Template = Mapping[str, Any]

HOURS = 730
MINUTES = HOURS * 60
MILLION = 1e6
GIB = 1024**3


@dataclass(frozen=True)
class Price:
    """US dollars for a ``unit``; ``free``: units a month that every account has for nothing, without end."""

    usd: float
    unit: str
    free: float = 0.0


#: List prices of us-east-1, where pages show them without a region. eu-north-1's differ in the lines of cents only:
#: alarms, secrets, keys, dashboards and SQS cost the same everywhere but in China and GovCloud. Read 2026-11, of
#: aws.amazon.com/{cloudwatch,secrets-manager,kms,lambda,sqs,dynamodb,s3,ebs}/pricing and their transcripts
#: github.com/api-evangelist/{cloudwatch,amazon-secrets-manager,aws-lambda} of 2026-05 and 2026-09.
ALARM = Price(0.10, "", free=10)
DASHBOARD = Price(3.00, "", free=3)
SECRET = Price(0.40, "")
KEY = Price(1.00, "")
KEY_REQUEST = Price(0.03 / 10_000, "requests", free=20_000)
LAMBDA_REQUEST = Price(0.20 / MILLION, "invocations", free=MILLION)
LAMBDA_GB_S = Price(0.0000133334, "GB-seconds", free=400_000)
SQS_REQUEST = Price(0.40 / MILLION, "requests", free=MILLION)
#: Since November 2024. The free 25 units are for provisioned tables only.
DYNAMODB_READ = Price(0.125 / MILLION, "read units")
DYNAMODB_WRITE = Price(0.625 / MILLION, "write units")
S3_LIST = Price(0.005 / 1_000, "requests")
LOGS = Price(0.50, "GB", free=5)
SNAPSHOT = Price(0.05, "GB")

#: Lambda polls a queue with five connections, each of which waits 20 s (AWS, "Using Lambda with Amazon SQS";
#: 15 empty receives a minute were counted in getlift/lift#132).
POLLERS = 5
POLLS_PER_MINUTE = 3
#: Minutes for which DynamoDB keeps a caller's key without asking KMS again ("How Amazon DynamoDB uses AWS KMS": five of
#: inactivity; one that never rests is counted as often). Nothing else needs the key while nothing is sent or stored.
KEY_KEPT_MIN = 5
#: START, END and REPORT, as Lambda writes them for each invocation, each with the 26 bytes that CloudWatch adds.
PLATFORM_LOG_BYTES = 67 + 52 + 130 + 3 * 26


@dataclass(frozen=True)
class IdlePass:
    """What one run by the clock asks of AWS while nothing is to be done; the requests are counted by a test.

    ``duration_s`` can only be estimated without AWS: ten calls of 10 to 40 ms each, one after the other.
    """

    duration_s: float
    dynamodb_reads: float = 0.0
    """Read units: 1 for a consistent GetItem, 0.5 for a Query of nothing."""
    dynamodb_writes: float = 0.0
    sqs_requests: int = 0
    s3_lists: int = 0
    log_bytes: int = 0


IDLE_PASSES = {
    "lambdas.capacity.handler": IdlePass(0.5, dynamodb_reads=3.5, dynamodb_writes=3, sqs_requests=1),
    # It has grown cold after ten minutes, and its start is billed too.
    "lambdas.reconcile.handler": IdlePass(1.5, dynamodb_reads=1, s3_lists=1),
}

#: Types that cost nothing, or nothing while nothing is stored, sent or launched. Schedules are AWS' own events, which
#: EventBridge does not charge for.
FREE_TYPES = frozenset(
    {
        *("AWS::CDK::Metadata", "AWS::DynamoDB::Table", "AWS::IAM::InstanceProfile", "AWS::IAM::Role"),
        *("AWS::EC2::InternetGateway", "AWS::EC2::LaunchTemplate", "AWS::EC2::Route", "AWS::EC2::RouteTable"),
        *("AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPC"),
        *("AWS::EC2::VPCGatewayAttachment", "AWS::KMS::Alias", "AWS::Lambda::EventInvokeConfig"),
        *("AWS::Lambda::Permission", "AWS::Logs::LogGroup", "AWS::Logs::QueryDefinition", "AWS::S3::Bucket"),
        *("AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy"),
        *("AWS::SQS::Queue", "AWS::SQS::QueuePolicy"),
    }
)
PRICED_TYPES = frozenset(
    {
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::KMS::Key"),
        *("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::SecretsManager::Secret"),
    }
)


@dataclass(frozen=True)
class Line:
    """So many units of something in a month."""

    what: str
    quantity: float
    price: Price

    @property
    def usd(self) -> float:
        return self.quantity * self.price.usd

    @property
    def usd_beyond_free(self) -> float:
        """Where nothing else in the account uses up what is free."""
        return max(0.0, self.quantity - self.price.free) * self.price.usd


@dataclass(frozen=True)
class Clock:
    """What the schedules ask for in a month, all functions together."""

    invocations: float = 0.0
    gb_s: float = 0.0
    reads: float = 0.0
    writes: float = 0.0
    sqs_requests: float = 0.0
    lists: float = 0.0
    log_bytes: float = 0.0
    key_requests: float = 0.0
    """Where the table has a key of the deployment's own."""


def idle_lines(template: Template, snapshot_gib: float = SYSTEM_DISK_GIB) -> list[Line]:
    """Everything that an idle month is billed for. ``snapshot_gib``: what the machine image holds.

    Raises ``ValueError`` for a type of resource without a price, and for a function by the clock that was not counted.
    """
    _refuse_unknown(template)
    clock = _clock(template)
    polls = len(_of(template, "AWS::Lambda::EventSourceMapping")) * POLLERS * POLLS_PER_MINUTE * MINUTES
    alarms = sum(max(1, len(alarm.get("Metrics", []))) for alarm in _of(template, "AWS::CloudWatch::Alarm"))
    keys = len(_of(template, "AWS::KMS::Key"))
    lines = [
        Line("alarms", alarms, ALARM),
        Line("the webhooks' secret", len(_of(template, "AWS::SecretsManager::Secret")), SECRET),
        Line("key of your own (`customer_key`)", keys, KEY),
        Line("DynamoDB's use of it", clock.key_requests if keys else 0, KEY_REQUEST),
        Line("dashboard", len(_of(template, "AWS::CloudWatch::Dashboard")), DASHBOARD),
        Line("snapshot of the machine image", snapshot_gib, SNAPSHOT),
        Line(
            "Lambda's polling of two queues, and capacity's look at the third", polls + clock.sqs_requests, SQS_REQUEST
        ),
        Line("λ capacity every minute, λ reconcile every ten: requests", clock.invocations, LAMBDA_REQUEST),
        Line("the same: duration at 512 MB", clock.gb_s, LAMBDA_GB_S),
        Line("what they read", clock.reads, DYNAMODB_READ),
        Line("what they write", clock.writes, DYNAMODB_WRITE),
        Line("λ reconcile's look at the bucket", clock.lists, S3_LIST),
        Line("their logs", clock.log_bytes / GIB, LOGS),
    ]
    return [line for line in lines if line.quantity]


def table_of(lines: Sequence[Line]) -> str:
    """The lines as a table in Markdown, with their sums."""
    rows = ["| a month of idling | units | USD | beyond what is always free |", "|---|--:|--:|--:|"]
    rows += [f"| {line.what} | {_number(line)} | {line.usd:.2f} | {line.usd_beyond_free:.2f} |" for line in lines]
    total, beyond = sum(line.usd for line in lines), sum(line.usd_beyond_free for line in lines)
    return "\n".join([*rows, f"| **all** | | **{total:.2f}** | **{beyond:.2f}** |"])


def _number(line: Line) -> str:
    number = f"{line.quantity:,.0f}" if line.quantity >= 1 else f"{line.quantity:.3f}"
    return f"{number} {line.price.unit}".strip()


def _of(template: Template, kind: str) -> list[Mapping[str, Any]]:
    return [each.get("Properties", {}) for each in template["Resources"].values() if each["Type"] == kind]


def _refuse_unknown(template: Template) -> None:
    unknown = {each["Type"] for each in template["Resources"].values()} - FREE_TYPES - PRICED_TYPES
    endpoints = _of(template, "AWS::EC2::VPCEndpoint")
    if all(endpoint.get("VpcEndpointType") == "Gateway" for endpoint in endpoints):  # others cost by the hour
        unknown.discard("AWS::EC2::VPCEndpoint")
    if unknown:
        raise ValueError(f"Nobody has looked up what these cost while idle: {', '.join(sorted(unknown))}.")


def _clock(template: Template) -> Clock:
    runs = list(_runs(template))
    return Clock(
        invocations=sum(times for times, _, _ in runs),
        gb_s=sum(times * memory_gb * one.duration_s for times, memory_gb, one in runs),
        reads=sum(times * one.dynamodb_reads for times, _, one in runs),
        writes=sum(times * one.dynamodb_writes for times, _, one in runs),
        sqs_requests=sum(times * one.sqs_requests for times, _, one in runs),
        lists=sum(times * one.s3_lists for times, _, one in runs),
        log_bytes=sum(times * (one.log_bytes + PLATFORM_LOG_BYTES) for times, _, one in runs),
        key_requests=sum(min(times, MINUTES / KEY_KEPT_MIN) for times, _, _ in runs),
    )


def _runs(template: Template) -> Iterator[tuple[float, float, IdlePass]]:
    """Of each schedule's function: runs a month, memory in GB, and what one run does."""
    for rule in _of(template, "AWS::Events::Rule"):
        if "ScheduleExpression" not in rule:
            continue
        for target in rule["Targets"]:
            function = template["Resources"][target["Arn"]["Fn::GetAtt"][0]]["Properties"]
            if function["Handler"] not in IDLE_PASSES:
                raise ValueError(f"Nobody has counted what an idle run of {function['Handler']} asks of AWS.")
            runs = MINUTES / _every_minutes(rule["ScheduleExpression"])
            yield runs, function["MemorySize"] / 1024, IDLE_PASSES[function["Handler"]]


def _every_minutes(rate: str) -> int:
    found = re.fullmatch(r"rate\((\d+) minutes?\)", rate)
    if not found:
        raise ValueError(f"A schedule of another kind than rate(… minutes): {rate}")
    return int(found[1])


def _template(settings: Sequence[str]) -> Template:
    """The stack as cdk.json describes it, with these ``name=value`` over it."""
    from infra.__main__ import prefer_node_beside_python

    prefer_node_beside_python()
    from aws_cdk import Stack
    from aws_cdk.assertions import Template as Synthesized

    from infra.app import build_app
    from infra.bundling import CHECKOUT

    context = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
    context |= dict(setting.split("=", 1) for setting in settings)
    stack = build_app({**context, "aws:cdk:bundling-stacks": []}).node.find_child(context["name"])
    if not isinstance(stack, Stack):
        raise TypeError("the app's child is no stack")
    return dict(Synthesized.from_stack(stack).to_json())


def main() -> None:
    from avskrift.errors import ConfigurationError

    wrong = [word for word in sys.argv[1:] if "=" not in word]
    if wrong:
        sys.exit("Usage: python -m infra.idle_cost [SETTING=VALUE]…   for example: dashboard=false customer_key=true")
    try:
        print(table_of(idle_lines(_template(sys.argv[1:]))))  # noqa: T201 - what it is for
    except ConfigurationError as error:
        sys.exit(f"Configuration: {error.message}")


if __name__ == "__main__":
    main()
