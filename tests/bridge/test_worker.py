"""The worker's last guard: an outage is put off, a breakdown is told, and the lane rings again after both."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.bridge.house import House
from zaptrix.app import App
from zaptrix.core.lanes import Lane, Queue
from zaptrix.store.clock import Clock
from zaptrix.store.database import StoreUnavailable
from zaptrix.worker.worker import Runner

LANE = Lane(Queue.INCOMING, "210.1")


def a_runner(house: House, error: Exception | None) -> Runner:
    async def drain(_lane: Lane) -> None:
        if error:
            raise error

    app = SimpleNamespace(drains=dict.fromkeys(Queue, drain), bells=house.bells, clock=Clock(house.ledger.database))
    return Runner(cast("App", app))


async def test_a_lane_is_put_off_while_postgresql_is_away(house: House) -> None:
    await a_runner(house, StoreUnavailable("away")).drain(LANE)
    assert await house.rung() == {LANE}
    assert await house.rung_now() == set()


async def test_a_breakdown_is_counted_as_one_and_the_lane_is_not_forgotten(house: House) -> None:
    with pytest.raises(ZeroDivisionError):
        await a_runner(house, ZeroDivisionError()).drain(LANE)
    assert await house.rung() == {LANE}


async def test_a_drain_that_went_well_rings_nobody(house: House) -> None:
    await a_runner(house, None).drain(LANE)
    assert await house.rung() == set()
