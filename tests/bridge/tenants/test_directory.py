"""The directory: known for a moment, good while PostgreSQL is away, and absence is not remembered."""

import asyncio
from uuid import UUID

import pytest

from tests.store.ledger_rows import Ledger
from zaptrix.bridge.tenants import directory as directory_module
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.cli.local.servers import Servers
from zaptrix.core import limits
from zaptrix.core.delivery.errors import Unauthorized
from zaptrix.core.ids import ChannelId
from zaptrix.store.accounts import portals
from zaptrix.store.connection.database import Connection, StoreUnavailable, open_database
from zaptrix.store.schema import migrate


async def test_what_was_known_stays_good_while_postgresql_is_away(own_servers: Servers) -> None:
    await migrate.upgrade(own_servers.postgres.url)
    ledger = Ledger(await open_database(own_servers.postgres.url, acquire_timeout_s=1.0))
    portal = await ledger.portal(member_id="abc")
    channel = await ledger.channel(portal)
    directory = Directory(ledger.database, ledger.box)

    async def look() -> list[object]:
        return [
            await directory.number(channel.phone_number_id),
            await directory.channel(channel.id),
            await directory.sender("abc"),
            await directory.portal(portal.id),
            await directory.number_token(channel.id),
        ]

    known = await look()
    await directory.compare()
    assert await look() == known
    own_servers.postgres.stop()
    await directory.compare()
    assert await look() == known
    with pytest.raises(StoreUnavailable):
        await directory.number("never asked for")
    own_servers.postgres.start()
    await directory.compare()
    assert await look() == known
    await ledger.database.close()


async def test_what_is_known_is_told_at_once_while_the_tables_are_locked(ledger: Ledger) -> None:
    portal = await ledger.portal(member_id="abc")
    channel = await ledger.channel(portal)
    directory = Directory(ledger.database, ledger.box)
    known = [await directory.sender("abc"), await directory.number(channel.phone_number_id)]
    async with ledger.database.transaction() as connection:
        await connection.execute("LOCK TABLE portal_config, channel")
        comparing = asyncio.create_task(directory.compare())
        # Two turns of the loop would not do for anything that asks PostgreSQL.
        async with asyncio.timeout(5):
            assert [await directory.sender("abc"), await directory.number(channel.phone_number_id)] == known
        assert not comparing.done()
    await comparing


async def test_who_is_unknown_is_not_looked_for_without_end_while_the_tables_are_locked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOOR_STORE_S_MAX", 0.2)
    directory = Directory(ledger.database, ledger.box)
    async with ledger.database.transaction() as connection:
        await connection.execute("LOCK TABLE portal_config")
        with pytest.raises(StoreUnavailable):
            await directory.sender("abc")
    assert await directory.sender("abc") is None


async def test_a_change_by_this_process_is_seen_at_once_and_by_others_soon(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_FRESH_S", 0.01)
    portal = await ledger.portal()
    here, there = Directory(ledger.database, ledger.box), Directory(ledger.database, ledger.box)
    for directory in (here, there):
        await directory.portal(portal.id)
    await ledger.run("UPDATE portal_config SET paused_reason = 'x'")
    here.clear()
    changed = await here.portal(portal.id)
    assert changed is not None
    assert changed.paused_reason == "x"
    assert await there.portal(portal.id) == portal
    keeping = asyncio.create_task(there.keep())
    async with asyncio.timeout(15):
        while await there.portal(portal.id) != changed:
            await asyncio.sleep(0.01)
    keeping.cancel()


async def test_a_tenant_that_was_made_a_moment_ago_is_found(ledger: Ledger) -> None:
    directory = Directory(ledger.database, ledger.box)
    assert await directory.number("210") is None
    assert await directory.sender("abc") is None
    portal = await ledger.portal(member_id="abc")
    channel = await ledger.channel(portal, phone_number_id="210")
    tenant, sender = await directory.number("210"), await directory.sender("abc")
    assert tenant is not None
    assert (tenant.channel, tenant.portal) == (channel, portal)
    assert sender is not None
    assert sender.application_token == "an-application-token"


async def test_a_channel_that_is_gone_has_no_key(ledger: Ledger) -> None:
    directory = Directory(ledger.database, ledger.box)
    with pytest.raises(Unauthorized):
        await directory.number_token(ChannelId((await ledger.portal()).id))


async def test_rows_are_read_when_something_has_changed_and_only_then(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = await ledger.portal(member_id="abc")
    channel = await ledger.channel(portal)
    directory, read = Directory(ledger.database, ledger.box), 0
    versions = portals.versions

    async def counted(connection: Connection) -> dict[UUID, str]:
        nonlocal read
        read += 1
        return await versions(connection)

    monkeypatch.setattr(portals, "versions", counted)
    changes = [
        "SELECT 1",
        "UPDATE channel SET name = 'novo'",
        "UPDATE portal_config SET updated_at = now()",
        "UPDATE portal_config SET updated_at = now()",
        "DELETE FROM channel",
    ]
    seen = []
    await directory.compare()
    for change in changes:
        await ledger.run(change)
        await directory.compare()
        seen.append(read)
        await directory.compare()
    assert seen == [1, 2, 3, 4, 5]
    assert directory.version(channel.id) is None
    assert directory.version(portal.id) is not None
