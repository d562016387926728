"""The functions as AWS runs them: the asset that is deployed, alone, in AWS' own runtime client, with the environment
of the synthesized template and the emulator behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import JobStatus
from avskrift.jobs.table import STATUS_INDEX, JobTable
from avskrift.local.emulator import Emulator
from avskrift.local.loopback import Handler, LoopbackServer
from avskrift.local.receiver import Receiver
from infra.bundling import write_asset
from tests.iam.template import PARTS, Template
from tests.infra.runtime_api import FunctionProcess, runtime_folder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lambda-runtime")]

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Stage:
    """Bucket, queues, table and secret as the stack has them, and a receiver of webhooks."""

    emulator: Emulator
    receiver: Receiver
    table: JobTable
    queues: dict[str, str]
    secret: str

    def environment(self, part: str) -> dict[str, str]:
        """What the template gives a function, with this stage's names for the template's."""
        template = Template.from_app()
        (function,) = [
            one["Properties"]
            for one in template.resources.values()
            if one["Type"] == "AWS::Lambda::Function" and one["Properties"]["Handler"] == f"lambdas.{part}.handler"
        ]
        given = template.resolve(function["Environment"]["Variables"])
        ours = {
            "AVSKRIFT_BUCKET": "recordings",
            "AVSKRIFT_TABLE": self.table.name,
            "AVSKRIFT_JOBS_QUEUE_URL": self.queues["jobs"],
            "AVSKRIFT_OUTBOX_QUEUE_URL": self.queues["outbox"],
            "AVSKRIFT_SECRET_ID": self.secret,
            "AVSKRIFT_CALLBACK_URL": self.receiver.url,
        }
        return {
            **given,
            **{name: value for name, value in ours.items() if name in given},
            "AVSKRIFT_INSECURE_CALLBACKS": "1",
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_REGION": "eu-north-1",
            "AWS_DEFAULT_REGION": "eu-north-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def put(self, key: str, body: bytes = b"sound", **metadata: str) -> tuple[str, dict[str, Any]]:
        """A recording: the id its job will have, and the event that S3 sends by EventBridge and SQS."""
        put = self.emulator.client("s3").put_object(Bucket="recordings", Key=key, Body=body, Metadata=metadata)
        detail = {
            "version": "0",
            "bucket": {"name": "recordings"},
            "object": {"key": key, "size": len(body), "etag": "x", "version-id": put["VersionId"], "sequencer": "00"},
            "reason": "PutObject",
        }
        event = {"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        return job_id_for("recordings", key, put["VersionId"]), batch(json.dumps(event))

    def received(self, queue: str) -> list[str]:
        """Bodies of the messages that wait in a queue, taken."""
        sqs, bodies = self.emulator.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queues[queue], MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=self.queues[queue], ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies


def batch(*bodies: str) -> dict[str, Any]:
    """Messages as an SQS event source mapping hands them over."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-north-1:123456789012:queue",
                "awsRegion": "eu-north-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with (
        Emulator.on_free_port(tmp_path_factory.mktemp("emulator")) as emulator,
        Receiver([f"whsec_{SECRET}"]) as receiver,
    ):
        s3, sqs = emulator.client("s3"), emulator.client("sqs")
        s3.create_bucket(Bucket="recordings", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        s3.put_bucket_versioning(Bucket="recordings", VersioningConfiguration={"Status": "Enabled"})
        emulator.client("ssm").put_parameter(Name="/avskrift/avskrift/ami", Value="none", Type="String")
        secret = emulator.client("secretsmanager").create_secret(
            Name="webhooks", SecretString=json.dumps({"current": SECRET})
        )
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("jobs", "outbox")}
        yield Stage(emulator, receiver, _make_table(emulator), queues, secret["ARN"])


def _make_table(emulator: Emulator) -> JobTable:
    dynamodb = emulator.client("dynamodb")
    names = {"pk": "S", "status_key": "S", "status_at": "N"}
    dynamodb.create_table(
        TableName="jobs",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in names.items()],
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
    return JobTable(dynamodb, "jobs")


@pytest.fixture(scope="module")
def start(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], FunctionProcess]]:
    """A function by its part, started at its first use and warm afterwards."""
    asset, runtime = tmp_path_factory.mktemp("asset"), runtime_folder(tmp_path_factory.mktemp("runtime"))
    write_asset(asset)
    running: dict[str, FunctionProcess] = {}

    def started(part: str) -> FunctionProcess:
        if part not in running:
            log = Path(tmp_path_factory.mktemp("log")) / f"{part}.log"
            running[part] = FunctionProcess(f"lambdas.{part}.handler", asset, runtime, stage.environment(part), log)
        return running[part]

    yield started
    for process in running.values():
        process.stop()


def test_register_makes_a_job_of_an_upload(stage: Stage, start: Callable[[str], FunctionProcess]) -> None:
    job_id, event = stage.put("uploads/en intervju + två.ogg")
    answer = start("register").invoke(event)
    assert (answer.kind, answer.value) == ("response", {"batchItemFailures": []})
    job = stage.table.get(job_id)
    assert job is not None
    assert job.status is JobStatus.QUEUED
    assert [json.loads(body)["job_id"] for body in stage.received("jobs")] == [job_id]
    assert [line["job_id"] for line in start("register").lines() if "job_id" in line] == [job_id]


def test_deliver_sends_the_webhook_of_a_job_that_ended(stage: Stage, start: Callable[[str], FunctionProcess]) -> None:
    job_id, event = stage.put("uploads/bad.ogg", **{"avskrift-colour": "blue"})
    assert start("register").invoke(event).value == {"batchItemFailures": []}
    (message,) = stage.received("outbox")
    answer = start("deliver").invoke(batch(message))
    assert (answer.kind, answer.value) == ("response", {"batchItemFailures": []})
    reception = stage.receiver.find(job_id)
    assert reception is not None
    assert (reception.verified, reception.type) == (True, "job.failed")


class Babbling(Handler):
    """A receiver that answers with a header that is none."""

    def do_POST(self) -> None:
        self.read_body()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")


def test_urllib3s_warning_of_an_answer_is_kept_without_its_address(
    stage: Stage, start: Callable[[str], FunctionProcess]
) -> None:
    """Lambda's runtime puts a handler on the root logger, which writes what any library logs."""
    job_id, event = stage.put("uploads/bad.ogg", **{"avskrift-colour": "green"})
    start("register").invoke(event)
    (message,) = stage.received("outbox")
    entry = stage.table.outbox_entry(json.loads(message)["outbox_id"])
    assert entry is not None
    server = LoopbackServer(Babbling)
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/hook?token=hemlig"
        stage.table.put_values({**entry.to_dict(), "url": url})
        assert start("deliver").invoke(batch(message)).value == {"batchItemFailures": []}
    finally:
        server.stop()
    log = start("deliver").log()
    assert [line["http_status"] for line in start("deliver").lines() if line.get("job_id") == job_id] == [200]
    assert "urllib3.connection logged a line, which is left out" in log
    assert "hemlig" not in log
    assert "Traceback" not in log


def test_capacity_makes_a_pass(stage: Stage, start: Callable[[str], FunctionProcess]) -> None:
    answer = start("capacity").invoke({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    assert (answer.kind, answer.value) == ("response", {"passes": 1})


def test_reconcile_looks_at_the_bucket(start: Callable[[str], FunctionProcess]) -> None:
    answer = start("reconcile").invoke({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    assert answer.kind == "response"
    assert answer.value["faults"] == 0


@pytest.mark.parametrize("part", ["register", "deliver"])
@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"detail": null, "outbox_id": 7}'])
def test_message_of_nonsense_is_dropped_and_the_function_goes_on(
    part: str, body: str, start: Callable[[str], FunctionProcess]
) -> None:
    answer = start(part).invoke(batch(body))
    assert (answer.kind, answer.value) == ("response", {"batchItemFailures": []})


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("event", [{}, {"Records": 7}, {"source": ["x"], "detail": "y"}], ids=str)
def test_event_of_nonsense_never_ends_the_process(
    part: str, event: Any, start: Callable[[str], FunctionProcess]
) -> None:
    """An error answer is fine (somebody called the function by hand): the next event is served all the same."""
    assert start(part).invoke(event).kind in ("response", "error")
    following = batch("no json") if part in ("register", "deliver") else {"source": "aws.events", "detail": {}}
    assert start(part).invoke(following).kind == "response"
