"""Each part is played for a second with a few messages: none lost, doubled or disordered, and no process stays."""

import os
from pathlib import Path

import pytest

from benchmarks.cost import Cost, Meter
from benchmarks.figures import total
from benchmarks.parts import PARTS, hot
from benchmarks.parts.act import Act, Plan, Show
from benchmarks.stage import Zaptrix
from proof.world import eventually

PLAN = Plan(seconds=0.5, scale=0.01, connections=8)
FIRST = [acts[0] for part, acts in PARTS.items() if part != hot.NAME]  # which plays the others'
ACTS = [act for act in FIRST if isinstance(act, Act)]
NOBODY_WRITES = {"at rest", "a look at each portal's history"}
SHOWS = [show for show in PARTS["pace"] if isinstance(show, Show)]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_an_act_is_played_and_judged(act: Act, tmp_path: Path) -> None:
    stage = Zaptrix(tmp_path, act.shape(PLAN))
    try:
        await stage.start()
        measured = await act.play(stage, PLAN)
    finally:
        await stage.stop()
    assert measured
    assert all(one.messages > 0 and one.rate_per_s > 0 for one in measured if one.what not in NOBODY_WRITES)
    assert [one.delivery for one in measured if one.delivery and not one.delivery.is_good] == []
    assert any(one.delivery for one in measured) or act.name.startswith("idle")
    # What a start makes due is none of what is measured.
    assert [one.what for one in measured if "calls a message: batch" in one.more] == []
    left = [name for name, root in stage.roots.items() if name != "load" and is_there(root)]
    assert left == []


async def test_a_neighbour_is_busy_as_long_as_it_is_asked_for_and_counts_for_nobody(tmp_path: Path) -> None:
    stage = Zaptrix(tmp_path, PLAN.shape())
    async with stage.one_core_busy():
        meter, pid = Meter(stage.roots), stage.roots["busy"]

        async def has_computed() -> bool:
            return meter.read()["busy"].cpu_s > 0

        await eventually(has_computed, 20, "work of the neighbour's")
        costs = meter.read()
    assert not is_there(pid)
    assert "busy" not in stage.roots
    assert total({"busy": costs["busy"]}) == Cost(cpu_s=0, pss_mb=0, rss_mb=0)


@pytest.mark.parametrize("show", SHOWS, ids=lambda show: show.name)
async def test_each_limit_is_used_and_no_call_refused(show: Show, tmp_path: Path) -> None:
    measured = await show.play(tmp_path, Plan(scale=0.05))
    assert [one.what for one in measured if not one.is_good] == []
    assert len(measured) == 4
    assert all(one.more["% used"] > 0 for one in measured)
