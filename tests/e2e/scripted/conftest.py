"""A cloud whose agents have a scripted engine (scripted_agent.py), so that jobs are cheap and faults can be ordered."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from avskrift.jobs.model import Job
from avskrift.local.processes import await_condition

END_TIMEOUT_S = 150.0
AGENT = Path(__file__).with_name("scripted_agent.py")
CONTEXT = {"linger_s": "2", "heartbeat_s": "1", "lease_s": "5", "max_instances": "4", "target_drain_s": "1"}
"""With this drain, 480 kB of waiting recordings ask for one instance more."""


@dataclass(frozen=True)
class ScriptedFleet:
    """The whole chain, with jobs and instances that do what a test says."""

    chain: Any
    orders: Path

    def put(self, key: str, *, size: int = 1_000, **script: str) -> str:
        """Put a recording whose job meets ``script`` (scripted_agent.py says what there is); the job's id."""
        job_id: str = self.chain.put(key, recording(key, size), metadata=quote(json.dumps(script)))
        return job_id

    def order(self, **order: Any) -> None:
        """What the next agent to boot is to meet."""
        draft = self.orders / f"{time.time_ns()}.draft"
        draft.write_text(json.dumps(order))
        draft.rename(draft.with_suffix(".json"))

    @contextmanager
    def schedule(self, every_s: float = 1.0) -> Iterator[None]:
        """λ capacity as its rule would invoke it, only more often. A pass that raises fails the test."""
        stopped, faults = threading.Event(), []

        def run() -> None:
            while not stopped.is_set():
                try:
                    self.chain.run_capacity()
                except Exception as error:  # noqa: BLE001 (raised again below, in the test's own thread)
                    faults.append(error)
                stopped.wait(every_s)

        thread = threading.Thread(target=run, name="schedule", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        assert faults == []

    def await_ends(self, job_ids: Sequence[str], timeout_s: float = END_TIMEOUT_S) -> dict[str, Job]:
        """These jobs once all of them have ended."""
        ended: dict[str, Job] = {}

        def look() -> bool:
            """One question at a time: the emulator has other work."""
            for job_id in job_ids:
                if job_id not in ended:
                    job = self.chain.client.find(job_id)
                    if job is None or not job.is_terminal:
                        return False
                    ended[job_id] = job
            return True

        await_condition(look, timeout_s, f"the end of {len(set(job_ids))} jobs ({self.chain.cloud.folder})")
        return ended

    def webhook_ids(self, job_id: str, kind: str = "job.completed") -> set[str]:
        return {
            one.webhook_id
            for one in self.chain.receiver.receptions
            if one.job_id == job_id and one.type == kind and one.verified
        }

    def await_webhooks(self, job_ids: Sequence[str], timeout_s: float = END_TIMEOUT_S) -> None:
        await_condition(lambda: all(map(self.webhook_ids, job_ids)), timeout_s, "a webhook of every job")

    def results(self, job_id: str) -> dict[str, bytes]:
        """What a client sees under the job's results, by name."""
        s3, prefix = self.chain.s3, f"results/{job_id}/"
        listed = s3.list_objects_v2(Bucket=self.chain.bucket, Prefix=prefix).get("Contents", [])
        return {
            item["Key"].removeprefix(prefix): s3.get_object(Bucket=self.chain.bucket, Key=item["Key"])["Body"].read()
            for item in listed
        }

    def live(self) -> list[str]:
        return [one.instance_id for one in self.chain.cloud.instances() if one.state != "terminated"]

    def await_no_instance(self, timeout_s: float = 60.0) -> None:
        await_condition(lambda: not self.live(), timeout_s, "the end of instances")

    def log_of(self, instance_id: str) -> str:
        (view,) = [one for one in self.chain.cloud.instances() if one.instance_id == instance_id]
        return Path(view.log).read_text(encoding="utf-8")


def recording(key: str, size: int) -> bytes:
    return json.dumps({"key": key, "filler": "x" * size}).encode()


def heard_in(body: bytes) -> str:
    """What the scripted engine makes of a recording."""
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(scope="session")
def scripted_text() -> Callable[[str, int], str]:
    """What the transcript of a recording that was put as (key, size) must say."""
    return lambda key, size=1_000: heard_in(recording(key, size))


@pytest.fixture(scope="session")
def fleet(chain_opener: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedFleet]:
    orders = tmp_path_factory.mktemp("orders")
    settings = {
        "context": CONTEXT,
        "agent_command": (sys.executable, str(AGENT)),
        "agent_environment": {"AVSKRIFT_TEST_ORDERS": str(orders)},
    }
    with chain_opener(tmp_path_factory.mktemp("scripted"), **settings) as chain:
        yield ScriptedFleet(chain, orders)


@pytest.fixture
def at_rest(fleet: ScriptedFleet) -> Iterator[ScriptedFleet]:
    """The fleet when nothing of another test is left."""
    fleet.chain.await_empty()
    yield fleet
    fleet.chain.cloud.clear_faults()
    for order in fleet.orders.glob("*.json"):
        order.unlink()
