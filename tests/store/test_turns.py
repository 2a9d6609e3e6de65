"""Turns: a chore is done by one process at a time, and by the next when that one is gone."""

import asyncio
from contextlib import suppress

import pytest

from zaptrix.store.database import Database, StoreUnavailable, open_database
from zaptrix.store.turns import turn


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


async def test_a_chore_that_is_cut_off_as_it_ends_keeps_the_turn_from_nobody(database_url: str) -> None:
    """With one connection, which the next one is given: the lock must be gone with the session, or the turn is lost."""
    for steps in range(12):
        database = await open_database(database_url, pool_max=1)
        chore = asyncio.create_task(_take_and_end(database))
        for _ in range(steps * 40):
            await asyncio.sleep(0)
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore
        async with asyncio.timeout(10):
            while not await _is_free(database):
                pass
        await database.close()


async def _take_and_end(database: Database) -> None:
    async with turn(database, "sweep"):
        pass


async def _is_free(database: Database) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'"))


async def test_the_turn_of_a_process_that_died_is_free(database_url: str, database: Database) -> None:
    dying = await open_database(database_url)
    held = asyncio.Event()

    async def hold() -> None:
        async with turn(dying, "sweep"):
            held.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    async with database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    async with asyncio.timeout(10):
        while True:
            async with turn(database, "sweep") as mine:
                if mine:
                    break
    holder.cancel()
    with pytest.raises((asyncio.CancelledError, StoreUnavailable)):
        await holder
    await dying.close()
