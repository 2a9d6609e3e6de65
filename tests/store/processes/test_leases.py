"""Leases: one process at a time, and none outlives its holder by more than seconds, however that one went."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from proof.tap import Tap
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.deadlines import Deadline
from zaptrix.store.connection import dialling
from zaptrix.store.connection.database import Database, StoreUnavailable, open_database
from zaptrix.store.journal import events
from zaptrix.store.processes import leases
from zaptrix.store.processes.leases import awaited_lease, lease, turn

LANE = Lane(Queue.INCOMING, "x.0")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases and idle transactions that are over in a second."""
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    monkeypatch.setattr(leases, "LEASE_RENEW_S", 0.2)
    monkeypatch.setitem(dialling.SESSION, "idle_in_transaction_session_timeout", "500ms")


@pytest.fixture
async def far(tap: Tap, short: None) -> AsyncIterator[Database]:
    """The database as a host sees it that can lose its power without a goodbye."""
    database = await open_database(tap.url)
    yield database
    await tap.stop()
    await database.close()


async def test_of_many_processes_one_has_the_turn(database: Database) -> None:
    async with turn(database, "sweep") as mine, turn(database, "sweep") as theirs, turn(database, "house") as other:
        assert (mine, theirs, other) == (True, False, True)


async def test_a_turn_ends_with_its_chore_even_when_that_fails(database: Database) -> None:
    with suppress(RuntimeError):
        await _fail(database)
    async with turn(database, "sweep") as mine:
        assert mine


async def _fail(database: Database) -> None:
    async with turn(database, "sweep"):
        raise RuntimeError


async def test_not_having_the_turn_takes_it_from_nobody(database: Database) -> None:
    async with turn(database, "sweep"):
        async with turn(database, "sweep") as theirs:
            assert not theirs
        async with turn(database, "sweep") as still_not_theirs:
            assert not still_not_theirs


async def test_a_lease_lasts_as_long_as_its_holder_works(database: Database, short: None) -> None:
    async with lease(database, "x") as ours:
        assert ours is not None
        for _ in range(15):
            await asyncio.sleep(0.1)
            async with lease(database, "x") as theirs:
                assert theirs is None
        assert ours.may_begin


async def test_a_chore_that_is_cut_off_at_any_moment_keeps_the_turn_from_others_for_seconds_at_most(
    database_url: str, short: None
) -> None:
    for steps in range(12):
        database = await open_database(database_url, pool_max=1)
        chore = asyncio.create_task(_take_and_end(database))
        for _ in range(steps * 40):
            await asyncio.sleep(0)
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore
        await _taken(database, "turn/sweep")
        await database.close()


async def _take_and_end(database: Database) -> None:
    async with turn(database, "sweep"):
        pass


async def _taken(database: Database, name: str) -> None:
    async with asyncio.timeout(30), awaited_lease(database, name):
        pass


async def test_the_lease_of_a_host_without_power_is_free_and_its_holder_does_nothing_with_it_any_more(
    far: Database, database: Database, tap: Tap
) -> None:
    held: asyncio.Future[Deadline] = asyncio.get_running_loop().create_future()
    holder = asyncio.create_task(_hold(far, held))
    deadline = await held
    tap.go_dead()
    async with asyncio.timeout(30), awaited_lease(database, "x"):
        assert not deadline.may_begin
        assert deadline.left_s == 0
    await tap.stop()
    holder.cancel()
    with suppress(asyncio.CancelledError, StoreUnavailable):
        await holder


async def _hold(database: Database, held: asyncio.Future[Deadline]) -> None:
    async with lease(database, "x") as deadline:
        assert deadline is not None
        held.set_result(deadline)
        await asyncio.Event().wait()


async def test_a_chore_of_a_host_without_power_is_cut_off(far: Database, tap: Tap) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_sweep(far, tap), 30)


async def _sweep(database: Database, tap: Tap) -> None:
    async with turn(database, "sweep"):
        tap.go_dead()
        try:
            await asyncio.Event().wait()
        finally:
            await tap.stop()  # it hangs up at last: how long a call may wait is not what is asked here


async def test_who_finds_anothers_name_on_its_lease_stops(database: Database, short: None) -> None:
    async with lease(database, "x") as deadline:
        assert deadline is not None
        async with database.connection() as connection:
            await connection.execute("UPDATE lease SET holder = gen_random_uuid()")
        async with asyncio.timeout(30):
            while deadline.may_begin:
                await asyncio.sleep(0.01)
    async with database.connection() as connection:
        assert (
            await connection.fetchval("SELECT count(*) FROM lease") == 1
        )  # and gives back nothing that is not its own


async def test_the_round_of_a_host_that_lost_its_power_in_routing_is_free_in_seconds(
    far: Database, database: Database, tap: Tap
) -> None:
    routing = asyncio.create_task(_route(far, tap))
    async with asyncio.timeout(30), database.transaction() as connection:
        while not tap.is_dead:
            await asyncio.sleep(0.01)
        while (await events.begin(connection, [LANE], {})).elsewhere:
            await asyncio.sleep(0.05)
    await tap.stop()
    routing.cancel()
    with suppress(asyncio.CancelledError, StoreUnavailable):
        await routing


async def _route(database: Database, tap: Tap) -> None:
    async with database.transaction() as connection:
        assert not (await events.begin(connection, [LANE], {})).elsewhere
        tap.go_dead()
        await asyncio.Event().wait()


async def test_a_transaction_in_which_one_stood_still_is_an_outage_and_keeps_nothing(
    database_url: str, database: Database, short: None
) -> None:
    slow = await open_database(database_url)
    with pytest.raises(StoreUnavailable):
        await _stand_still(slow, database)
    await _taken(database, "x")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM lease") == 0
    await slow.close()


async def _stand_still(slow: Database, database: Database) -> None:
    async with slow.transaction() as connection:
        await connection.execute("INSERT INTO lease VALUES ('x', gen_random_uuid(), 'infinity')")
        async with asyncio.timeout(30), database.connection() as other:
            while await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"):
                await asyncio.sleep(0.01)
        await connection.execute("SELECT 1")


# The extended protocol's messages of one statement, some of which come, and the rest not.
# https://www.postgresql.org/docs/current/protocol-message-formats.html
PARSED = b"P\x00\x00\x00\x10\x00SELECT 1\x00\x00\x00"
BOUND = b"B\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"
EXECUTED = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"
CUT_OFF = {"in the middle of one": PARSED + BOUND[:6], "before the last": PARSED + BOUND + EXECUTED, "prepared": b""}


@pytest.mark.parametrize("place", CUT_OFF)
async def test_who_is_cut_off_in_the_middle_of_a_statement_keeps_nothing(
    database_url: str, database: Database, short: None, place: str
) -> None:
    """It is not idle, then, by PostgreSQL's word. So is each statement that asyncpg has prepared and not run yet."""
    with pytest.MonkeyPatch.context() as bounded:
        bounded.setattr(dialling, "_TRANSACTION", "SET transaction_timeout = '700ms'", raising=False)
        holder = await dialling.Dialler(database_url)(timeout=5, server_settings=dialling.SESSION)
    await holder.execute("BEGIN")
    await holder.execute("INSERT INTO lease VALUES ('x', gen_random_uuid(), 'infinity')")
    if cut_off := CUT_OFF[place]:
        holder._transport.write(cut_off)  # type: ignore[attr-defined]
    else:
        await holder.prepare("SELECT 2")
    await _taken(database, "x")
    holder.terminate()


async def test_a_transaction_of_a_gateway_is_bounded_and_a_backups_is_not(
    database_url: str, database: Database
) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW transaction_timeout") == "45s"
    backup = await dialling.Dialler(database_url)(timeout=5)
    assert await backup.fetchval("SHOW transaction_timeout") == "0"
    await backup.close()
