"""Agents whose clocks are four minutes off, one ahead and one behind: no job notices."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.jobs.model import JobStatus

pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.xdist_group("scripted")]

OFFSET_S = 240
HALF_AN_INSTANCE = 200_000
"""Bytes of waiting work: with four of them, two instances are wanted."""


def test_clocks_off_by_four_minutes_lose_and_repeat_nothing(at_rest: Any, unique: str) -> None:
    for offset_s in (OFFSET_S, -OFFSET_S):
        at_rest.order(clock_offset_s=offset_s)
    keys = [f"uploads/{unique}/{number}.wav" for number in range(4)]
    ids = [at_rest.put(key, size=HALF_AN_INSTANCE, work_s="4") for key in keys]
    with at_rest.schedule():
        jobs = list(at_rest.await_ends(ids).values())
        at_rest.await_webhooks(ids)
        at_rest.chain.await_empty()
    assert {(job.status, job.attempt, job.failures) for job in jobs} == {(JobStatus.COMPLETED, 1, 0)}
    assert {round((job.phases["claimed"] - job.phases["queued"]) / OFFSET_S) for job in jobs} == {1, -1}
    for job_id in ids:
        assert len(at_rest.webhook_ids(job_id)) == 1, "verified: a receiver takes timestamps that are 5 minutes off"
