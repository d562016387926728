"""The functions of a deployment in moto."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

HANDLERS = ("register", "capacity", "deliver")


class CurrentOutput:
    """Standard output as it is when something is written: a logger keeps the one of its import."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def print_log_lines_of(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for handler in module.logger._logger.handlers:
        monkeypatch.setattr(handler, "stream", CurrentOutput())


@pytest.fixture
def functions(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    secret = deployment.client("secretsmanager").create_secret(
        Name="webhooks", SecretString=json.dumps({"current": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    )
    ec2 = deployment.client("ec2")
    template = ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0"}
    )
    deployment.client("ssm").put_parameter(Name="/ami", Value="ami-0123456789abcdef0", Type="String")
    values = {
        "DEPLOYMENT": "test",
        "TABLE": "jobs",
        "JOBS_QUEUE_URL": deployment.jobs_queue_url,
        "OUTBOX_QUEUE_URL": deployment.outbox_queue_url,
        "CAPACITY_FUNCTION": "absent",
        "SECRET_ID": secret["ARN"],
        "LAUNCH_TEMPLATE_ID": template["LaunchTemplate"]["LaunchTemplateId"],
        "SUBNET_IDS": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        "SUBNET_ZONES": "eu-north-1a",
        "INSTANCE_TYPES": "g4dn.xlarge",
        "AMI_PARAMETER": "/ami",
        "MAX_INSTANCES": "5",
        "TARGET_DRAIN_S": "600",
        "LEASE_S": "90",
        "NO_CAPACITY_AFTER_S": "7200",
        "MAX_FAILURES": "3",
        "MAX_USD_PER_DAY": "50",
        "MAX_LIFE_S": "21600",
        "IDLE_LIMIT_S": "1200",
        "MAX_SIZE_BYTES": "1000000",
        "JOB_TTL_DAYS": "90",
        "UPLOADS_EXPIRE_DAYS": "30",
        "CALLBACK_URL": "http://127.0.0.1:9/nobody",
        "INSECURE_CALLBACKS": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"AVSKRIFT_{name}", value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    modules = {name: importlib.import_module(f"lambdas.{name}") for name in HANDLERS}
    for module in modules.values():
        print_log_lines_of(module, monkeypatch)
    yield modules
    for module in modules.values():  # warm state belongs to this deployment
        for member in vars(module).values():
            if hasattr(member, "cache_clear"):
                member.cache_clear()


@pytest.fixture
def function(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, with a clock an hour ahead of the uploads."""
    values = {
        "DEPLOYMENT": "test",
        "TABLE": "jobs",
        "BUCKET": deployment.bucket,
        "JOBS_QUEUE_URL": deployment.jobs_queue_url,
        "OUTBOX_QUEUE_URL": deployment.outbox_queue_url,
        "CAPACITY_FUNCTION": "capacity",
        "MAX_SIZE_BYTES": "1000000",
        "JOB_TTL_DAYS": "90",
        "UPLOADS_EXPIRE_DAYS": "30",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"AVSKRIFT_{name}", value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "reconcile")
    module = importlib.import_module("lambdas.reconcile")
    print_log_lines_of(module, monkeypatch)
    hour_ahead = time.time() + 3_600
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: hour_ahead))
    yield module
    module._reconciler.cache_clear()


@pytest.fixture
def nudges(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What λ capacity is told."""
    told: list[dict[str, Any]] = []

    class Functions:
        def invoke(self, FunctionName: str, InvocationType: str, Payload: str) -> None:
            assert (FunctionName, InvocationType) == ("capacity", "Event")
            told.append(json.loads(Payload))

    monkeypatch.setattr("lambdas.nudge._lambda_client", Functions)
    return told
