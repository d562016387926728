"""No stranger's words in any line that is kept: keys, transcripts, options, query strings, answers, faults naming them.

The words are planted where clients, receivers and speakers can put them; then jobs go well, and wrong in every way.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from avskrift.errors import InternalError, WorkerCrashed
from avskrift.jobs.model import JobStatus
from tests.faults.world import DIES_AT_WORK, World
from tests.hygiene.conftest import (
    KEY,
    WORDS,
    LeakyWire,
    Lines,
    TalkingEngine,
    TalkingReceiver,
    registered,
    upload,
    words_in,
)

pytestmark = [
    pytest.mark.usefixtures("engine"),
    pytest.mark.filterwarnings("ignore:No application metrics to publish"),
]
LOST_FOR_S = 660


def kept_of(world: World, job_id: str) -> set[str]:
    """The words that are in the job's row, its objects and its webhooks, where they belong."""
    rows = json.dumps(world.deployment.dynamodb.scan(TableName="jobs")["Items"], default=str)
    s3, bucket = world.deployment.s3, world.deployment.bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"results/{job_id}/").get("Contents", [])
    return words_in(
        rows + "".join(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().decode() for one in listed)
    )


def test_a_job_that_goes_well_is_told_by_its_id_alone(
    world: World, lines: Lines, receiver: TalkingReceiver, engine: type[TalkingEngine]
) -> None:
    receiver.statuses = [500, 503]
    job_id = upload(world)
    world.settle()

    assert world.job(job_id).status is JobStatus.COMPLETED
    assert len(receiver.paths) == 3
    assert kept_of(world, job_id) == set(WORDS) - {"name", "fault", "worker"}, "the words did go through"
    text = lines.text
    assert words_in(text) == set()
    assert text.count(job_id) >= 5, "the lines were caught"
    assert '"_aws"' in text


@pytest.mark.parametrize(
    "is_announced",
    [pytest.param(True, id="by its event"), pytest.param(False, id="found by λ reconcile", marks=pytest.mark.slow)],
)
def test_faults_that_name_the_key_and_the_address_are_told_without_them(
    world: World, lines: Lines, receiver: TalkingReceiver, leaky: LeakyWire, is_announced: bool
) -> None:
    job_id = upload(world, is_announced=is_announced)
    if not is_announced:
        world.clock.skipped_s += LOST_FOR_S
    leaky.is_failing = True
    world.settle()

    assert world.job(job_id).status is JobStatus.COMPLETED
    assert leaky.hits > 25
    assert words_in(lines.text) == set()
    assert {"capacity"} <= world.crashed()
    assert [fault for _, fault in world.crashes if words_in(fault)] == [], "Lambda logs what a function raises"


def test_headers_that_are_none_are_told_without_the_address(
    world: World, lines: Lines, receiver: TalkingReceiver
) -> None:
    """urllib3 warns of them, with the URL and a trace, where the agent sends and where λ deliver does."""
    receiver.statuses, receiver.is_broken = [500, 200], True
    upload(world)
    world.settle()

    text = lines.text
    assert len(receiver.paths) == 2
    assert words_in(text) == set()
    assert "[WARNING]" in text and "urllib3.connection logged a line, which is left out" in text, "the lines came"


FAULTS = (
    RuntimeError(f"{KEY} {WORDS['transcript']} {WORDS['worker']}"),
    OSError(28, "No space left", f"/tmp/{WORDS['key']}"),
    InternalError(f"It did not like {WORDS['worker']}."),
    WorkerCrashed(f"The process died (signal SIGSEGV: {WORDS['worker']})."),
)


def test_an_engine_that_fails_says_no_word_of_what_it_heard(
    world: World, lines: Lines, receiver: TalkingReceiver, engine: type[TalkingEngine]
) -> None:
    engine.faults.extend(FAULTS * 3)
    jobs = [upload(world), upload(world)]
    world.settle()

    assert {world.job(job_id).status for job_id in jobs} == {JobStatus.FAILED}
    assert len(engine.faults) == 6
    assert words_in(lines.text) == set()
    assert world.crashes == []


def test_a_refused_upload_is_told_without_what_it_asked_for(
    world: World, lines: Lines, receiver: TalkingReceiver
) -> None:
    job_id = upload(world, language=WORDS["name"])
    world.settle()

    error = world.job(job_id).error
    assert error and error.code == "bad_options" and WORDS["name"] in error.message, "the client is told"
    assert words_in(lines.text) == set()


def test_an_instance_that_dies_and_a_receiver_that_never_takes_it(
    world: World, lines: Lines, receiver: TalkingReceiver
) -> None:
    receiver.statuses = [410]
    world.fates = [DIES_AT_WORK]
    upload(world)
    world.settle()

    assert len(receiver.paths) == 1
    assert words_in(lines.text) == set()


EVENT = {"detail": {"bucket": {"name": "recordings"}, "object": {"key": KEY, "size": KEY}}}
MESSAGES = (f"no json {KEY}", json.dumps({"key": KEY}), json.dumps(EVENT), json.dumps([KEY]))


def test_messages_that_are_none_are_not_repeated(world: World, lines: Lines, receiver: TalkingReceiver) -> None:
    for queue, body in product(("uploads", "outbox", "jobs"), MESSAGES):
        world.deployment.sqs.send_message(QueueUrl=world.queues[queue], MessageBody=body)
    upload(world)
    world.settle()

    text = lines.text
    assert words_in(text) == set()
    assert text.count("MalformedMessages") > 0


NONSENSE: tuple[dict[str, Any], ...] = (
    {"options": {"prompt": [WORDS["prompt"]]}},
    {"attempt": WORDS["metadata"]},
    {"status": WORDS["name"]},
    {"job_id": WORDS["name"]},
)


def test_rows_that_nobody_can_read_are_told_by_their_ids(world: World, lines: Lines, receiver: TalkingReceiver) -> None:
    jobs = [registered(world) for _ in NONSENSE]
    for job, nonsense in zip(jobs, NONSENSE, strict=True):
        row = {**job.to_dict(), "pk": f"job#{job.job_id}", "status_key": "job#queued", **nonsense}
        world.deployment.table.put_values(row)
    world.settle()

    text = lines.text
    assert words_in(text) == set()
    assert [job.job_id for job in jobs if job.job_id not in text] == []


def test_an_outbox_entry_that_nobody_can_read_is_told_by_its_id(
    world: World, lines: Lines, receiver: TalkingReceiver
) -> None:
    entry = {"outbox_id": "msg_1", "job_id": 7, "body": WORDS["transcript"], "url": receiver.url, "status": "pending"}
    world.deployment.table.put_values({"pk": "outbox#msg_1", **entry})
    message = json.dumps({"outbox_id": "msg_1", "attempt": 0})
    world.deployment.sqs.send_message(QueueUrl=world.queues["outbox"], MessageBody=message)
    world._consume("outbox", "deliver")

    text = lines.text
    assert words_in(text) == set()
    assert "msg_1" in text
