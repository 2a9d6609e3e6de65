"""The soak: what it asks of the platforms is within their limits, and what it calls flat."""

from collections import Counter

import pytest

from proof.soak import ACCIDENTS, growth, is_flat, soak_plan


def test_a_soak_writes_at_its_rate_and_both_ways() -> None:
    plan = soak_plan(1, 600, 10)
    kinds = Counter(act.kind for act in plan.acts)
    assert kinds.total() == 6000
    assert min(kinds["customer"], kinds["operator"]) > 2700
    assert min(kinds["sends"], kinds["attaches"]) > 50


@pytest.mark.parametrize("rate", [1, 10, 50])
def test_no_portal_and_no_customer_is_asked_for_more_than_a_platform_carries(rate: float) -> None:
    plan = soak_plan(1, 600, rate)
    assert rate / len(set(plan.channels)) < 2  # calls a second of a portal
    assert rate / 2 / len(plan.people) < 1 / 6  # messages a second to a customer


def test_no_accident_of_a_soak_ends_a_process_whose_memory_is_watched() -> None:
    assert {strike.name for strike in soak_plan(1, 600, 10).strikes} == set(ACCIDENTS)
    assert not any(name.startswith(("kill", "crash", "all")) for name in ACCIDENTS)


def test_growth_is_told_from_the_warm_second_fifth_to_the_last() -> None:
    samples = [{"worker 1": mb} for mb in (50.0, 50.0, 60.0, 61.0, 62.0, 62.0, 63.0, 63.0, 64.0, 66.0)]
    assert growth(samples) == {"worker 1": (60.5, 65.0)}


@pytest.mark.parametrize(("early", "late", "flat"), [(60, 61, True), (60, 69, False), (200, 215, True), (60, 50, True)])
def test_memory_is_flat_when_it_grows_by_no_more_than_an_allocators_breath(
    early: float, late: float, flat: bool
) -> None:
    assert is_flat(early, late) is flat
