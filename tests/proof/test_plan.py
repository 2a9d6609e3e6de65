"""What seeds draw: the same each time, and in the long run everything."""

from itertools import pairwise

import pytest

from proof.plan import FAULTS, MEDIA_FAULTS, STANDSTILLS, STRIKES, STRIKES_AT_FILES, plan_of
from proof.topologies import OWN_STRIKES, TOPOLOGIES

SEEDS = range(1, 201)


def test_a_seed_draws_the_same_plan_each_time() -> None:
    assert plan_of(7, 20) == plan_of(7, 20)
    assert plan_of(7, 20) != plan_of(8, 20)


def test_a_topology_has_strikes_of_its_own_and_the_rest_stays_what_it_was() -> None:
    for seed in range(1, 21):
        plan, there = plan_of(seed, 20), plan_of(seed, 20, gateways=2, workers=3, strikes=OWN_STRIKES["cluster"])
        assert (there.gateways, there.workers) == (2, 3)
        assert (there.acts, there.episodes) == (plan.acts, plan.episodes)
        beside = [strike for strike in there.strikes if strike.name in OWN_STRIKES["cluster"]]
        assert beside
        assert [strike for strike in there.strikes if strike not in beside] == list(plan.strikes)
    assert OWN_STRIKES.keys() <= TOPOLOGIES.keys()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_texts_differ_since_the_ledger_knows_an_answer_by_its_words(seed: int) -> None:
    texts = [act.text for act in plan_of(seed, 20).acts if act.text]
    assert len(set(texts)) == len(texts)


def test_acts_are_in_the_order_of_their_times() -> None:
    assert all(one.at_s <= other.at_s for one, other in pairwise(plan_of(5, 20).acts))


def test_operators_answer_only_who_has_a_chat() -> None:
    plan = plan_of(9, 20)
    assert all(plan.people[act.who].opened for act in plan.acts if act.kind in {"operator", "attaches"})


def test_two_hundred_seeds_strike_everything_and_try_every_fault() -> None:
    plans = [plan_of(seed, 20) for seed in SEEDS]
    struck = {strike.name for plan in plans for strike in plan.strikes}
    tried = {(f["side"], f["where"], f["kind"]) for p in plans for episode in p.episodes for f in episode.faults}
    assert struck == {*STRIKES, *STRIKES_AT_FILES, *STANDSTILLS}
    assert tried == {(fault["side"], fault["where"], fault["kind"]) for fault in (*FAULTS, *MEDIA_FAULTS)}


def test_some_seed_has_more_than_one_number_in_a_portal_and_clocks_that_are_wrong() -> None:
    plans = [plan_of(seed, 20) for seed in SEEDS]
    assert any(len(plan.channels) > len(set(plan.channels)) for plan in plans)
    assert {plan.platforms_ahead_s for plan in plans} == {0.0, 45.0, -45.0}
    assert {plan.worker_ahead_s for plan in plans} == {0.0, 150.0, -150.0}
    assert any(person.hours_ago > 1 for plan in plans for person in plan.people)
