"""Rates, percentiles and medians, and what a run wrote down. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from benchmarks.cost import BESIDE, Cost
from benchmarks.delivery import Delivery

REFUSALS = "refusals for pace"


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """In milliseconds."""

    p50: float
    p99: float
    p999: float
    most: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of one run."""

    what: str  # such as "saturation" or "at 500/s"
    messages: int
    seconds: float
    rate_per_s: float
    latencies_ms: Latencies | None = None
    costs: dict[str, Cost] = {}
    load_us: float = 0.0  # CPU of the generator for a request
    delivery: Delivery | None = None
    more: dict[str, float] = {}

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled or disordered, and no call refused for its pace."""
        return (self.delivery is None or self.delivery.is_good) and not self.more.get(REFUSALS)

    @property
    def cpu_us(self) -> dict[str, float]:
        """CPU for a message, by family."""
        return {name: round(cost.cpu_s / max(self.messages, 1) * 1e6, 1) for name, cost in self.costs.items()}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One part, once, on one system."""

    part: str
    system: str
    number: int
    settings: dict[str, float | str | bool | dict[str, str] | None]
    measured: list[Measured]


def latencies(seconds: Iterable[float]) -> Latencies | None:
    ordered = sorted(seconds)
    if not ordered:
        return None
    return Latencies(
        p50=_ms(percentile(ordered, 0.5)),
        p99=_ms(percentile(ordered, 0.99)),
        p999=_ms(percentile(ordered, 0.999)),
        most=_ms(ordered[-1]),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    place = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[min(place, len(ordered) - 1)]


def steady_rate(times: Sequence[float]) -> float:
    """Arrivals a second in the middle eight tenths: without the start and without the tail."""
    ordered = sorted(times)
    first, last = len(ordered) // 10, len(ordered) - len(ordered) // 10 - 1
    took = ordered[last] - ordered[first] if last > first else 0.0
    return (last - first) / took if took else 0.0


def longest_gap(times: Sequence[float]) -> float:
    """The longest time in which nothing arrived."""
    return max((later - earlier for earlier, later in pairwise(sorted(times))), default=0.0)


def median_of(values: Iterable[float]) -> float:
    return statistics.median(values)


def total(costs: Mapping[str, Cost], without: frozenset[str] = BESIDE) -> Cost:
    """All that has to be run in production."""
    ours = [cost for name, cost in costs.items() if name not in without]
    return Cost(
        cpu_s=round(sum(cost.cpu_s for cost in ours), 3),
        pss_mb=round(sum(cost.pss_mb for cost in ours), 1),
        rss_mb=round(sum(cost.rss_mb for cost in ours), 1),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
