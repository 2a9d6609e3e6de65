"""The pool: what it means that PostgreSQL is away, or will not take something; a transaction is all or nothing."""

from pathlib import Path

import asyncpg
import pytest

from tests.store.ledger_rows import Ledger
from zaptrix.cli.local.servers import Servers
from zaptrix.store.connection.database import Database, StoreRefused, StoreUnavailable, open_database, revision
from zaptrix.store.schema import migrate


async def test_a_transaction_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError):
        await _write_and_fail(ledger.database)
    assert await ledger.value("SELECT count(*) FROM audit") == 0


async def _write_and_fail(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO audit (actor, action, subject) VALUES ('a', 'b', 'c')")
        raise RuntimeError


@pytest.mark.parametrize(
    "code",
    [
        "08006",  # connection failure
        "25006",  # a replica that takes no writes
        "40P01",  # deadlock: rolled back, and good when it is tried again
        "53100",  # disk full: an event of Bitrix24's goes to the spool then, for it never comes twice
        "53200",  # out of memory
        "53300",  # too many connections
        "57014",  # an administrator cancelled the query
        "57P01",  # shutting down
        "57P03",  # starting up
        "58030",  # the disk does not answer
    ],
)
async def test_what_passes_by_itself_means_that_postgresql_is_away(database: Database, code: str) -> None:
    with pytest.raises(StoreUnavailable):
        await _raise(database, code)


async def test_a_server_that_only_reads_now_is_dialled_anew(database: Database) -> None:
    """Its connections are of no use after a fail-over; an address of several leads to the new primary."""
    ask = "SELECT pg_backend_pid()"
    async with database.connection() as one, database.connection() as other:
        before = {await one.fetchval(ask), await other.fetchval(ask)}
    with pytest.raises(StoreUnavailable):
        await _raise(database, "25006")
    async with database.connection() as one, database.connection() as other:
        assert not before & {await one.fetchval(ask), await other.fetchval(ask)}


@pytest.mark.parametrize("code", ["22P05", "22001", "23503", "23505"])
async def test_what_will_never_be_taken_is_refused(database: Database, code: str) -> None:
    with pytest.raises(StoreRefused):
        await _raise(database, code)


async def _raise(database: Database, code: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")


async def test_a_bug_in_our_sql_is_neither(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await _run(database, "SELECT 1 FROM no_such_table")


@pytest.mark.parametrize("text", ["\x00", "half an emoji \ud83d"])
async def test_text_that_no_database_takes_is_refused(database: Database, text: str) -> None:
    with pytest.raises(StoreRefused):
        await _run(database, "SELECT $1::text", text)


async def _run(database: Database, sql: str, *values: object) -> None:
    async with database.connection() as connection:
        await connection.execute(sql, *values)


async def test_a_database_that_is_not_there_is_away(tmp_path: Path) -> None:
    database = await open_database(f"postgresql://nobody@/nothing?host={tmp_path}", acquire_timeout_s=0.5)
    with pytest.raises(StoreUnavailable):
        await _run(database, "SELECT 1")
    await database.close()


async def test_a_pool_that_is_all_taken_says_so_in_time(database_url: str) -> None:
    database = await open_database(database_url, pool_max=1, acquire_timeout_s=0.1)
    async with database.connection():
        with pytest.raises(StoreUnavailable):
            await _run(database, "SELECT 1")
    await database.close()


async def test_after_postgresql_came_back_the_same_pool_works_again(own_servers: Servers) -> None:
    await migrate.upgrade(own_servers.postgres.url)
    database = await open_database(own_servers.postgres.url)
    assert await revision(database) == migrate.newest()
    own_servers.postgres.stop()
    with pytest.raises(StoreUnavailable):
        await _run(database, "SELECT 1")
    own_servers.postgres.start()
    await _run(database, "SELECT 1")
    await database.close()
