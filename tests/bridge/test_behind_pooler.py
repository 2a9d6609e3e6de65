"""Everything between the doors and the platforms, behind a pgbouncer in transaction mode that knows no statement."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proof.pooler import Pooler
from tests.bridge.house import House, lane_to_whatsapp
from tests.store.ledger_rows import START, Ledger
from zaptrix.cli.local.servers import Servers
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.message.message import Direction
from zaptrix.core.portal import Channel
from zaptrix.deadlines import new_attempt_id, new_worker_id
from zaptrix.store.accounts import idempotency
from zaptrix.store.connection.database import Database, open_database
from zaptrix.store.connection.dialling import SESSION
from zaptrix.store.ledger import claims
from zaptrix.store.processes import workers
from zaptrix.store.processes.workers import Renewal, WorkerPlace
from zaptrix.store.schema import migrate

_CLIENTS = 20


@pytest.fixture
def pooler(servers: Servers, tmp_path: Path) -> Iterator[Pooler]:
    """Three sessions of PostgreSQL's for all of ours: a transaction seldom has the one of the transaction before."""
    pooler = Pooler(servers.postgres, tmp_path / "pooler", "default_pool_size = 3")
    pooler.start()
    yield pooler
    pooler.stop()


@pytest.fixture
def pooled_url(pooler: Pooler, database_url: str) -> str:
    return pooler.url_of(urlsplit(database_url).path.removeprefix("/"))


@pytest.fixture
async def database(pooled_url: str, database_url: str) -> AsyncIterator[Database]:
    await migrate.upgrade(database_url, pooled_url=pooled_url)
    database = await open_database(pooled_url, pooled=True, pool_max=_CLIENTS)
    yield database
    await database.close()


async def test_messages_cross_both_ways(house: House, channel: Channel, talk: Conversation) -> None:
    lanes = await asyncio.gather(*(house.operator_says(talk, f"operator {number}") for number in range(30)))
    await asyncio.gather(*(house.drain(lane) for lane in set(lanes)))
    await house.drain(lane_to_whatsapp(channel))
    rows = await house.ledger.rows("SELECT id, state FROM message ORDER BY id")
    assert house.whatsapp.took[talk.id] == [row["id"] for row in rows]
    assert {row["state"] for row in rows} == {"sent"}


async def test_its_role_has_what_our_sessions_begin_with_and_old_sessions_end(
    pooled_url: str, database_url: str
) -> None:
    before = await open_database(pooled_url, pooled=True)
    try:
        async with before.connection() as connection:
            assert await connection.fetchval("SHOW plan_cache_mode") == "auto"
        await migrate.upgrade(database_url, pooled_url=pooled_url)
        async with before.connection() as connection:
            told = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in SESSION}
            process = await connection.fetchval("SELECT pg_backend_pid()")
        # Over a socket PostgreSQL has no word for those of TCP.
        assert {name: value for name, value in told.items() if not name.startswith("tcp_")} == {
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "enable_hashjoin": "off",
            "enable_mergejoin": "off",
            "jit": "off",
            "idle_in_transaction_session_timeout": "5s",
            "client_connection_check_interval": "5s",
        }
        await migrate.upgrade(database_url, pooled_url=pooled_url)  # nothing is new: nobody's session ends
        async with before.connection() as connection:
            assert await connection.fetchval("SELECT pg_backend_pid()") == process
    finally:
        await before.close()


async def test_workers_beat_and_take_over_behind_it(house: House, channel: Channel, talk: Conversation) -> None:
    (message_id,) = await house.ledger.outbound(talk)
    database, gone, lives = house.ledger.database, new_worker_id(), new_worker_id()
    async with database.connection() as connection:
        for worker in (gone, lives):
            await workers.register(connection, worker, 10, WorkerPlace("host-1", 7), "1.2.3")
        ask = claims.Ask(channel.id, new_attempt_id(gone), 1)
        await claims.claim_to_send(connection, Direction.OUTBOUND, [ask], after=START)
        await connection.execute("UPDATE worker SET lease_until = now() - interval '1 s' WHERE id = $1", gone)
        await connection.execute("UPDATE worker SET steady_since = now() - interval '1 min' WHERE id = $1", lives)
        assert await workers.renew(connection, lives, 10) == Renewal(others_late=True)
        assert len(await workers.end_late(connection)) == 1
    await house.sweep.take_over()
    assert await house.ledger.state(message_id) == "verifying"


async def test_a_lock_of_a_transaction_holds_behind_it(ledger: Ledger) -> None:
    """The same key at once is one send: the lock is the transaction's, whichever session it is given."""
    database = ledger.database
    under_way = most = 0

    async def once() -> None:
        nonlocal under_way, most
        async with database.transaction() as connection:
            await idempotency.used(connection, "k", "same")
            under_way += 1
            most = max(most, under_way)
            await connection.fetchval("SELECT pg_sleep(0.01)")
            under_way -= 1

    await asyncio.gather(*(once() for _ in range(3)))
    assert most == 1
