"""The yardstick does the same work: what it accepts arrives once, with its own text, in its own conversation."""

import re
from pathlib import Path

import pytest

from benchmarks.parts import PARTS
from benchmarks.parts.act import Act, Plan
from benchmarks.yardstick import SOURCES, Marking, NoPeer, Peer, install

PLAN = Plan(seconds=0.5, scale=0.01, connections=8)


@pytest.fixture(scope="module")
def installed() -> Path:
    try:
        return install()
    except NoPeer as exc:
        pytest.skip(str(exc))


def test_its_lock_names_no_address_of_a_package_and_pins_each_by_hash() -> None:
    lock = (SOURCES / "package-lock.json").read_text()
    packages = re.findall(r'"node_modules/', lock)
    assert '"resolved"' not in lock
    assert len(re.findall(r'"integrity": "sha512-', lock)) == len(packages) > 0


@pytest.mark.parametrize(
    ("part", "system"),
    [("accept", Peer), ("inbound", Marking), ("outbound", Peer)],
    ids=["accept", "inbound", "outbound"],
)
async def test_it_loses_nothing_when_nothing_fails(
    part: str, system: type[Peer], installed: Path, tmp_path: Path
) -> None:
    act = PARTS[part][0]
    assert isinstance(act, Act)
    stage = system(tmp_path, act.shape(PLAN))
    try:
        await stage.start()
        measured = await act.play(stage, PLAN)
    finally:
        await stage.stop()
    found = [one.delivery for one in measured if one.delivery]
    assert found
    assert all((one.lost, one.doubled, one.strange, one.faults) == (0, 0, 0, {}) for one in found)
    marks = [one.more.get("calls a message: read mark", 0.0) for one in measured]
    assert set(marks) == {1.0 if system is Marking else 0.0}
