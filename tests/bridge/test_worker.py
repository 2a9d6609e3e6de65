"""The worker's last guard: an outage is put off, a breakdown is told, and the lane rings again after both."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from tests.bridge.house import House
from zaptrix.app import App
from zaptrix.broker.queues.workers import Drain
from zaptrix.core.delivery.errors import PlatformError, Unexpected
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.deadlines import Stopping
from zaptrix.store.connection.clock import Clock
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.ledger.files import Wanted
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.worker.fetching import Fetching
from zaptrix.worker.worker import Runner

LANE = Lane(Queue.INCOMING, "210.1")


def a_runner(house: House, error: Exception | None) -> Runner:
    async def drain(_lane: Lane) -> None:
        if error:
            raise error

    return runner_of(house, drain)


def runner_of(house: House, drain: Drain, stopping: Stopping | None = None) -> Runner:
    app = SimpleNamespace(
        drains=dict.fromkeys(Queue, drain),
        bells=house.bells,
        clock=Clock(house.ledger.database),
        stopping=stopping or Stopping(),
    )
    return Runner(cast("App", app))


def told(kind: AlarmKind) -> float:
    return float(metrics.ALARMS.labels(kind)._value.get())


async def test_a_lane_is_put_off_while_postgresql_is_away(house: House) -> None:
    await a_runner(house, StoreUnavailable("away")).drain(LANE)
    assert await house.rung() == {LANE}
    assert await house.rung_now() == set()


async def test_a_lane_is_put_off_when_the_workers_lease_runs_out_over_it(house: House) -> None:
    stopping, drained = Stopping(), list[str]()

    async def drain(_lane: Lane) -> None:
        drained.append("begun")
        stopping.give_up()
        await asyncio.Event().wait()

    runner = runner_of(house, drain, stopping)
    async with asyncio.timeout(30):
        await runner.drain(LANE)
        assert await house.rung() == {LANE}
        await runner.drain(LANE)  # one that was rung before it rested
    assert drained == ["begun"]


async def test_a_time_that_ran_out_inside_of_a_drain_is_a_breakdown(house: House) -> None:
    with pytest.raises(TimeoutError):
        await a_runner(house, TimeoutError()).drain(LANE)


async def test_a_breakdown_is_counted_as_one_and_the_lane_is_not_forgotten(house: House) -> None:
    before = told(AlarmKind.DRAIN_FAILED)
    with pytest.raises(ZeroDivisionError):
        await a_runner(house, ZeroDivisionError()).drain(LANE)
    assert told(AlarmKind.DRAIN_FAILED) == before + 1
    assert await house.rung() == {LANE}


async def test_a_file_that_breaks_its_runner_down_is_counted_told_and_given_up() -> None:
    failed: list[PlatformError] = []

    async def work(_wanted: object) -> None:
        raise ZeroDivisionError

    async def fail(_wanted: object, error: PlatformError) -> None:
        failed.append(error)

    before = told(AlarmKind.BROKE_DOWN)
    app = SimpleNamespace(files=SimpleNamespace(work=work, fail=fail))
    await Fetching(cast("App", app))._work(cast("Wanted", SimpleNamespace(message_id=1)))
    assert told(AlarmKind.BROKE_DOWN) == before + 1
    assert [(type(error), error.code) for error in failed] == [(Unexpected, "file_failed")]


async def test_a_drain_that_went_well_rings_nobody(house: House) -> None:
    await a_runner(house, None).drain(LANE)
    assert await house.rung() == set()
