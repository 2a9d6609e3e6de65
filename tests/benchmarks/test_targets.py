"""The report's first table: the newest results that can answer, medians, ratios, and whether a target is reached."""

from typing import Any

import pytest

from benchmarks.parts import PARTS
from benchmarks.report import markdown
from benchmarks.targets import TARGETS, Target, rows

SUSTAINED = next(each for each in TARGETS if each.stretch == "sustained, 1000 portals")
CPU = next(each for each in TARGETS if each.what.startswith("CPU ms"))


def result(at: str, target: Target, system: str, *rates: float, number: int = 0, **more: object) -> dict[str, Any]:
    measured = [{"what": target.stretch, "messages": 1_000, "rate_per_s": rate, "costs": {}} | more for rate in rates]
    runs = [{"part": target.act, "system": system, "number": number, "measured": [one]} for one in measured]
    return {"part": "hot", "machine": "m", "commit": f"c{at}", "at": at, "command": "hot --runs 5", "runs": runs}


def test_the_acts_of_the_targets_are_there() -> None:
    assert {each.act for each in TARGETS} <= {act.name for acts in PARTS.values() for act in acts}


def test_the_newest_results_that_can_answer_are_told_with_their_medians() -> None:
    old = result("2026-01-01", SUSTAINED, "zaptrix", 1.0)
    new = result("2026-01-02", SUSTAINED, "zaptrix", 10.0, 90.0, 30.0)
    silent = result("2026-01-03", CPU, "zaptrix", 1.0)
    (row,) = rows([old, new, silent], [SUSTAINED])
    assert (row.value, row.result["commit"], row.verdict) == (30.0, "c2026-01-02", "no yardstick")
    assert list(rows([silent], [SUSTAINED])) == []


@pytest.mark.parametrize(("ours", "verdict"), [(1_500.0, "reached"), (1_499.0, "not reached")])
def test_a_ratio_is_to_the_yardstick_of_the_same_results(ours: float, verdict: str) -> None:
    told = result("2026-01-02", SUSTAINED, "zaptrix", ours)
    told["runs"] += (
        result("", SUSTAINED, "peer", 1_000.0)["runs"] + result("", SUSTAINED, "peer, marking", 500.0)["runs"]
    )
    (row,) = rows([told], TARGETS)
    assert (row.ratio, row.verdict) == (ours / 1_000, verdict)
    table = markdown([told])
    assert f"| 500 | {ours / 500:.2f} x | >= 1.5 x | {verdict} | (1) |" in table
    assert "- (1) `python -m benchmarks hot --runs 5`: medians of 1 run; m; commit c2026-01-02; 2026-01-02" in table


@pytest.mark.parametrize(("cpu_s", "verdict"), [(0.6, "reached"), (0.7, "not reached")])
def test_what_production_does_not_need_is_not_counted(cpu_s: float, verdict: str) -> None:
    costs = {name: {"cpu_s": 9.0, "pss_mb": 1.0} for name in ("load", "platforms", "busy")}
    costs |= {name: {"cpu_s": cpu_s, "pss_mb": 1.0} for name in ("worker", "postgresql")}
    told = result("2026-01-02", CPU, "zaptrix", 500.0, costs=costs)
    (row,) = rows([told], [CPU])
    assert row.value == pytest.approx(2 * cpu_s)
    assert row.verdict == verdict


@pytest.mark.parametrize("asked", [{"workers": 2}, {"busy": True}, {"environ": {"SLICE_S": "1"}}, {"scale": 0.1}])
def test_a_run_that_was_asked_for_something_else_answers_nothing(asked: dict[str, object]) -> None:
    told = result("2026-01-02", SUSTAINED, "zaptrix", 30.0)
    plain: dict[str, object] = {"workers": 1, "busy": False, "environ": {}, "scale": 1.0, "far_latency_ms": 0.0}
    told["runs"][0]["settings"] = plain
    assert len(list(rows([told], [SUSTAINED]))) == 1
    told["runs"][0]["settings"] = plain | asked
    assert list(rows([told], [SUSTAINED])) == []


def test_a_figure_of_a_run_that_lost_a_message_is_good_for_nothing() -> None:
    found = {"accepted": 9, "lost": 1, "doubled": 0, "disordered": 0, "strange": 0, "faults": {}}
    told = result("2026-01-02", CPU, "zaptrix", 500.0, costs={"worker": {"cpu_s": 0.1}}, delivery=found)
    (row,) = rows([told], [CPU])
    assert row.verdict.startswith("NOT GOOD")


def test_each_part_has_one_table_out_of_its_newest_results() -> None:
    files = [result(at, SUSTAINED, "zaptrix", rate) for at, rate in (("2026-01-02", 20.0), ("2026-01-01", 10.0))]
    table = markdown(files)
    assert table.count("### hot") == 1
    assert "| inbound, 1,000 portals: sustained, 1000 portals | zaptrix | 20 |" in table
