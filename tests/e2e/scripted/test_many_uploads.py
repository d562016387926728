"""500 uploads at once, their events repeated and shuffled, agents dying at random: 500 jobs, each told of once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from avskrift.jobs.model import JobStatus
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.xdist_group("scripted")]

UPLOADS = 500
DUPLICATED = REORDERED = 50
DEATHS = 25
STEPS = ("claim", "download", "mid-transcription", "results stored", "transaction", "webhook sent", "before delete")
SEED = 20_261_121
TIMEOUT_S = 900.0


@contextmanager
def held_events(fleet: Any) -> Iterator[None]:
    """While it lasts, register takes no event from its queue."""
    client, sqs = fleet.chain.cloud.client("lambda"), fleet.chain.cloud.client("sqs")
    url = fleet.chain.cloud.outputs["UploadsQueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (mapping,) = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    yield
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def take_events(fleet: Any, count: int) -> list[str]:
    """All the events that wait, in the order of the queue."""
    sqs, url = fleet.chain.cloud.client("sqs"), fleet.chain.cloud.outputs["UploadsQueueUrl"]
    bodies: list[str] = []

    def have_come() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies) == count

    await_condition(have_come, 120, f"{count} events")
    return bodies


def disorder(bodies: list[str], dice: random.Random) -> list[str]:
    """A tenth of the events twice, and a tenth of them elsewhere in the order."""
    late = set(dice.sample(range(len(bodies)), REORDERED))
    ordered = [body for number, body in enumerate(bodies) if number not in late]
    for body in (*(bodies[number] for number in late), *dice.sample(bodies, DUPLICATED)):
        ordered.insert(dice.randrange(len(ordered) + 1), body)
    return ordered


def send_events(fleet: Any, bodies: list[str]) -> None:
    sqs, url = fleet.chain.cloud.client("sqs"), fleet.chain.cloud.outputs["UploadsQueueUrl"]
    for first in range(0, len(bodies), 10):
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[first : first + 10])]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)


def put_all(fleet: Any, prefix: str, dice: random.Random) -> list[str]:
    fates = {number: {"kill": dice.choice(STEPS)} for number in dice.sample(range(UPLOADS), DEATHS)}

    def put(number: int) -> str:
        return str(fleet.put(f"{prefix}{number:03}.wav", size=20_000, **fates.get(number, {})))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(put, range(UPLOADS)))


def rows_under(fleet: Any, prefix: str) -> Counter[str]:
    """Jobs of these uploads by status, as the table has them."""
    pages = (
        fleet.chain.cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=fleet.chain.cloud.outputs["TableName"])
    )
    rows = [row for page in pages for row in page["Items"] if row.get("key", {}).get("S", "").startswith(prefix)]
    return Counter(row["status"]["S"] for row in rows)


@pytest.mark.timeout(1_800)
def test_500_uploads_with_disorder_and_deaths_end_as_500_jobs(at_rest: Any, unique: str) -> None:
    """Each told of once; no instance is left, and no message outlives the next upload."""
    dice, prefix = random.Random(SEED), f"uploads/{unique}/"
    before = {one.instance_id for one in at_rest.chain.cloud.instances()}
    with held_events(at_rest):
        ids = put_all(at_rest, prefix, dice)
        send_events(at_rest, disorder(take_events(at_rest, UPLOADS), dice))
    with at_rest.schedule(every_s=2.0):
        try:
            jobs = at_rest.await_ends(ids, TIMEOUT_S)
        except Exception:
            print("it stands at", rows_under(at_rest, prefix), "with instances", at_rest.live())
            raise
        at_rest.await_webhooks(ids, TIMEOUT_S)
        # What the killed left in the queue stays until then: it is dropped by the agent of the next upload.
        at_rest.await_ends([at_rest.put(f"uploads/{unique}-next.wav", work_s="6")])
        at_rest.chain.await_empty()
    logs = "\n".join(
        at_rest.log_of(one) for one in {one.instance_id for one in at_rest.chain.cloud.instances()} - before
    )
    assert logs.count("script: kill after") == DEATHS
    assert rows_under(at_rest, prefix) == {"completed": UPLOADS}
    assert {job.status for job in jobs.values()} == {JobStatus.COMPLETED}
    told = [at_rest.webhook_ids(job_id) for job_id in ids]
    assert {len(one) for one in told} == {1}
    assert len(set().union(*told)) == UPLOADS
    assert at_rest.live() == []
