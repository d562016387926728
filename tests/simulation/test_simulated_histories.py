"""The fleet policy over generated histories: whatever breaks in which order, its promises hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.simulation.assumptions import Assumptions, Faults, Machines, Plumbing, Work
from bench.simulation.measure import summary, violations
from bench.simulation.scenario import FLEETS, Scenario
from bench.simulation.world import Simulation
from tests.simulation.worlds import CALM_WORLD, LIMITS, run, scenario_of, with_faults, with_machines

SHARES = st.sampled_from([0.0, 0.0, 0.05, 0.4])


def shares(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries(dict.fromkeys(names, SHARES))


FAULTS = st.builds(
    lambda drawn, pause_s, lag_s: Faults(**drawn, pause_s=pause_s, index_lag_s=lag_s),
    shares(
        (
            "lost_nudges",
            "lost_messages",
            "lost_webhook_messages",
            "skipped_passes",
            "doubled_passes",
            "forgotten_passes",
            "refused_memories",
            "throttled_launches",
            "lost_answers",
            "silent_finishes",
            "pauses",
        )
    ),
    pause_s=st.sampled_from([30.0, 300.0]),
    lag_s=st.sampled_from([0.0, 1.0, 5.0]),
)
MACHINES = st.builds(
    Machines,
    broken_boots=st.sampled_from([0.0, 0.1, 1.0]),
    describe_lag_s=st.sampled_from([0.0, 3.0, 14.0]),
    interruptions_per_h=st.sampled_from([0.0, 4.0]),
    unnoticed=st.sampled_from([0.0, 0.5]),
    spot_outages_per_day=st.sampled_from([0.0, 24.0]),
    on_demand_outages_per_day=st.sampled_from([0.0, 24.0]),
    deaths_per_h=st.sampled_from([0.0, 3.0]),
    zombies=st.sampled_from([0.0, 0.5, 1.0]),
)
WORLDS = st.builds(
    Assumptions,
    work=st.builds(Work, crashing=st.sampled_from([0.0, 0.1]), bad_media=st.sampled_from([0.0, 0.1])),
    machines=MACHINES,
    plumbing=st.builds(Plumbing, duplicates=SHARES, outages_per_day=st.sampled_from([0.0, 10.0])),
    faults=FAULTS,
)
HISTORIES = st.builds(
    Scenario,
    uploads_per_day=st.integers(1, 40),
    limits=st.builds(
        replace,
        st.just(LIMITS),
        max_instances=st.integers(1, 4),
        max_usd_per_day=st.sampled_from([500.0, 0.1]),
        max_life_s=st.sampled_from([1_800.0, 21_600.0]),
    ),
    arrivals=st.sampled_from(["steady", "diurnal", "burst"]),
    fleet=st.sampled_from(FLEETS),
    seed=st.integers(0, 2**32),
    deadline_share=st.sampled_from([0.0, 0.3]),
    assumptions=WORLDS,
)


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_no_history_loses_doubles_or_leaks_anything(scenario: Scenario) -> None:
    assert violations(Simulation(scenario).run()) == []


def test_the_same_seed_is_the_same_history() -> None:
    stormy = Assumptions(faults=Faults(lost_nudges=0.1, pauses=0.1), plumbing=Plumbing(outages_per_day=10))
    first, again, other = (summary(run(200, stormy, seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_the_same_day_meets_the_same_weather_whatever_the_fleet() -> None:
    stormy = Assumptions(plumbing=Plumbing(outages_per_day=10))
    draining, one_shot = (summary(run(60, stormy, seed=4, fleet=fleet)) for fleet in FLEETS)
    assert draining["weather"]["receiver_outages"] > 0
    assert (draining["weather"], draining["audio_h"]) == (one_shot["weather"], one_shot["audio_h"])


# --- the world is as hard as it claims, and a broken promise would be seen ---


def test_interrupted_work_resumes_where_its_checkpoint_ended() -> None:
    taken = run(40, with_machines(interruptions_per_h=20.0), seed=3)
    assert taken.tally.interruptions > 5
    assert taken.measured.interrupted > 0
    assert taken.tally.redone_audio_s == 0
    assert violations(taken) == []


def test_silent_deaths_are_found_and_redone() -> None:
    stormy = run(40, with_machines(deaths_per_h=20.0, zombies=1.0), seed=3)
    assert stormy.fleet.counts.actions["Requeue"] > 0
    assert stormy.fleet.counts.actions["Terminate"] > 0
    assert stormy.measured.leaked_s > 0
    assert violations(stormy) == []


def test_an_agent_out_of_contact_is_refused_when_it_comes_back() -> None:
    cut_off = run(60, with_faults(pauses=1.0, pause_s=2_000.0), seed=1)
    assert cut_off.tally.stale_finishes > 0
    assert violations(cut_off) == []


def test_lost_messages_are_sent_again() -> None:
    lossy = run(60, with_faults(lost_messages=0.3), seed=1)
    assert lossy.queue.lost > 0
    assert lossy.measured.ended == {"completed": 60} or sum(lossy.measured.ended.values()) == 60
    assert violations(lossy) == []


def test_webhooks_that_nobody_holds_are_delivered() -> None:
    lossy = run(60, with_faults(silent_finishes=0.3), seed=1)
    assert lossy.fleet.counts.actions["Redeliver"] > 0
    assert lossy.outbox.delivered == 60


def test_a_receiver_that_is_down_gets_its_webhooks_by_the_schedule() -> None:
    down = replace(CALM_WORLD, plumbing=Plumbing(duplicates=0, outages_per_day=20, outage_mean_s=1_000))
    outage = run(100, down, seed=2)
    assert outage.outbox.attempts > outage.outbox.delivered == 100


def test_bought_on_demand_where_spot_is_out() -> None:
    dry = run(40, with_machines(spot_depth=0), seed=1)
    assert dry.ec2.bill.seconds["spot"] == 0
    assert dry.ec2.bill.seconds["on-demand"] > 0
    assert violations(dry) == []


def test_no_capacity_at_all_ends_every_job_visibly() -> None:
    dry = run(20, with_machines(spot_depth=0, on_demand_depth=0), seed=1)
    assert dry.measured.ended == {"failed: no_capacity": 20}
    assert dry.outbox.delivered == 20
    assert violations(dry) == []


def test_a_job_that_fails_every_attempt_ends_and_the_others_are_untouched() -> None:
    poisoned = replace(CALM_WORLD, work=Work(crashing=0.1, bad_media=0.0))
    ended = run(50, poisoned, seed=1).measured.ended
    assert ended["failed: crashing"] > 0
    assert sum(ended.values()) == 50


def test_one_shot_instances_take_one_job_each() -> None:
    calm = run(30, fleet="one-shot", limits=replace(LIMITS, max_instances=30, target_drain_s=1), seed=1)
    assert calm.ec2.launched == calm.tally.claims >= 30


def test_an_uneventful_day_costs_nothing_beyond_its_instances() -> None:
    calm = summary(run(50, seed=1))
    assert calm["jobs"]["lost"] == calm["instances"]["leaked_s"] == 0
    assert calm["instances"]["spot_share"] == 1.0
    assert calm["webhooks"] == {"delivered": 50, "abandoned": 0, "attempts": 50, "peak_waiting_for_deliver": 0}


def test_a_promise_that_is_broken_is_said() -> None:
    simulation = Simulation(scenario_of(5))
    simulation.run()
    simulation.ec2.peak_alive = 99
    simulation.measured.webhook_ids += 1
    simulation.fleet.counts.early_requeues.append("x")
    simulation.uploads.count += 1
    assert len(violations(simulation)) == 4


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_lost_nudge_costs_a_minute_at_most(share: float) -> None:
    calm, lossy = (run(30, with_faults(lost_nudges=each), seed=5) for each in (0.0, share))
    assert violations(lossy) == []
    assert max(lossy.measured.waits_s) < max(calm.measured.waits_s) + 3_600
