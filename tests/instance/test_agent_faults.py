"""Every call that the agent makes to AWS fails, once or for a while: before its effect, or with its answer lost."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, NoCredentialsError, ReadTimeoutError

from avskrift.errors import WorkerCrashed
from avskrift.jobs.items import from_item
from avskrift.jobs.model import JobStatus
from avskrift.jobs.outbox import PENDING_KEY
from avskrift.jobs.table import JobTable
from instance import agent as agent_module
from instance.faults import Patience, insist, is_passing
from instance.work import HandBack
from tests.instance.agent_stage import FaultyClient, Outage, Stage, Work, refusal

TIMEOUT = ReadTimeoutError(endpoint_url="https://aws.example")
FAULTS = {
    "throttling": refusal("ThrottlingException"),
    "server error": refusal("InternalServerError", 500),
    "timeout": TIMEOUT,
    "reset": ConnectionClosedError(endpoint_url="https://aws.example"),
    "expired credentials": refusal("ExpiredTokenException"),
    "no credentials": NoCredentialsError(),
}
CALLS = [
    ("sqs", "receive_message"),
    ("sqs", "change_message_visibility"),
    ("sqs", "delete_message"),
    ("dynamodb", "update_item"),
    ("dynamodb", "transact_write_items"),
    ("s3", "head_object"),
    ("s3", "download_file"),
    ("s3", "put_object"),
]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "FAULT_PAUSE_S", 0.0)


def faulty(stage: Stage, service: str, method: str, **hooks: Any) -> dict[str, Any]:
    """The services of an agent one of whose calls is faulty."""
    client = FaultyClient(getattr(stage.deployment, service), method, **hooks)
    return {"table": JobTable(client, "jobs")} if service == "dynamodb" else {service: client}


@pytest.mark.parametrize(("service", "method"), CALLS, ids=[f"{service}.{method}" for service, method in CALLS])
def test_call_that_fails_once_costs_the_job_nothing(stage: Stage, service: str, method: str) -> None:
    for name, fault in FAULTS.items():
        job = stage.upload(f"uploads/{name}.mp3", name.encode())
        outage = Outage(fault, times=1)
        stage.run(**faulty(stage, service, method, before=outage))
        ended = stage.job(job)
        assert outage.calls, "the call was never made"
        assert (ended.status, ended.attempt, ended.failures) == (JobStatus.COMPLETED, 1, 0), name
    assert stage.engine.heard == [name.encode() for name in FAULTS]
    entries = list(stage.table.indexed(PENDING_KEY))
    assert [len(entry["attempts"]) for entry in entries] == [1] * len(FAULTS), "each webhook was tried once"


@pytest.mark.parametrize(
    ("service", "method"),
    [("dynamodb", "update_item"), ("dynamodb", "transact_write_items"), ("sqs", "change_message_visibility")],
)
def test_answer_that_is_lost_costs_the_job_nothing(stage: Stage, service: str, method: str) -> None:
    """The call took effect: repeated, it is refused, and must find its own work."""
    job = stage.upload()
    stage.run(**faulty(stage, service, method, after=Outage(TIMEOUT, times=1)))
    ended = stage.job(job)
    assert (ended.status, ended.attempt, ended.failures) == (JobStatus.COMPLETED, 1, 0)
    assert stage.messages() == 0
    (entry,) = stage.table.indexed(PENDING_KEY)
    assert len(entry["attempts"]) == 1, "the webhook's first attempt was made"
    assert len(stage.keys("results/")) == 5


def test_transaction_that_meets_a_beat_is_repeated(stage: Stage) -> None:
    conflict = refusal("TransactionCanceledException")
    conflict.response["CancellationReasons"] = [{"Code": "TransactionConflict"}]  # type: ignore[typeddict-unknown-key]
    job = stage.upload()
    stage.run(**faulty(stage, "dynamodb", "transact_write_items", before=Outage(conflict, times=2)))
    assert (stage.job(job).status, stage.job(job).failures) == (JobStatus.COMPLETED, 0)


def is_requeue(**request: Any) -> bool:
    return JobStatus.QUEUED.value in changed(request) and "phases" not in request["ExpressionAttributeNames"].values()


def is_return(**request: Any) -> bool:
    return bool(request["VisibilityTimeout"] == 0)


def changed(request: dict[str, Any]) -> list[Any]:
    """The values of an UpdateItem."""
    return list(from_item(request["ExpressionAttributeValues"]).values())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("service", "method", "step"),
    [("dynamodb", "update_item", is_requeue), ("sqs", "change_message_visibility", is_return)],
    ids=["row", "message"],
)
def test_hand_back_that_fails_once_is_repeated(stage: Stage, when: str, service: str, method: str, step: Any) -> None:
    job = stage.upload()
    outage = Outage(TIMEOUT, times=1, strikes=step)

    def stop(work: Work) -> None:
        agent.stop(HandBack.INTERRUPTED)
        work.await_cancel()

    agent = stage.agent(stop, **faulty(stage, service, method, **{when: outage}))
    agent.run()
    back = stage.job(job)
    assert outage.calls, "the call was never made"
    assert (back.status, back.failures, back.interruptions) == (JobStatus.QUEUED, 0, 1)
    assert stage.waiting() == [{"job_id": job.job_id}]


def test_failed_attempt_whose_answer_is_lost_still_waits_before_the_next(stage: Stage) -> None:
    job = stage.upload()
    crash = WorkerCrashed("The worker died (signal 11).")
    outage = Outage(TIMEOUT, times=1, strikes=is_requeue)
    stage.run(crash, retry_delay_s=600.0, **faulty(stage, "dynamodb", "update_item", after=outage))
    assert (stage.job(job).status, stage.job(job).failures) == (JobStatus.QUEUED, 1)
    assert (stage.messages(), stage.waiting()) == (1, [])


def test_outage_of_the_table_leaves_the_job_to_its_lease(stage: Stage) -> None:
    job = stage.upload()
    outage = Outage(TIMEOUT, times=1_000)
    stage.run(**faulty(stage, "dynamodb", "transact_write_items", before=outage))
    row = stage.job(job)
    assert (row.status, row.attempt, row.failures) == (JobStatus.RUNNING, 1, 0)
    assert stage.messages() == 1
    assert 1 < outage.calls < 10, "insists, but not for ever"


def test_full_disk_costs_no_job_anything_and_ends_the_agent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [stage.upload(f"uploads/{number}.mp3") for number in range(3)]
    tries = Outage(OSError(errno.ENOSPC, "injected"), times=10**6)
    monkeypatch.setattr("tempfile.mkdtemp", tries)
    stage.run()
    rows = [stage.job(job) for job in jobs]
    assert {(row.status, row.attempt, row.failures) for row in rows} == {(JobStatus.QUEUED, 0, 0)}
    assert tries.calls == 1, "it claims no more"
    assert len(stage.waiting()) == len(jobs), "others may take them at once"


def test_outage_of_the_queue_ends_the_agent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "FAULT_PATIENCE_S", 0.0)
    stage.upload()
    stage.run(**faulty(stage, "sqs", "receive_message", before=Outage(TIMEOUT, times=10**6)))
    assert stage.engine.heard == []
    assert len(stage.waiting()) == 1


def test_refusal_that_stays_is_not_repeated(stage: Stage) -> None:
    outage = Outage(refusal("AccessDenied", 403), times=1_000)
    job = stage.upload()
    stage.run(**faulty(stage, "s3", "download_file", before=outage))
    ended = stage.job(job)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "attempts_exhausted")
    assert "AccessDenied" in ended.error.message
    assert outage.calls == 2, "once an attempt"


def test_first_beat_may_fail(stage: Stage) -> None:
    job = stage.upload()
    outage = Outage(RecursionError(), times=1, strikes=lambda **request: JobStatus.QUEUED.value not in changed(request))

    def wait_for_beat(work: Work) -> None:
        while not stage.job(job).beat:
            assert not work.cancel.wait(0.01)

    stage.run(wait_for_beat, **faulty(stage, "dynamodb", "update_item", before=outage))
    assert outage.calls > 1
    assert stage.job(job).status is JobStatus.COMPLETED


def test_message_that_can_not_be_deleted_comes_again_and_changes_nothing(stage: Stage) -> None:
    job = stage.upload()
    outage = Outage(TIMEOUT, times=1)
    stage.run(settings=stage.with_settings(lease_s=1.0), **faulty(stage, "sqs", "delete_message", before=outage))
    ended = stage.job(job)
    assert ended.status is JobStatus.COMPLETED
    stage.run(settings=stage.with_settings(linger_s=2.0))
    assert stage.messages() == 0
    assert stage.job(job) == ended
    assert len(stage.engine.heard) == 1


@pytest.mark.parametrize(
    ("fault", "passes"),
    [
        (refusal("SlowDown", 503), True),
        (refusal("TooManyRequestsException", 429), True),
        (refusal("TransactionConflictException"), True),
        (refusal("AccessDenied", 403), False),
        (refusal("ValidationException"), False),
        (refusal("ConditionalCheckFailedException"), False),
        (refusal("TransactionCanceledException"), False),
        (TIMEOUT, True),
        (RecursionError(), False),
    ],
    ids=lambda value: "" if isinstance(value, bool) else str(value),
)
def test_what_passes_and_what_does_not(fault: Exception, passes: bool) -> None:
    assert is_passing(fault) is passes


def test_patience_has_an_end() -> None:
    outage = Outage(TIMEOUT, times=1_000)
    with pytest.raises(ReadTimeoutError):
        insist("a call", outage, Patience(pauses_s=(0.0,) * 100, limit_s=0.0), wait=lambda _: None)
    assert outage.calls == 1
