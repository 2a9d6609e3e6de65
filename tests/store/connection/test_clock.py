"""The clock: hosts that disagree on the time agree on the database's, and a step of a wall clock moves nothing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from zaptrix.store.connection import clock as clock_module
from zaptrix.store.connection.clock import Clock
from zaptrix.store.connection.database import Database, StoreUnavailable, open_database

WRONG = datetime(2000, 1, 1, tzinfo=UTC)


class Host:
    """A host's two clocks, to be set by a test."""

    def __init__(self, wall: datetime) -> None:
        self.wall_time = wall
        self.elapsed_s = 100.0

    def wall(self) -> datetime:
        return self.wall_time

    def elapsed(self) -> float:
        return self.elapsed_s

    def clock(self, database: Database) -> Clock:
        return Clock(database, self.wall, self.elapsed)

    def goes_on(self, seconds: float) -> None:
        self.wall_time += timedelta(seconds=seconds)
        self.elapsed_s += seconds


@pytest.mark.parametrize("ahead_s", [0, 150, -150, 3 * 3600])
async def test_a_host_whose_clock_is_wrong_tells_the_time_of_the_database(database: Database, ahead_s: float) -> None:
    clock = Host(datetime.now(UTC) + timedelta(seconds=ahead_s)).clock(database)
    await clock.look()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.parametrize("step_s", [3600, -3600, 10, -3 * 3600])
async def test_a_step_of_the_wall_clock_moves_nothing(database: Database, step_s: float) -> None:
    host = Host(datetime.now(UTC))
    clock = host.clock(database)
    for look in (None, clock.look):  # before PostgreSQL was reached, and after
        if look:
            await look()
        before = clock.now()
        host.wall_time += timedelta(seconds=step_s)
        assert clock.now() == before
        host.goes_on(5)
        assert clock.now() == before + timedelta(seconds=5)


async def test_what_elapsed_while_the_host_slept_counts(database: Database) -> None:
    host = Host(datetime.now(UTC))
    clock = host.clock(database)
    await clock.look()
    before = clock.now()
    host.elapsed_s += 7200  # the boot-time clock goes on in a suspended host
    assert clock.now() == before + timedelta(hours=2)


async def test_a_host_that_is_off_is_told_once_until_it_is_right_again(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(datetime.now(UTC) + timedelta(hours=1))
    clock = host.clock(database)
    await clock.look()
    await clock.look()
    assert capsys.readouterr().out.count("clock is off") == 1


async def test_a_slow_answer_tells_nothing_of_the_time_unless_none_is_known(database: Database) -> None:
    elapsed = iter([0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 9.0, 9.0])
    clock = Clock(database, lambda: WRONG, lambda: next(elapsed))
    await clock.look()
    first = clock.now()
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=60)
    await clock.look()
    assert clock.now() == first + timedelta(seconds=6)


async def test_the_time_is_known_once_the_database_has_told_it(database: Database) -> None:
    """Seed 112: a worker was started while its host was three hours ahead and PostgreSQL did not answer in time."""
    clock = Host(WRONG).clock(database)
    known = asyncio.create_task(clock.known())
    await asyncio.sleep(0)
    assert not known.done()
    await clock.look()
    await known


async def test_the_clock_stays_as_it_was_when_postgresql_is_away() -> None:
    database = await open_database("postgresql://nobody@127.0.0.1:9/none")
    clock = Host(WRONG).clock(database)
    with pytest.raises(StoreUnavailable):
        await clock.look()
    assert clock.now() == WRONG
    await database.close()


async def test_who_started_while_postgresql_was_slow_asks_again_soon(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "CLOCK_LOOK_S_FIRST", 0.01)
    host = Host(WRONG)
    clock = host.clock(database)
    keeping = asyncio.create_task(clock.keep())
    async with asyncio.timeout(30):
        while clock.now() == WRONG:
            await asyncio.sleep(0.01)
    keeping.cancel()
