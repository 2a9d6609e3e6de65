"""What seeds draw beside texts: every kind within a few dozens of worlds, and never so much that texts are few."""

from collections import Counter
from collections.abc import Iterator

import pytest

from proof.acts import ACT_KINDS, FILE_KINDS, SHAPES, TEXTS, Act
from proof.plan import EXPIRED, EXPIRED_TIMES, MEDIA_FAULTS, STRIKES_AT_FILES, Plan, plan_of
from tests.proof.test_seeds import SEEDS as PLAYED

# Files are given up when they were "not there" so often.
GONE_TRIES = 3


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [plan_of(seed, 20) for seed in range(1, 61)]


def acts(plans: list[Plan], kind: str) -> Iterator[Act]:
    return (act for plan in plans for act in plan.acts if act.kind == kind)


def test_sixty_seeds_do_everything_in_every_shape(plans: list[Plan]) -> None:
    assert {act.kind for plan in plans for act in plan.acts} == {*ACT_KINDS}
    for kind, shapes in SHAPES.items():
        assert {act.shape for act in acts(plans, kind)} == {*shapes}
    for kind, kinds in FILE_KINDS.items():
        assert {file.kind for act in acts(plans, kind) for file in act.files} == {*kinds}
    assert {len(act.files) for act in acts(plans, "attaches")} == {1, 2, 3}
    assert {bool(act.text) for act in acts(plans, "attaches")} == {True, False}


def test_sixty_seeds_try_every_fault_of_files_and_kill_workers_that_have_some(plans: list[Plan]) -> None:
    tried = {
        (fault["match"]["method"], fault["kind"], fault.get("status"))
        for plan in plans
        for episode in plan.episodes
        for fault in episode.faults
        if "match" in fault and "method" in fault["match"]
    }
    wanted = {(fault["match"]["method"], fault["kind"], fault.get("status")) for fault in (*MEDIA_FAULTS, EXPIRED)}
    assert tried >= wanted
    assert {*STRIKES_AT_FILES} <= {strike.name for plan in plans for strike in plan.strikes}
    assert {plan.media_ready_s for plan in plans} == {2.0, 60.0}


@pytest.mark.parametrize("seed", range(1, 61))
def test_texts_are_the_majority_and_every_word_and_every_byte_is_its_own(seed: int) -> None:
    plan = plan_of(seed, 20)
    kinds = Counter(act.kind for act in plan.acts if act.kind not in {"reads", "ages"})
    assert sum(kinds[kind] for kind in TEXTS) > kinds.total() / 2
    seeds = [file.seed for act in plan.acts for file in act.files]
    keys = [act.key for act in plan.acts if act.kind == "asks"]
    texts = [act.text for act in plan.acts if act.text]
    assert len(set(seeds)) == len(seeds)
    assert len(set(keys)) == len(keys)
    assert len(set(texts)) == len(texts)


def test_who_is_silent_says_nothing_and_is_told_something(plans: list[Plan]) -> None:
    silent = [(plan, who) for plan in plans for who, person in enumerate(plan.people) if person.shut]
    assert 15 < len(silent) < 45
    for plan, who in silent:
        done = [act for act in plan.acts if act.who == who]
        assert done[0].kind == "ages"
        assert {act.kind for act in done} >= {"operator", "asks"}
        assert not {act.kind for act in done} & {"customer", "sends", "tells"}
        assert plan.people[who].channel != 0


def test_no_file_is_not_there_so_often_that_it_is_given_up(plans: list[Plan]) -> None:
    for plan in plans:
        gone = [fault["times"] for episode in plan.episodes for fault in episode.faults if fault.get("status") == 404]
        assert sum(gone) in {0, EXPIRED_TIMES}
    assert EXPIRED_TIMES < GONE_TRIES


@pytest.mark.parametrize(("seed", "seconds"), PLAYED)
def test_the_seeds_that_each_test_run_plays_have_files_and_templates(seed: int, seconds: float) -> None:
    plan = plan_of(seed, seconds)
    kinds = Counter(act.kind for act in plan.acts)
    assert min(kinds["sends"], kinds["attaches"], kinds["tells"]) > 0
    assert any(act.kind == "asks" and act.shape != "text" for act in plan.acts)
