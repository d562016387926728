"""λ capacity serialises itself: one pass at a time."""

from __future__ import annotations

from typing import Any

import pytest

from avskrift.jobs.lease import Lease
from avskrift.jobs.observation import Nudge

NOW = 1_700_000_000.0


def test_lease_is_held_by_one_and_the_loser_asks_for_another_pass(deployment: Any) -> None:
    first = Lease(deployment.dynamodb, "jobs", "a", 60)
    second = Lease(deployment.dynamodb, "jobs", "b", 60)
    assert first.acquire(NOW) == []
    assert second.acquire(NOW + 1, ["job-2"]) is None
    assert first.release() == ["job-2"]
    assert second.acquire(NOW + 2) == []
    assert second.release() is None


def test_lease_that_ran_out_is_taken_over(deployment: Any) -> None:
    first = Lease(deployment.dynamodb, "jobs", "a", 60)
    second = Lease(deployment.dynamodb, "jobs", "b", 60)
    assert first.acquire(NOW) == []
    assert second.acquire(NOW + 61) == []
    assert first.release() is None
    assert first.acquire(NOW + 62) is None


def test_words_left_with_the_holder_say_what_the_loser_knew() -> None:
    event = {"detail-type": "EC2 Spot Instance Interruption Warning", "detail": {"instance-id": "i-1"}}
    advice = {"detail-type": "EC2 Instance Rebalance Recommendation", "detail": {"instance-id": "i-1"}}
    words = [word for one in ({"job_ids": ["a"]}, event, advice, {}) for word in Nudge.from_event(one).to_words()]
    assert Nudge.from_words(words) == Nudge(("a",), {"i-1": True}), "taken, whatever was advised before or after"


def test_event_of_another_shape_is_a_plain_nudge() -> None:
    for event in ({}, {"detail-type": "Scheduled Event"}, {"detail-type": "EC2 Spot Instance Interruption Warning"}):
        assert Nudge.from_event(event) == Nudge()


def test_words_left_with_a_holder_that_died_are_its_successors(deployment: Any) -> None:
    first, second, third = (Lease(deployment.dynamodb, "jobs", owner, 60) for owner in "abc")
    first.acquire(NOW)
    assert second.acquire(NOW + 1, ["taken:i-1"]) is None
    assert third.acquire(NOW + 61, ["job-3"]) == ["job-3", "taken:i-1"]


def test_lease_whose_answer_got_lost_is_found_to_be_ours(deployment: Any) -> None:
    lease = Lease(deployment.dynamodb, "jobs", "a", 60)
    assert lease.acquire(NOW, ["job-1"]) == ["job-1"]
    assert lease.acquire(NOW + 1, ["job-1"]) == ["job-1"]


@pytest.mark.parametrize("until", [None, 9e12, NOW + 901])
def test_lease_edited_into_nonsense_holds_nobody_up(deployment: Any, until: float | None) -> None:
    deployment.table.put_values({"pk": "lease#capacity", "owner": "nobody", "lease_until": until, "again": "much"})
    assert Lease(deployment.dynamodb, "jobs", "a", 60).acquire(NOW) == []
