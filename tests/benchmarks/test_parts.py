"""Each part is played for a second with a few messages: none lost, doubled or disordered, and no process stays."""

import os
from pathlib import Path

import pytest

from benchmarks.parts import PARTS
from benchmarks.parts.act import Act, Plan
from benchmarks.stage import Zaptrix

PLAN = Plan(seconds=0.5, scale=0.01, connections=8)
ACTS = [acts[0] for acts in PARTS.values()]


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
    assert all(one.messages > 0 and one.rate_per_s > 0 for one in measured) or act.name.startswith("idle")
    assert [one.delivery for one in measured if one.delivery and not one.delivery.is_good] == []
    assert any(one.delivery for one in measured) or act.name.startswith("idle")
    left = [name for name, root in stage.roots.items() if name != "load" and is_there(root)]
    assert left == []
