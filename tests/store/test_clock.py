"""The clock: hosts that disagree on the time agree on the database's."""

from datetime import UTC, datetime, timedelta

import pytest

from zaptrix.store.clock import Clock
from zaptrix.store.database import Database, StoreUnavailable, open_database


@pytest.mark.parametrize("ahead_s", [0, 150, -150])
async def test_a_host_whose_clock_is_wrong_tells_the_time_of_the_database(database: Database, ahead_s: float) -> None:
    clock = Clock(database, lambda: datetime.now(UTC) + timedelta(seconds=ahead_s))
    await clock.look()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=2)


async def test_a_slow_answer_tells_nothing_of_the_time(database: Database) -> None:
    wrong = datetime(2000, 1, 1, tzinfo=UTC)
    times = iter([wrong, wrong + timedelta(seconds=3), wrong])
    clock = Clock(database, lambda: next(times))
    await clock.look()
    assert clock.now() == wrong


async def test_the_clock_stays_as_it_was_when_postgresql_is_away() -> None:
    database = await open_database("postgresql://nobody@127.0.0.1:9/none")
    wrong = datetime(2000, 1, 1, tzinfo=UTC)
    clock = Clock(database, lambda: wrong)
    with pytest.raises(StoreUnavailable):
        await clock.look()
    assert clock.now() == wrong
    await database.close()
