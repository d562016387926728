"""What AWS does between the calls: it invokes the functions, boots what was launched, lets time pass.

The handlers and the agent are the real ones; moto answers their calls. Its queues go by the clock that is moved here.
"""

from __future__ import annotations

import hashlib
import json
import time
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import instance.__main__ as program
from avskrift.asr.engine import Progress
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import Job
from avskrift.local.receiver import Receiver
from avskrift.transcript import Segment, Transcript
from instance.agent import Agent
from instance.faults import Patience
from instance.settings import AgentSettings, Identity
from tests.faults.wire import Wire

IMAGE = "ami-0123456789abcdef0"
ROUND_S = 60.0
"""λ capacity's own pace."""
RECONCILE_ROUNDS = 10
MAX_ROUNDS = 150
"""More than ``no_capacity_after``: a job that has not ended by then never will."""


@dataclass
class Clock:
    """Real time, and what was skipped."""

    skipped_s: float = 0.0
    _real: Callable[[], float] = time.time

    def __call__(self) -> float:
        return self._real() + self.skipped_s


class ScriptedEngine:
    """Hears the digest of what it is given."""

    def transcribe(self, path: Path, options: Any, on_progress: Any = None, *_: Any, **__: Any) -> Transcript:
        if on_progress:
            on_progress(Progress(1.0, 2.0))
        text = hashlib.sha256(path.read_bytes()).hexdigest()
        return Transcript("sv", 2.0, 1.5, "scripted", (Segment(0.0, 1.5, text),))


class PowerCut(BaseException):
    """The end of an instance in the middle of its work: nothing of the agent handles it."""


class DyingEngine:
    """The machine goes down in the middle of the work."""

    def transcribe(self, *_: Any, **__: Any) -> Transcript:
        raise PowerCut


class DyingOutbox:
    """The machine goes down between the transaction and the webhook."""

    def deliver(self, *_: Any) -> None:
        raise PowerCut


NEVER_WORKS = "never works"
DIES_AT_WORK = "dies at work"
DIES_BEFORE_WEBHOOK = "dies before its webhook"
SOUND = "sound"
RETURNED = "its run() returned by itself"
CUT_OFF = "it was cut off"
REAPED = "the reaper ended its machine"
HANGS = "it hangs"
END_OF = {SOUND: RETURNED, DIES_AT_WORK: CUT_OFF, DIES_BEFORE_WEBHOOK: CUT_OFF, NEVER_WORKS: REAPED}
"""How an agent of each fate must end."""


@dataclass
class Context:
    """What Lambda hands to a handler."""

    aws_request_id: str
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-north-1:123456789012:function:function"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@dataclass
class World:
    """Everything of one deployment, moved on by :meth:`settle`."""

    wire: Wire
    clock: Clock
    deployment: Any
    receiver: Receiver
    functions: dict[str, types.ModuleType]
    queues: dict[str, str]
    """Queue URLs: ``uploads, jobs, outbox`` and their ``…-dlq``."""
    settings: AgentSettings
    fates: list[str] = field(default_factory=list)
    """Those of the first instances; later ones are sound."""
    crashes: list[tuple[str, str]] = field(default_factory=list)
    """Invocations that raised, and agents that did: who, and what."""
    _agents: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each booted instance: its fate, and how its agent's run ended."""
    _requests: int = 0

    def upload(self, key: str, body: bytes = b"sound", *, is_announced: bool = True) -> str:
        """Put a recording; its event waits in the queue as EventBridge would have put it there, or got lost."""
        upload = self.deployment.put(key, body)
        if not is_announced:
            return job_id_for(upload.bucket, key, upload.version_id)
        item = {"key": key, "size": upload.size_bytes, "version-id": upload.version_id}
        event = {"detail-type": "Object Created", "detail": {"bucket": {"name": upload.bucket}, "object": item}}
        self.deployment.sqs.send_message(QueueUrl=self.queues["uploads"], MessageBody=json.dumps(event))
        return job_id_for(upload.bucket, key, upload.version_id)

    def set_image(self, image_id: str) -> None:
        self.deployment.client("ssm").put_parameter(Name="/ami", Value=image_id, Type="String", Overwrite=True)

    def settle(self) -> int:
        """Let AWS do its work until nothing is left to do; how many rounds it took."""
        for number in range(MAX_ROUNDS):
            self._consume("uploads", "register")
            self._invoke("capacity", {"source": "schedule"})
            self._run_nudges()
            self._boot_instances()
            self._consume("outbox", "deliver")
            if number % RECONCILE_ROUNDS == 0:
                self._invoke("reconcile", {"source": "schedule"})
                self._run_nudges()
            if self._is_at_rest():
                return number + 1
            self.clock.skipped_s += ROUND_S
        raise AssertionError(f"not at rest after {MAX_ROUNDS} rounds: {self.left()}, crashes {self.crashes}")

    def job(self, job_id: str) -> Job:
        job = self.deployment.table.get(job_id)
        assert job, f"job {job_id} was never registered; crashes {self.crashes}"
        return job

    def left(self) -> dict[str, Any]:
        """What is still somewhere: rows by status, messages by queue, live instances."""
        messages = {name: count for name in self.queues if (count := self._messages(name))}
        return {"rows": dict(self._statuses()), "messages": messages, "instances": self._live()}

    def crashed(self) -> set[str]:
        """The functions that raised, and ``agent`` if one did."""
        return {actor for actor, _ in self.crashes}

    def agents(self) -> list[tuple[str, str]]:
        """Fate and end of each agent. A machine goes off with its agent here, so that only a hung one is the reaper's.

        That a real machine goes off when its agent's process ends is shown elsewhere, by processes.
        """
        live = self._live()
        return [
            (fate, REAPED if end == HANGS and one not in live else end) for one, (fate, end) in self._agents.items()
        ]

    def upload_another(self) -> None:
        """AWS works again and one more recording comes, whose agent drops the messages of jobs that have ended.

        Until then such messages stay: nobody looks at them. Nothing happens if there are none.
        """
        if self._messages("jobs"):
            self.wire.fault = None
            self.set_image(IMAGE)
            self.clock.skipped_s += 2 * self.settings.lease_s  # until nothing is hidden any more
            self.upload("uploads/next.mp3")
            self.settle()

    def _is_at_rest(self) -> bool:
        statuses = self._statuses().keys()
        if statuses & {"queued", "running", "pending"} or not statuses & {"completed", "failed"}:
            return False
        return not self._live() and not any(self._messages(name) for name in self.queues if name != "jobs")

    def _statuses(self) -> Counter[str]:
        """Of jobs and outbox entries."""
        rows = self.deployment.dynamodb.scan(
            TableName="jobs",
            ProjectionExpression="#status",
            FilterExpression="attribute_exists(#status)",
            ExpressionAttributeNames={"#status": "status"},
        )["Items"]
        return Counter(row["status"]["S"] for row in rows)

    def _consume(self, queue: str, function: str) -> None:
        """An event source mapping: batches until nothing is visible; what failed stays until it is visible again."""
        sqs, url = self.deployment.sqs, self.queues[queue]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            records = [
                {"messageId": one["MessageId"], "body": one["Body"], "eventSource": "aws:sqs"} for one in messages
            ]
            answer = self._invoke(function, {"Records": records})
            if answer is None:
                continue
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            if failed:
                self.crashes.append((function, "gave messages back"))
            for one in messages:
                if one["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])

    def _run_nudges(self) -> None:
        while self.wire.nudges:
            self._invoke("capacity", self.wire.nudges.pop(0))

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        self._requests += 1
        with self._acting(function):
            return self.functions[function].handler(event, Context(f"request-{self._requests}"))

    def _boot_instances(self) -> None:
        """A machine's life: boot, work, power off, whatever happened; unless it hangs, which only the reaper ends."""
        for found in self._live():
            if found in self._agents:
                continue
            fate = self.fates.pop(0) if self.fates else SOUND
            self._agents[found] = (fate, HANGS if fate == NEVER_WORKS else CUT_OFF)
            if fate != NEVER_WORKS:
                with self._acting("agent"):
                    self._run_agent(found, fate)
                    self._agents[found] = (fate, RETURNED)
                self.deployment.client("ec2").terminate_instances(InstanceIds=[found])

    def _run_agent(self, instance_id: str, fate: str) -> None:
        engine: Any = DyingEngine() if fate == DIES_AT_WORK else ScriptedEngine()
        identity = Identity(instance_id, "g4dn.xlarge", "spot", self.clock() - 30)
        services = program.services_for(self.settings, identity, lambda *_: engine, self.clock())
        if fate == DIES_BEFORE_WEBHOOK:
            services = replace(services, outbox=DyingOutbox())
        Agent(replace(services, clock=self.clock, patience=Patience(pauses_s=(0.0, 0.0, 0.0)))).run()

    def _acting(self, actor: str) -> Any:
        return _Acting(self, actor)

    def _messages(self, queue: str) -> int:
        answer = self.deployment.sqs.get_queue_attributes(QueueUrl=self.queues[queue], AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        return sum(int(answer["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names)

    def _live(self) -> list[str]:
        return self._instances({"pending", "running"})

    def _instances(self, states: set[str]) -> list[str]:
        reservations = self.deployment.client("ec2").describe_instances()["Reservations"]
        found = [one for reservation in reservations for one in reservation["Instances"]]
        return [one["InstanceId"] for one in found if one["State"]["Name"] in states]


@dataclass
class _Acting:
    """While it lasts, calls are those of ``actor``; what it raises is noted, as CloudWatch would."""

    world: World
    actor: str

    def __enter__(self) -> None:
        self.world.wire.actor = self.actor

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> bool:
        self.world.wire.actor = ""
        if error is not None and not isinstance(error, PowerCut):
            self.world.crashes.append((self.actor, f"{type(error).__name__}: {error}"))
        return isinstance(error, Exception | PowerCut)
