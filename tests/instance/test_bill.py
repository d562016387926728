"""Jobs carry what they cost: over an instance's whole life it adds up to what EC2 bills."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from avskrift.errors import NoAudioStream, WorkerCrashed
from avskrift.jobs import metrics
from avskrift.jobs.cancel import cancel_job
from avskrift.jobs.measures import Measures
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.table import JobTable
from avskrift.local.processes import await_condition
from instance import billing
from instance.agent import Agent
from instance.settings import Identity
from instance.work import HandBack
from tests.instance.agent_stage import NOW, PATIENCE_S, FaultyClient, Outage, Stage, Work

SILENT = NoAudioStream("There is no sound in this file: send its audio track.")
CRASH = WorkerCrashed("The worker died (signal 11).")
PRICE = {"usd_per_hour": 0.36, "market": "spot", "instance_type": "g4dn.xlarge", "price_from": "spot price at launch"}
USD_PER_S = (0.36 + 0.005) / 3_600


class Clock:
    """Time passes only where a test says so. It stands while AWS is called."""

    def __init__(self) -> None:
        self.now = NOW + 30.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float, then: Exception | None = None) -> Any:
        """What the engine does: take so long, and then maybe fail."""

        def take(_: Work) -> None:
            self.now += seconds
            if then:
                raise then

        return take


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quiet(stage: Stage, clock: Clock) -> dict[str, Any]:
    """Services of an agent that never beats between a job's begin and its end, on an instance whose price is known."""
    stage.table.put_values({"pk": "instance#i-1", **PRICE})
    return {"clock": clock, "settings": stage.with_settings(heartbeat_s=3_600.0)}


def paid_s(stage: Stage, *jobs: Job) -> float:
    return sum((stage.job(job).cost or {}).get("billed_s", 0.0) for job in jobs)


def live(stage: Stage, *outcomes: Any, waits_s: list[float], clock: Clock, **services: Any) -> None:
    """Drain the queue; before each message, and before the end, so much time passes."""
    waits = iter(waits_s)

    def wait_for_message(**_: Any) -> None:
        clock.now += next(waits, 0.0)

    sqs = FaultyClient(stage.deployment.sqs, "receive_message", before=wait_for_message)
    stage.run(*outcomes, sqs=sqs, clock=clock, **services)


def hand_back(stage: Stage, clock: Clock, after_s: float, reason: HandBack, services: dict[str, Any]) -> None:
    """Let an instance work on a job for a while and go."""

    def be_stopped(work: Work) -> None:
        clock.now += after_s
        agent.stop(reason)
        work.await_cancel()

    agent = stage.agent(be_stopped, **services)
    agent.run()


def test_jobs_of_an_instance_pay_its_life_from_launch_to_end(stage: Stage, quiet: dict[str, Any], clock: Clock) -> None:
    jobs = [stage.upload(f"uploads/{number}.mp3", str(number).encode()) for number in range(4)]
    outcomes = [clock.work(100), clock.work(7, SILENT), clock.work(9, CRASH), clock.work(20), clock.work(300)]
    live(stage, *outcomes, waits_s=[15, 5, 6, 7, 8, 33], **quiet)
    costs = [stage.job(job).cost for job in jobs]
    assert all(costs)
    ends = {stage.job(job).status for job in jobs}
    assert ends == {JobStatus.COMPLETED, JobStatus.FAILED}
    assert paid_s(stage, *jobs) == pytest.approx(clock.now - NOW)
    assert sum(cost["usd"] for cost in costs if cost) == pytest.approx((clock.now - NOW) * USD_PER_S, abs=1e-5)


def test_first_job_pays_the_boot_and_the_last_one_the_wait_after_it(
    stage: Stage, quiet: dict[str, Any], clock: Clock
) -> None:
    first, last = stage.upload("uploads/1.mp3"), stage.upload("uploads/2.mp3", b"other")
    live(stage, clock.work(100), clock.work(50), waits_s=[15, 5, 33], **quiet)
    parts = [[(stage.job(job).cost or {})[name] for name in ("boot_s", "work_s", "linger_s")] for job in (first, last)]
    assert sorted(parts) == [[0, 50, 5 + 33], [45, 100, 0]]


def test_short_life_costs_a_minute(stage: Stage, clock: Clock, quiet: dict[str, Any]) -> None:
    job = stage.upload()
    stage.run(clock.work(2), **quiet)
    assert paid_s(stage, job) == 60.0


def test_attempts_on_several_instances_add_up(stage: Stage, quiet: dict[str, Any], clock: Clock) -> None:
    job = stage.upload()
    hand_back(stage, clock, 100, HandBack.STOPPED, quiet)
    spent_s = clock.now - NOW
    stage.table.put_values({"pk": "instance#i-2", **PRICE, "market": "on-demand", "usd_per_hour": 1.08})
    other = Identity("i-2", "g4dn.xlarge", "on-demand", clock.now)
    stage.run(clock.work(200), identity=other, booted_at=clock.now, **quiet)
    cost = stage.job(job).cost
    assert cost
    assert cost["work_s"] == 300.0
    assert cost["by_market"] == {
        "spot": pytest.approx(spent_s * USD_PER_S, abs=1e-5),
        "on-demand": pytest.approx(200 * 1.085 / 3_600, abs=1e-5),
    }


@pytest.mark.parametrize("reason", [HandBack.STOPPED, HandBack.INTERRUPTED])
def test_attempt_that_was_handed_back_stays_on_the_bill(
    stage: Stage, quiet: dict[str, Any], clock: Clock, reason: HandBack
) -> None:
    job = stage.upload()
    hand_back(stage, clock, 40, reason, quiet)
    back = stage.job(job)
    assert back.status is JobStatus.QUEUED
    assert back.cost and back.cost["work_s"] == 40.0


def test_beats_say_what_a_job_has_cost_so_far(stage: Stage, clock: Clock, quiet: dict[str, Any]) -> None:
    """So nothing is lost with an agent that falls silent: capacity gives the row back as it stands."""
    job = stage.upload()

    def fall_silent(work: Work) -> None:
        clock.now += 70
        await_condition(lambda: (stage.job(job).cost or {}).get("work_s") == 70.0, PATIENCE_S, "a beat")
        stage.table.requeue(stage.job(job), clock.now, failed=True)
        work.await_cancel()

    quiet["settings"] = stage.with_settings(heartbeat_s=0.05)
    stage.run(fall_silent, clock.work(8, SILENT), **quiet)
    ended = stage.job(job)
    assert ended.status is JobStatus.FAILED
    assert ended.cost and ended.cost["work_s"] == 78.0


def test_cancelled_job_pays_what_was_worked_on_it(stage: Stage, clock: Clock, quiet: dict[str, Any]) -> None:
    job = stage.upload()

    def be_cancelled(work: Work) -> None:
        clock.now += 25
        cancel_job(stage.table, stage.deployment.sqs, stage.deployment.outbox_queue_url, job.job_id, clock.now)
        work.await_cancel()

    quiet["settings"] = stage.with_settings(heartbeat_s=0.05)
    stage.run(be_cancelled, **quiet)
    ended = stage.job(job)
    assert ended.status is JobStatus.CANCELLED
    assert ended.cost and ended.cost["work_s"] == 25.0


def test_wait_after_a_job_that_went_on_elsewhere_is_paid_by_the_one_before(
    stage: Stage, clock: Clock, quiet: dict[str, Any]
) -> None:
    done = stage.upload("uploads/1.mp3")
    stage.run(clock.work(100), **quiet)
    before = paid_s(stage, done)
    back = stage.upload("uploads/2.mp3", b"other")
    agent = stage.agent(**quiet)
    bill = agent._bill
    for job in (done, back):
        row = stage.job(job)
        bill.let_go(row, row.cost or {}, clock.now)
    stage.table.claim(back.job_id, "i-2", clock.now)
    bill.close(clock.now + 12)
    assert paid_s(stage, done) == before + 12.0
    assert paid_s(stage, back) == 0.0


def test_webhook_tells_the_cost(stage: Stage, clock: Clock, quiet: dict[str, Any]) -> None:
    job = stage.upload()
    bodies = []
    table = JobTable(
        FaultyClient(stage.deployment.dynamodb, "transact_write_items", lambda **request: bodies.append(str(request))),
        stage.table.name,
    )
    stage.run(clock.work(100), table=table, **quiet)
    assert stage.job(job).status is JobStatus.COMPLETED
    assert '"usd_per_hour":0.36' in bodies[0]


def test_unknown_price_is_the_tables_and_says_so(stage: Stage, clock: Clock) -> None:
    job = stage.upload()
    stage.run(clock.work(100), clock=clock)
    cost = stage.job(job).cost
    assert cost and (cost["usd_per_hour"], cost["price_from"]) == (0.19, "table eu-north-1 2026-11")


def test_table_that_can_not_be_read_costs_no_job(stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stage.upload()
    is_price = lambda **request: request["Key"]["pk"]["S"].startswith("instance#")  # noqa: E731
    outage = Outage(EndpointConnectionError(endpoint_url="https://dynamodb"), 10**6, is_price)
    table = JobTable(FaultyClient(stage.deployment.dynamodb, "get_item", outage), stage.table.name)
    stage.run(clock.work(100), clock=clock, table=table)
    assert stage.job(job).status is JobStatus.COMPLETED
    assert outage.calls == 1


def test_price_is_looked_for_a_few_times_only(stage: Stage, clock: Clock) -> None:
    for number in range(billing.PRICE_TRIES + 2):
        stage.upload(f"uploads/{number}.mp3", str(number).encode())
    reads = Outage(RuntimeError(), 0, lambda **request: request["Key"]["pk"]["S"].startswith("instance#"))
    stage.run(clock=clock, table=JobTable(FaultyClient(stage.deployment.dynamodb, "get_item", reads), "jobs"))
    assert reads.calls == billing.PRICE_TRIES


def test_clock_that_makes_nonsense_of_the_launch_costs_no_fortune(stage: Stage, clock: Clock) -> None:
    job = stage.upload()
    early = replace(stage.services.identity, launched_at=NOW - 10**8)
    stage.run(clock.work(100), clock=clock, identity=early)
    assert paid_s(stage, job) == 100.0


def test_numbers_of_a_life_are_those_of_the_rows(stage: Stage, clock: Clock, quiet: dict[str, Any]) -> None:
    jobs = [stage.upload("uploads/1.mp3"), stage.upload("uploads/2.mp3", b"other")]
    told: list[Measures] = []
    live(
        stage,
        *(clock.work(100), clock.work(50, SILENT)),
        waits_s=[15, 5, 33],
        measure=lambda measures, _: told.append(measures),
        **quiet,
    )

    def total(metric: metrics.Metric) -> float:
        return sum(measures.get(metric, 0.0) for measures in told)

    assert (total(metrics.JOBS_COMPLETED), total(metrics.JOBS_FAILED), total(metrics.BOOT)) == (1.0, 1.0, 45.0)
    usd = sum((stage.job(job).cost or {})["usd"] for job in jobs)
    assert total(metrics.JOB_COST) == pytest.approx(usd, abs=3e-6)
    assert (total(metrics.AUDIO), total(metrics.REAL_TIME_FACTOR)) == (2.0, 50.0)
    assert total(metrics.PHASES["transcribed"]) == 100.0
    assert (total(metrics.WEBHOOK_ATTEMPTS), total(metrics.WEBHOOK_FAILURES)) == (2.0, 2.0)


def test_agent_of_an_instance_without_jobs_ends_well(stage: Stage, clock: Clock) -> None:
    Agent(replace(stage.services, clock=clock)).run()
