"""What tests of every area share: a deployment's table, bucket and queues in moto, and jobs to put there."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import boto3
import pytest
from hypothesis import settings
from moto import mock_aws

from avskrift.jobs.events import Upload
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions, OptionRules
from avskrift.jobs.register import RegisterSettings, Registrar
from avskrift.jobs.table import STATUS_INDEX, JobTable
from avskrift.own_words import OwnWords

REGION = "eu-north-1"
NOW = 1_700_000_000.0
CALLBACK_URL = "https://receiver.example/hook"

# CDK's own validation takes 5 s a template, in clouds too; test_infra_app.py synthesizes once with it. jsii's process
# reads it at the first import of aws_cdk in this one, whichever test that is for.
os.environ["CDK_VALIDATION"] = "false"

# How long an example takes is the machine's business, and other tests run beside it.
settings.register_profile("avskrift", deadline=None)
settings.load_profile("avskrift")


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Hear interrupts, even where a script has started us in its background: children inherit that they are ignored,
    and some tests interrupt theirs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the scheduler the groups: xdist 3.8 writes them where pytest reads ids from before 9.2, and nowhere else.

    Without it, every worker would build a cloud of each group for itself.
    """
    for item in items:
        named = vars(item).get("_nodeid", "")
        if "@" in named and named != item.nodeid:
            item._id = type(item.id).parse(named)


@pytest.fixture(autouse=True)
def _unfiltered_root() -> Iterator[None]:
    """A function has its process to itself, and filters what its root logger's handlers take; pytest's are for all."""
    yield
    logging.captureWarnings(False)
    for handler in logging.getLogger().handlers:
        handler.filters[:] = [one for one in handler.filters if not isinstance(one, OwnWords)]


@dataclass(frozen=True)
class Deployment:
    """One deployment's data plane in moto."""

    table: JobTable
    dynamodb: Any
    s3: Any
    sqs: Any
    bucket: str
    jobs_queue_url: str
    outbox_queue_url: str

    def client(self, service: str) -> Any:
        """A client of another service in the same moto."""
        return _client(service)

    def put(self, key: str, body: bytes = b"sound", **metadata: str) -> Upload:
        """Put a recording as a client would; what EventBridge would tell of it."""
        response = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)
        return Upload(self.bucket, key, response["VersionId"], len(body))

    def registrar(self, **rules: Any) -> Registrar:
        settings = RegisterSettings(
            jobs_queue_url=self.jobs_queue_url,
            outbox_queue_url=self.outbox_queue_url,
            rules=replace(RULES, **rules),
            max_size_bytes=1_000_000,
            job_ttl_days=90,
            uploads_expire_days=30,
        )
        return Registrar(self.table, self.s3, self.sqs, settings)

    def messages(self, queue_url: str) -> list[dict[str, Any]]:
        """Take every message that waits in a queue."""
        bodies = []
        while received := self.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [json.loads(message["Body"]) for message in received]
        return bodies


RULES = OptionRules(formats=("txt", "json", "srt", "vtt"), default_callback_url=CALLBACK_URL)


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the caller's credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@cache
def _client(service: str) -> Any:
    """Made once in a process: to read a service's description costs more than most tests. What it does is moto's."""
    return boto3.client(service)


@pytest.fixture
def deployment(aws_environment: None) -> Iterator[Deployment]:
    with mock_aws():
        dynamodb = _client("dynamodb")
        dynamodb.create_table(
            TableName="jobs",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "status_key", "AttributeType": "S"},
                {"AttributeName": "status_at", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": STATUS_INDEX,
                    "KeySchema": [
                        {"AttributeName": "status_key", "KeyType": "HASH"},
                        {"AttributeName": "status_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        s3 = _client("s3")
        s3.create_bucket(Bucket="recordings", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket="recordings", VersioningConfiguration={"Status": "Enabled"})
        sqs = _client("sqs")
        yield Deployment(
            table=JobTable(dynamodb, "jobs"),
            dynamodb=dynamodb,
            s3=s3,
            sqs=sqs,
            bucket="recordings",
            jobs_queue_url=sqs.create_queue(QueueName="jobs")["QueueUrl"],
            outbox_queue_url=sqs.create_queue(QueueName="outbox")["QueueUrl"],
        )


@pytest.fixture
def queued_job() -> Job:
    """A job that waits for an instance."""
    return Job(
        job_id="j" * 26,
        status=JobStatus.QUEUED,
        bucket="recordings",
        key="uploads/intervju.mp3",
        version_id="v1",
        size_bytes=1_000_000,
        options=JobOptions(callback_url=CALLBACK_URL),
        status_at=NOW,
        expires_at=int(NOW) + 86_400,
        phases={"queued": NOW},
    )
