"""The tap before PostgreSQL: it passes everything on, knows a claim when it passes, and can go dead."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from proof.tap import Tap
from tests.store.ledger.test_claims import a_backlog
from tests.store.ledger_rows import Ledger
from zaptrix.core.ids import AttemptId
from zaptrix.core.message.message import Direction
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import Database, open_database
from zaptrix.store.ledger import claims
from zaptrix.store.ledger.claims import Ask


@pytest.fixture
async def tapped(tap: Tap) -> AsyncIterator[Database]:
    database = await open_database(tap.url)
    yield database
    await tap.stop()
    await database.close()


async def _claimed(database: Database, channel: Channel, room: int = 1) -> int:
    ask = Ask(channel.id, AttemptId(uuid4()), room)
    async with database.connection() as connection:
        (rows,) = await claims.claim_to_send(connection, Direction.OUTBOUND, [ask], after=UUID(int=0))
    return len(rows)


async def test_a_claim_is_known_before_its_rows_arrive_and_only_when_it_has_some(
    ledger: Ledger, tap: Tap, tapped: Database
) -> None:
    channel, caught = await ledger.channel(), list[str]()

    async def catch() -> None:
        caught.append("claim")

    tap.on_claim(catch)
    assert (await _claimed(tapped, channel), caught) == (0, [])
    await a_backlog(ledger, channel, conversations=3, messages=1)
    async with tapped.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM message") == 3
    assert caught == []
    assert (await _claimed(tapped, channel), caught) == (1, ["claim"])
    assert (await _claimed(tapped, channel), caught) == (1, ["claim"])  # once


async def test_behind_a_dead_tap_postgresql_believes_in_its_sessions_for_so_long(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    """As in a wire between hosts, whatever state they are in: one that prepares a statement is not idle."""
    tap = Tap(database_url, tmp_path / "tap", silent_s=0.2)
    await tap.start()
    connection = await asyncpg.connect(tap.url)
    await connection.execute("BEGIN")
    await connection.prepare("SELECT 1")
    process = connection.get_server_pid()
    tap.go_dead()
    asking = asyncio.create_task(connection.execute("SELECT 1"))
    async with asyncio.timeout(30):
        while await ledger.value("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", process):
            await asyncio.sleep(0.02)
    assert not asking.done()  # and nobody tells whoever lives on
    await tap.stop()
    await asyncio.wait([asking])


async def test_a_dead_tap_says_goodbye_to_nobody(ledger: Ledger, tap: Tap, tapped: Database) -> None:
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    async with tapped.connection() as connection:
        before = await ledger.value(sessions)
        tap.go_dead()
        asking = asyncio.create_task(connection.fetchval("SELECT 1"))
        done, _ = await asyncio.wait([asking], timeout=0.5)
        assert not done
        assert await ledger.value(sessions) == before
        await tap.stop()
        await asyncio.wait([asking])
