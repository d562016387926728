"""Several instances drain one queue: each job is heard once, by one of them."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.jobs.model import JobStatus

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("scripted")]

INSTANCES = 4
JOBS = 24


@pytest.mark.slow  # the kill matrix has several instances on one queue
def test_instances_drain_one_queue_without_a_double(at_rest: Any, unique: str) -> None:
    before = {one.instance_id for one in at_rest.chain.cloud.instances()}
    keys = [f"uploads/{unique}/{number}.wav" for number in range(JOBS)]
    ids = [at_rest.put(key, size=100_000, work_s="1") for key in keys]
    with at_rest.schedule():
        jobs = at_rest.await_ends(ids)
        at_rest.await_webhooks(ids)
        at_rest.chain.await_empty()
    launched = {one.instance_id for one in at_rest.chain.cloud.instances()} - before
    heard = [line for one in launched for line in at_rest.log_of(one).splitlines() if "script: hears" in line]
    assert sorted(heard) == sorted(f"script: hears {job_id}" for job_id in ids)
    assert len(launched) == INSTANCES
    assert {job.instance_id for job in jobs.values()} == launched, "all of them worked"
    assert {(job.status, job.attempt) for job in jobs.values()} == {(JobStatus.COMPLETED, 1)}
    assert {len(at_rest.webhook_ids(job_id)) for job_id in ids} == {1}
