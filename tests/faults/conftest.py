"""One deployment in one process: the real handlers and the real agent on moto."""

from __future__ import annotations

import importlib
import json
import time
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import moto.core.utils
import pytest

import instance.agent
from avskrift.jobs.delivery import Outbox
from avskrift.local.receiver import Receiver
from instance.settings import AgentSettings
from lambdas import nudge
from tests.faults.wire import SharedSession, Wire, connect, shared_client
from tests.faults.world import IMAGE, Clock, World

LEASE_S = 90
VISIBILITY_S = {"uploads": 180, "jobs": LEASE_S, "outbox": 180}
MAX_RECEIVES = {"uploads": 5, "jobs": 50, "outbox": 5}
FUNCTIONS = ("register", "capacity", "deliver", "reconcile")


@pytest.fixture
def wire(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What the functions and the agent are connected through; the test itself uses the deployment's own clients."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # a thousand images that cost half a second
    monkeypatch.setattr(instance.agent, "FAULT_PAUSE_S", 0.01)
    monkeypatch.setattr(boto3, "client", lambda service, **_: shared_client(service))
    monkeypatch.setattr(boto3, "Session", SharedSession)
    return connect()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of everything here, moto's queues included."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(moto.core.utils, "utcnow", lambda: datetime.fromtimestamp(clock(), UTC).replace(tzinfo=None))
    monkeypatch.setattr(Outbox.__init__, "__defaults__", (clock,))
    return clock


@pytest.fixture(scope="session")
def shared_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def world(
    wire: Wire, clock: Clock, deployment: Any, shared_receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    queues = {"jobs": deployment.jobs_queue_url, "outbox": deployment.outbox_queue_url}
    queues["uploads"] = deployment.sqs.create_queue(QueueName="uploads")["QueueUrl"]
    for name, visibility_s in VISIBILITY_S.items():
        queues[f"{name}-dlq"] = deployment.sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
        _set_aside_after(deployment.sqs, queues[name], queues[f"{name}-dlq"], MAX_RECEIVES[name])
        deployment.sqs.set_queue_attributes(QueueUrl=queues[name], Attributes={"VisibilityTimeout": str(visibility_s)})
    environment = _environment(deployment, queues, shared_receiver.url)
    for name, value in environment.items():
        monkeypatch.setenv(f"AVSKRIFT_{name}", value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    functions = {name: importlib.import_module(f"lambdas.{name}") for name in FUNCTIONS}
    _forget_deployment(functions)
    yield World(
        wire=wire,
        clock=clock,
        deployment=deployment,
        receiver=shared_receiver,
        functions=functions,
        queues=queues,
        settings=_agent_settings(deployment.bucket, environment),
    )
    _forget_deployment(functions)


def _forget_deployment(functions: dict[str, types.ModuleType]) -> None:
    """Warm state belongs to one deployment; so does that of what several functions share."""
    for module in (*functions.values(), nudge):
        for member in vars(module).values():
            if hasattr(member, "cache_clear"):
                member.cache_clear()


def _set_aside_after(sqs: Any, url: str, dlq_url: str, receives: int) -> None:
    arn = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})


def _environment(deployment: Any, queues: dict[str, str], callback_url: str) -> dict[str, str]:
    secret = deployment.client("secretsmanager").create_secret(
        Name="webhooks", SecretString=json.dumps({"current": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    )
    ec2 = deployment.client("ec2")
    template = ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData={"ImageId": IMAGE})
    deployment.client("ssm").put_parameter(Name="/ami", Value=IMAGE, Type="String")
    return {
        "DEPLOYMENT": "test",
        "TABLE": "jobs",
        "BUCKET": "recordings",
        "JOBS_QUEUE_URL": queues["jobs"],
        "OUTBOX_QUEUE_URL": queues["outbox"],
        "CAPACITY_FUNCTION": "capacity",
        "SECRET_ID": secret["ARN"],
        "LAUNCH_TEMPLATE_ID": template["LaunchTemplate"]["LaunchTemplateId"],
        "SUBNET_IDS": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        "SUBNET_ZONES": "eu-north-1a",
        "INSTANCE_TYPES": "g4dn.xlarge",
        "AMI_PARAMETER": "/ami",
        "MAX_INSTANCES": "5",
        "TARGET_DRAIN_S": "600",
        "LEASE_S": str(LEASE_S),
        "NO_CAPACITY_AFTER_S": "7200",
        "MAX_FAILURES": "3",
        "MAX_USD_PER_DAY": "50",
        "MAX_LIFE_S": "21600",
        "IDLE_LIMIT_S": "600",
        "MAX_SIZE_BYTES": "1000000",
        "JOB_TTL_DAYS": "90",
        "UPLOADS_EXPIRE_DAYS": "30",
        "CALLBACK_URL": callback_url,
        "INSECURE_CALLBACKS": "1",
    }


def _agent_settings(bucket: str, environment: dict[str, str]) -> AgentSettings:
    return AgentSettings(
        deployment="test",
        region="eu-north-1",
        bucket=bucket,
        table="jobs",
        jobs_queue_url=environment["JOBS_QUEUE_URL"],
        outbox_queue_url=environment["OUTBOX_QUEUE_URL"],
        secret_id="webhooks",
        log_group="",
        model="scripted",
        device="cpu",
        linger_s=0.0,
        lease_s=float(LEASE_S),
        heartbeat_s=3_600.0,  # one beat an attempt, so that calls can be numbered
        max_life_s=21_600.0,
        max_failures=3,
        max_duration_s=3_600.0,
        insecure_callbacks=True,
    )
