"""Turns: a chore is done by one process at a time, and by the next when that one is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from yarl import URL

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
        async with asyncio.timeout(30):
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
    holder, pid = await _hold(dying, database)
    await _end_session(database, pid)
    async with asyncio.timeout(30):
        while True:
            async with turn(database, "sweep") as mine:
                if mine:
                    break
    holder.cancel()
    with pytest.raises((asyncio.CancelledError, StoreUnavailable)):
        await holder
    await dying.close()


async def test_a_session_whose_end_was_told_and_is_not_done_yet_is_an_outage(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    """PostgreSQL says why it ends a session and hangs up a moment later: between them the driver speaks of a bug."""
    async with _relay(database_url, tmp_path) as relayed:
        dying = await open_database(relayed.url)
        holder, pid = await _hold(dying, database)
        await _end_session(database, pid)
        await relayed.ended.wait()
        for _ in range(50):  # the driver reads what was passed on
            await asyncio.sleep(0)
        holder.cancel()
        with pytest.raises(StoreUnavailable):
            await holder
        await dying.close()


class _Relay:
    """Passes on what PostgreSQL says, but not that it hung up."""

    def __init__(self, url: str, behind: Path) -> None:
        self.url = url
        self.ended = asyncio.Event()
        self._behind = behind

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._behind)
        asking = asyncio.create_task(_flow(reader, to_server))
        await _flow(server, writer)
        self.ended.set()
        await asking
        for each in (to_server, writer):
            each.close()


@asynccontextmanager
async def _relay(database_url: str, folder: Path) -> AsyncIterator[_Relay]:
    behind = URL(database_url).query["host"]
    relay = _Relay(str(URL(database_url).update_query(host=str(folder))), Path(behind, _SOCKET))
    async with await asyncio.start_unix_server(relay.serve, folder / _SOCKET):
        yield relay


_SOCKET = ".s.PGSQL.5432"


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while said := await reader.read(65_536):
            writer.write(said)


async def _hold(dying: Database, database: Database) -> tuple[asyncio.Task[None], int]:
    """A task that has the turn and keeps it, and PostgreSQL's process that serves it."""
    held = asyncio.Event()

    async def hold() -> None:
        async with turn(dying, "sweep"):
            held.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    async with database.connection() as connection:
        pid: int = await connection.fetchval(_WHO_HOLDS)
    return holder, pid


_WHO_HOLDS = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def _end_session(database: Database, pid: int) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT pg_terminate_backend($1)", pid)
