"""Ways an instance ends: real agent processes, each way with all the others disabled. The process is the machine.

Table, bucket and queue are the emulator's, reached past a gateway that can stop answering; the metadata server is real.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avskrift.jobs.layout import checkpoint_key
from avskrift.jobs.messages import send_job
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.table import JobTable
from avskrift.local.ec2.state import Instance, LaunchSpec
from avskrift.local.emulator import Emulator
from avskrift.local.imds import MetadataServer, Notices
from avskrift.local.loopback import Handler, LoopbackServer
from avskrift.local.processes import Launch, TetheredProcess, await_condition, last_lines

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0
LOG_GROUP = "/avskrift/test/agent"
NOTICE_LIMIT_S = 100.0
"""Twenty seconds before EC2 takes the instance."""


class Gateway:
    """Stands before the emulator; once ``hangs`` is set, uploads to the bucket are accepted and never answered.

    ``hangs_for_logs``: the same of what is sent to CloudWatch Logs.
    """

    def __init__(self, port: int) -> None:
        self.hangs = threading.Event()
        self.hangs_for_logs = threading.Event()
        self._released = threading.Event()
        self.server = LoopbackServer(self._handler(port))

    def release(self) -> None:
        self._released.set()

    def _handler(gateway, port: int) -> type[Handler]:
        class Forward(Handler):
            def do_POST(self) -> None:
                body = self.read_body()
                if gateway.hangs_for_logs.is_set() and self.headers.get("X-Amz-Target", "").startswith("Logs_"):
                    gateway._released.wait()
                if gateway.hangs.is_set() and self.command == "PUT":
                    gateway._released.wait()
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else content)
                connection.close()

            do_GET = do_HEAD = do_PUT = do_DELETE = do_POST

        return Forward


@dataclass(frozen=True)
class Cloud:
    """What the agents of this module share."""

    emulator: Emulator
    folder: Path

    def client(self, service: str) -> Any:
        return self.emulator.client(service)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with Emulator.on_free_port(folder) as emulator:
        emulator.client("s3").create_bucket(
            Bucket="recordings", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"}
        )
        emulator.client("dynamodb").create_table(
            TableName="jobs",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        emulator.client("logs").create_log_group(logGroupName=LOG_GROUP)
        yield Cloud(emulator, folder)


class Machine:
    """One instance with one agent and one job."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self.notices = Notices()
        self.gateway = Gateway(cloud.emulator.settings.port)
        self.queue_url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        self.table = JobTable(cloud.client("dynamodb"), "jobs")
        self.process: TetheredProcess | None = None
        self._metadata: MetadataServer | None = None

    def user_data(self, **settings: Any) -> dict[str, Any]:
        """Settings under which nothing ends by itself."""
        return {
            "deployment": "test",
            "region": "eu-north-1",
            "bucket": "recordings",
            "table": "jobs",
            "jobs_queue_url": self.queue_url,
            "outbox_queue_url": self.queue_url,
            "secret_id": "webhooks",
            "log_group": LOG_GROUP,
            "model": "scripted",
            "device": "cpu",
            "linger_s": 3_600,
            "lease_s": 90,
            "heartbeat_s": 0.2,
            "max_life_s": 3_600,
            "max_failures": 3,
            "max_duration_s": 3_600,
            "insecure_callbacks": True,
            **settings,
        }

    def start(self, engine: str, **settings: Any) -> None:
        """Boot."""
        user_data = base64.b64encode(json.dumps(self.user_data(**settings)).encode()).decode()
        spec = LaunchSpec("ami-1", "g4dn.xlarge", "subnet-1", "vpc-1", "eu-north-1a", user_data=user_data)
        one = Instance(f"i-{self.name}", spec, "spot", "10.0.0.4", "r-1", datetime.now(UTC), {})
        self._metadata = MetadataServer(lambda: one, lambda: self.notices, None, "123456789012")
        self._metadata.start()
        self.gateway.server.start()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.cloud.folder),
            "AWS_ENDPOINT_URL": self.gateway.server.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self._metadata.url,
            "NO_PROXY": "127.0.0.1",
            "AVSKRIFT_TEST_ENGINE": engine,
        }
        command = [sys.executable, "-m", "tests.instance.agent_process"]
        self.process = TetheredProcess(Launch(command, environment, CHECKOUT, self.log))

    @property
    def log(self) -> Path:
        return self.cloud.folder / f"{self.name}.log"

    def add_job(self) -> str:
        """A queued job with its message."""
        key = f"uploads/{self.name}.mp3"
        self.cloud.client("s3").put_object(Bucket="recordings", Key=key, Body=b"sound")
        now = datetime.now(UTC).timestamp()
        job = Job(
            job_id=self.name,
            status=JobStatus.QUEUED,
            bucket="recordings",
            key=key,
            version_id="",
            size_bytes=5,
            options=JobOptions(formats=("txt",)),
            status_at=round(now, 3),
            expires_at=int(now) + 86_400,
            phases={"queued": round(now, 3)},
        )
        assert self.table.create(job)
        send_job(self.cloud.client("sqs"), self.queue_url, job.job_id)
        return job.job_id

    def await_work(self) -> None:
        """Until the engine is at it."""

        def is_at_work() -> bool:
            job = self.table.get(self.name)
            return bool(job and job.progress)

        await_condition(is_at_work, LIMIT_S, f"the work ({last_lines(self.log)})")

    def shipped(self) -> list[dict[str, Any]]:
        """What the agent told CloudWatch."""
        stream = {"logGroupName": LOG_GROUP, "logStreamName": f"i-{self.name}"}
        events = self.cloud.client("logs").get_log_events(**stream, startFromHead=True)["events"]
        return [json.loads(event["message"]) for event in events]

    def has_told(self, words: str) -> bool:
        return any(words in line.get("message", "") for line in self.shipped())

    def await_end(self, limit_s: float = LIMIT_S) -> int:
        """The exit status; raises if the process stays."""
        assert self.process
        return self.process.wait(limit_s)

    def interrupt(self, left_s: float) -> None:
        """EC2 announces that it takes the instance."""
        self.notices = replace(self.notices, interruption_at=datetime.now(UTC) + timedelta(seconds=left_s))

    def signal(self, number: int) -> None:
        """To the agent itself, as systemd does; its parent is the tether."""
        assert self.process
        children = Path(f"/proc/{self.process.group_id}/task/{self.process.group_id}/children").read_text().split()
        os.kill(int(children[0]), number)

    def row(self) -> Job:
        job = self.table.get(self.name)
        assert job
        return job

    def waiting(self) -> list[str]:
        """Bodies of the messages that can be received now."""
        received = self.cloud.client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [message["Body"] for message in received.get("Messages", [])]

    def has_checkpoint(self) -> bool:
        listed = self.cloud.client("s3").list_objects_v2(Bucket="recordings", Prefix=checkpoint_key(self.name))
        return bool(listed.get("Contents"))

    def stop(self) -> None:
        if self.process:
            self.process.kill()
        self.gateway.release()
        self.gateway.server.stop()
        if self._metadata:
            self._metadata.stop()


@pytest.fixture
def machine(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine = Machine(cloud, f"{abs(hash(request.node.name)):x}")
    try:
        yield machine
    finally:
        machine.stop()


def test_spot_notice_hands_the_job_back_and_ends_the_machine_in_time(machine: Machine) -> None:
    machine.add_job()
    machine.start("obedient")
    machine.await_work()
    machine.interrupt(left_s=120)
    assert machine.await_end(NOTICE_LIMIT_S) == 0
    back = machine.row()
    assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 1)
    assert machine.has_checkpoint()
    assert len(machine.waiting()) == 1
    assert machine.has_told("spot interruption notice")
    assert machine.has_told("handed back")


def test_spot_notice_ends_the_machine_though_worker_and_bucket_hang(machine: Machine) -> None:
    machine.add_job()
    machine.start("deaf")
    machine.await_work()
    machine.gateway.hangs.set()
    machine.interrupt(left_s=30)
    assert machine.await_end(NOTICE_LIMIT_S) == 1, "ended by its own watchdog"
    back = machine.row()
    assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 1)
    assert len(machine.waiting()) == 1


@pytest.mark.slow  # a machine at work gets its notice every time
def test_spot_notice_ends_an_idle_machine(machine: Machine) -> None:
    machine.start("quick")
    machine.interrupt(left_s=120)
    assert machine.await_end(NOTICE_LIMIT_S) == 0


def test_sigterm_hands_the_job_back_as_nobodys_fault(machine: Machine) -> None:
    machine.add_job()
    machine.start("obedient")
    machine.await_work()
    machine.signal(signal.SIGTERM)
    assert machine.await_end() == 0
    back = machine.row()
    assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 0)
    assert machine.has_checkpoint()
    assert len(machine.waiting()) == 1


@pytest.mark.slow  # tests/instance/test_notices.py does it without a process
def test_machine_at_risk_finishes_its_job_and_ends(machine: Machine) -> None:
    machine.notices = replace(machine.notices, rebalance_at=datetime.now(UTC))
    machine.start("quick")
    assert machine.await_end() == 0


def test_machine_without_work_ends_itself(machine: Machine) -> None:
    machine.add_job()
    machine.start("quick", linger_s=1)
    assert machine.await_end() == 0
    assert machine.row().status is JobStatus.COMPLETED
    assert machine.row().cost
    assert machine.has_told("the queue has been empty")
    assert {line["JobsCompleted"][0] for line in machine.shipped() if "JobsCompleted" in line} == {1.0}


def test_maximum_life_hands_the_job_back_as_a_failure_and_ends_the_machine(machine: Machine) -> None:
    machine.add_job()
    machine.start("obedient", max_life_s=8)
    machine.await_work()
    assert machine.await_end() == 0
    assert (machine.row().status, machine.row().failures) == (JobStatus.QUEUED, 1)


@pytest.mark.slow  # the one that listens is tried every time
def test_maximum_life_ends_a_machine_that_listens_to_nobody(machine: Machine) -> None:
    machine.add_job()
    machine.start("deaf", max_life_s=8)
    machine.await_work()
    assert machine.await_end() == 1
    assert machine.row().status is JobStatus.RUNNING, "its lease takes it back"
    assert machine.has_told("maximum life of 8 s reached")


@pytest.mark.parametrize(
    ("engine", "last_words"), [("crash", "RuntimeError"), ("loading", "loading the model took longer")]
)
def test_fault_that_nobody_foresaw_ends_the_machine(machine: Machine, engine: str, last_words: str) -> None:
    machine.add_job()
    machine.start(engine)
    assert machine.await_end() == 1
    assert (machine.row().status, machine.row().attempt) == (JobStatus.QUEUED, 0)
    assert machine.has_told(last_words)
    assert "injected" not in machine.log.read_text(), "the text of a fault may name a key"


def test_cloudwatch_that_hangs_does_not_keep_a_machine(machine: Machine) -> None:
    machine.add_job()
    machine.gateway.hangs_for_logs.set()
    machine.start("quick", linger_s=1)
    assert machine.await_end() == 0
    assert machine.row().status is JobStatus.COMPLETED


def test_metadata_that_is_nonsense_ends_the_machine(machine: Machine) -> None:
    machine.start("quick", linger_s=None, jobs_queue_url=None, lease_s="long")
    assert machine.await_end() == 1
