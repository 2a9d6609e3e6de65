"""Figures: percentiles that are values which occurred, medians over runs, and the table."""

import os

import pytest

from benchmarks.cost import Cost, Meter, family_of
from benchmarks.figures import Measured, latencies, longest_gap, percentile, steady_rate, total
from benchmarks.report import markdown


@pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    assert percentile([float(each) for each in range(1, 101)], share) == value


def test_latencies_are_told_in_milliseconds() -> None:
    told = latencies([0.004, 0.001, 0.002])
    assert told is not None
    assert (told.p50, told.p99, told.most) == (2.0, 4.0, 4.0)
    assert latencies([]) is None


def test_the_steady_rate_leaves_out_the_start_and_the_tail() -> None:
    steady = [10 + place / 100 for place in range(100)]
    assert steady_rate(steady) == pytest.approx(100)
    assert steady_rate([*steady[:-1], 1000.0]) == pytest.approx(100)
    assert steady_rate([1.0]) == 0.0


def test_the_longest_gap_is_found_whatever_the_order() -> None:
    assert longest_gap([5.0, 1.0, 2.0]) == 3.0


def test_generator_and_far_side_are_not_counted_as_production() -> None:
    costs = {name: Cost(cpu_s=1, pss_mb=10, rss_mb=20) for name in ("load", "platforms", "gateway", "worker")}
    assert total(costs) == Cost(cpu_s=2, pss_mb=20, rss_mb=40)


def test_cpu_a_message_is_told_by_family() -> None:
    costs = {"gateway": Cost(cpu_s=0.5, pss_mb=1, rss_mb=1)}
    assert Measured(what="x", messages=1000, seconds=1, rate_per_s=1, costs=costs).cpu_us == {"gateway": 500.0}


def test_our_own_work_is_counted_without_that_of_our_children() -> None:
    meter = Meter({"load": os.getpid()})
    sum(range(5_000_000))
    cost = meter.read()["load"]
    assert cost.cpu_s > 0
    assert cost.rss_mb > cost.pss_mb / 2 > 0
    assert os.getpid() in family_of(os.getppid())


def test_the_table_tells_medians_and_how_the_peer_did() -> None:
    def run(system: str, rate: float) -> dict[str, object]:
        delivery = {"lost": 0, "doubled": 0, "disordered": 1 if system == "peer" else 0}
        measured = {"what": "sustained", "messages": 10, "rate_per_s": rate, "costs": {}, "delivery": delivery}
        return {"part": "inbound", "system": system, "measured": [measured]}

    runs = [run("zaptrix", 10.0), run("peer", 4.0), run("zaptrix", 30.0), run("peer", 5.0), run("zaptrix", 20.0)]
    told = markdown([{"part": "inbound", "machine": "m", "commit": "c", "at": "2026-01-01T00:00:00", "runs": runs}])
    assert "| inbound: sustained | zaptrix | 20 | 4.4 x |" in told
    assert "| inbound: sustained | peer | 4 |" in told
    assert told.count("| 0, 0, 0 |") == 1
    assert told.count("| 0, 0, 2 |") == 1
