"""The schema: from nothing, once more, and from two processes at once."""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from zlib import crc32

import pytest

from tests.servers import fresh_database
from zaptrix.cli.local.servers import Servers
from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.store.connection.database import open_database, revision
from zaptrix.store.schema import migrate

_UPGRADE = "import asyncio, sys; from zaptrix.store.schema.migrate import upgrade; asyncio.run(upgrade(sys.argv[1]))"


@pytest.fixture
async def empty_url(servers: Servers) -> AsyncIterator[str]:
    """A database without a single table."""
    async with fresh_database(servers, template="template0") as url:
        yield url


async def _revision(url: str) -> str | None:
    database = await open_database(url)
    try:
        return await revision(database)
    finally:
        await database.close()


async def test_an_empty_database_comes_to_the_revision_that_this_code_expects(empty_url: str) -> None:
    assert await _revision(empty_url) is None
    await migrate.upgrade(empty_url)
    assert migrate.newest() is not None
    assert await _revision(empty_url) == migrate.newest()


async def test_a_second_migration_changes_nothing(empty_url: str) -> None:
    await migrate.upgrade(empty_url)
    await migrate.upgrade(empty_url)
    assert await _revision(empty_url) == migrate.newest()


async def test_what_waited_in_sixteen_rounds_waits_in_the_four_of_today(empty_url: str) -> None:
    await migrate.upgrade(empty_url)
    tenants = {f"21098765432{number:04d}" for number in range(40)}
    fewer = import_module("zaptrix.store.migrations.versions.0008_fewer_rounds")
    database = await open_database(empty_url)
    try:
        async with database.connection() as connection:
            await connection.executemany(
                "INSERT INTO event (source, name, key, lane, body, request_id, state) "
                "VALUES ('whatsapp', 'messages.text', decode(md5($1), 'hex'), $1, '{}', 'r', 'new')",
                [(f"{tenant}.{crc32(tenant.encode()) % 16}",) for tenant in tenants],
            )
            await connection.execute(fewer.STATEMENTS[-1])
            lanes = {row["lane"] for row in await connection.fetch("SELECT lane FROM event")}
    finally:
        await database.close()
    assert lanes == {incoming_lane(tenant).name for tenant in tenants}


async def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _UPGRADE, empty_url, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    told = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0, 0, 0], told
    assert await _revision(empty_url) == migrate.newest()


async def test_an_address_as_hosters_write_it_is_understood(empty_url: str) -> None:
    url = empty_url.replace("postgresql://", "postgres://") + "&sslmode=prefer"
    await migrate.upgrade(url)
    assert await _revision(url) == migrate.newest()


async def test_the_tables_of_the_brief_have_its_names_and_columns(empty_url: str) -> None:
    await migrate.upgrade(empty_url)
    database = await open_database(empty_url)
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT table_name, column_name FROM information_schema.columns")
    await database.close()
    columns = {(row["table_name"], row["column_name"]) for row in rows}
    wanted = {
        "portal_config": "id portal_url client_id client_secret access_token refresh_token token_expiration_time",
        "conversation_mapping": "id portal_id meta_whatsapp_id bitrix_contact_id bitrix_chat_id last_message_at",
    }
    for table, names in wanted.items():
        assert {(table, name) for name in names.split()} <= columns
