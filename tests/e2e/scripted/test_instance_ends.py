"""What ends an instance, each with the others out of the way: nobody pays for a machine that does nothing."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from avskrift.jobs.model import Job, JobStatus
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("scripted")]

BY_ITSELF = "Client.InstanceInitiatedShutdown"
BY_THE_REAPER = "Client.UserInitiatedShutdown"
ENOUGH_FOR_AN_INSTANCE = 480_000


def is_running(job: Job) -> bool:
    return job.status is JobStatus.RUNNING


def await_instance(fleet: Any, before: set[str]) -> str:
    """The instance that was launched since."""
    return str(await_condition(lambda: next(iter(known(fleet) - before), ""), 30, "a launch"))


def known(fleet: Any) -> set[str]:
    return {one.instance_id for one in fleet.chain.cloud.instances()}


def reason_of(fleet: Any, instance_id: str) -> str | None:
    return {one.instance_id: one.reason for one in fleet.chain.cloud.instances()}[instance_id]


def pid_of(fleet: Any, instance_id: str) -> int:
    found = await_condition(lambda: re.search(r"script: pid (\d+)", fleet.log_of(instance_id)), 30, "the boot")
    return int(found[1])


def let_it_end_well(fleet: Any, job_id: str) -> Job:
    """Whatever happened to its instance, the job completes once."""
    with fleet.schedule():
        job = fleet.await_ends([job_id])[job_id]
        fleet.await_webhooks([job_id])
    assert job.status is JobStatus.COMPLETED
    assert len(fleet.webhook_ids(job_id)) == 1
    return job


def test_idle_agent_powers_its_machine_off(at_rest: Any, unique: str) -> None:
    before = known(at_rest)
    job_id = at_rest.put(f"uploads/{unique}/a.wav")
    instance_id = await_instance(at_rest, before)
    at_rest.await_no_instance()
    assert reason_of(at_rest, instance_id) == BY_ITSELF
    assert at_rest.chain.client.find(job_id).status is JobStatus.COMPLETED


def test_agent_that_can_not_start_powers_its_machine_off(at_rest: Any, unique: str) -> None:
    at_rest.order(boot="raise")
    before = known(at_rest)
    job_id = at_rest.put(f"uploads/{unique}/a.wav")
    instance_id = await_instance(at_rest, before)
    at_rest.await_no_instance()
    assert reason_of(at_rest, instance_id) == BY_ITSELF
    assert "an agent that can't start" in at_rest.log_of(instance_id)
    assert let_it_end_well(at_rest, job_id).attempt == 1


@pytest.mark.slow  # the kill matrix and the idle agent do it every time
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_agent_ended_by_a_signal_powers_its_machine_off(at_rest: Any, unique: str, number: signal.Signals) -> None:
    before = known(at_rest)
    job_id = at_rest.put(f"uploads/{unique}/a.wav", work_s="10")
    instance_id = await_instance(at_rest, before)
    at_rest.chain.await_job(job_id, is_running, "the work")
    os.kill(pid_of(at_rest, instance_id), number)
    at_rest.await_no_instance()
    assert reason_of(at_rest, instance_id) == BY_ITSELF
    job = let_it_end_well(at_rest, job_id)
    assert (job.attempt, job.failures) == (2, 0 if number is signal.SIGTERM else 1), "a polite end is no failure"


@pytest.mark.slow  # tests/instance/test_leaving_processes.py does it without a cloud
def test_maximum_life_ends_an_agent_whose_engine_hangs(at_rest: Any, unique: str) -> None:
    at_rest.order(settings={"max_life_s": 3.0}, stop_grace_s=1)
    before = known(at_rest)
    job_id = at_rest.put(f"uploads/{unique}/a.wav", hang="yes")
    instance_id = await_instance(at_rest, before)
    at_rest.await_no_instance()
    assert reason_of(at_rest, instance_id) == BY_ITSELF
    assert let_it_end_well(at_rest, job_id).failures == 1


@pytest.fixture
def short_idle_limit(at_rest: Any) -> Iterator[None]:
    """λ capacity told to suspect an instance that does nothing for 3 seconds: less than a deployment may."""
    client, name = at_rest.chain.cloud.client("lambda"), at_rest.chain.cloud.outputs["CapacityFunction"]
    usual = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def set_limit(variables: dict[str, str]) -> None:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    set_limit({**usual, "AVSKRIFT_IDLE_LIMIT_S": "3"})
    yield
    set_limit(usual)


@pytest.mark.slow
def test_reaper_ends_an_agent_that_does_nothing_and_one_that_fell_silent(
    at_rest: Any, short_idle_limit: None, unique: str
) -> None:
    at_rest.order(boot="hang")
    before = known(at_rest)
    keys = [f"uploads/{unique}/{name}.wav" for name in "ab"]
    frozen_id = at_rest.put(keys[0], size=ENOUGH_FOR_AN_INSTANCE, freeze="mid-transcription")
    other_id = at_rest.put(keys[1], size=ENOUGH_FOR_AN_INSTANCE, freeze="mid-transcription")
    with at_rest.schedule():
        jobs = at_rest.await_ends([frozen_id, other_id])
        at_rest.await_no_instance(120)
    assert {job.status for job in jobs.values()} == {JobStatus.COMPLETED}
    reasons = {one: reason_of(at_rest, one) for one in known(at_rest) - before}
    hung = [one for one in reasons if "script: hangs" in at_rest.log_of(one)]
    frozen = [one for one in reasons if "script: freeze" in at_rest.log_of(one)]
    assert len(hung) == 1
    assert frozen
    assert {reasons[one] for one in (*hung, *frozen)} == {BY_THE_REAPER}


def test_agent_that_was_frozen_writes_nothing_when_it_goes_on(
    at_rest: Any, unique: str, scripted_text: Callable[[str], str]
) -> None:
    """Its job was done by another meanwhile: its attempt is stale, and the fence says so."""
    before, key = known(at_rest), f"uploads/{unique}/a.wav"
    job_id = at_rest.put(key, freeze="results stored")
    instance_id = await_instance(at_rest, before)
    with at_rest.schedule():
        ended = at_rest.chain.await_job(job_id, lambda job: "delivered" in job.phases, "the delivery")
        os.kill(pid_of(at_rest, instance_id), signal.SIGCONT)
        at_rest.await_no_instance()
    assert (ended.attempt, ended.failures) == (2, 1)
    found = at_rest.chain.client.find(job_id)
    assert replace(found, cost=ended.cost) == ended, "but for the wait of the other one, which the job pays"
    assert len([one for one in at_rest.chain.receiver.receptions if one.job_id == job_id]) == 1
    assert at_rest.results(job_id)["transcript.txt"].decode().strip() == scripted_text(key)
    assert reason_of(at_rest, instance_id) == BY_ITSELF, "it went on, found nothing to do, and left"
