"""Who waits for company: nobody while little comes, and a moment while much does."""

from bisect import bisect_right

import pytest

from zaptrix.core.delivery.gathering import pause_at, rate_after
from zaptrix.core.limits import ROUTE_GATHER_S, ROUTE_TOGETHER


def batches(per_s: float, seconds: float = 5.0, work_s: float = 0.005) -> tuple[list[int], float]:
    """How many events each batch has at an even rate, and how long the longest waited for its batch to begin."""
    arrivals = [n / per_s for n in range(int(per_s * seconds))]
    sizes, longest_s, rate, looked_at, at = [], 0.0, 0.0, -1e9, 0.0
    while arrivals:
        at = max(at, arrivals[0])
        longest_s = max(longest_s, at - arrivals[0])
        came = bisect_right(arrivals, at)
        arrivals = arrivals[came:]
        sizes.append(came)
        rate, looked_at = rate_after(rate, came, at - looked_at), at
        at += max(work_s, pause_at(rate))
    return sizes, longest_s


@pytest.mark.parametrize("per_s", [1, 20, 50])
def test_a_lone_event_is_routed_at_once(per_s: float) -> None:
    assert batches(per_s) == ([1] * len(batches(per_s)[0]), 0.0)


@pytest.mark.parametrize(("per_s", "at_least"), [(200, 5), (300, 8), (500, 13), (2_000, 50)])
def test_what_comes_often_comes_together(per_s: float, at_least: int) -> None:
    sizes, longest_s = batches(per_s)
    assert sum(sizes) / len(sizes) >= at_least
    assert longest_s <= ROUTE_GATHER_S + 0.001


def test_a_burst_is_forgotten_in_a_moment() -> None:
    """Twelve that come in one webhook do not make the next one wait."""
    rate = rate_after(0.0, 12, 1e9)
    assert pause_at(rate_after(rate, 1, 0.1)) == 0.0
    assert pause_at(ROUTE_TOGETHER / ROUTE_GATHER_S) == ROUTE_GATHER_S
