"""Chores: at rest nothing is asked for but whether something is open, and whatever is open is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.store.ledger_rows import Ledger
from zaptrix.app import App, open_app
from zaptrix.settings import Settings
from zaptrix.store.connection.database import Connection, Database
from zaptrix.store.ledger import chores as told
from zaptrix.store.ledger.chores import Chore
from zaptrix.tasks import ended
from zaptrix.worker import schedule

LOOKS = 20
EVERY_S = 0.01

EVENT = """
INSERT INTO event (source, name, key, lane, body, request_id, state)
VALUES ('bitrix24', 'x', '\\x01', 'a.0', '', 'r', '{state}')
"""
OPENS = (
    (Chore.SWEEP, EVENT.format(state="new")),
    (Chore.SWEEP, "UPDATE message SET state = 'pending', due_at = now() + interval '1 day'"),
    (Chore.SWEEP, "UPDATE message SET state = 'sending', claimed_at = now()"),
    (Chore.SWEEP, "UPDATE message SET state = 'verifying', due_at = now()"),
    (Chore.SWEEP, "UPDATE message SET confirm_due_at = now()"),
    (
        Chore.SWEEP,
        """INSERT INTO confirmation (message_id, direction, owner_id, due_at)
        SELECT id, direction, portal_id, now() + interval '1 minute' FROM message""",
    ),
    (
        Chore.SWEEP,
        "INSERT INTO parked_receipt (channel_id, whatsapp_id, status, at) SELECT id, 'w', 'read', now() FROM channel",
    ),
    (
        Chore.SWEEP,
        """INSERT INTO worker (id, host, pid, version, lease_until, steady_since, ended_at)
        VALUES ('\\x0102030405060708', 'h', 1, 'v', now(), now(), now())""",
    ),
    (Chore.RECOVER, "DELETE FROM recovery"),
    (Chore.RECOVER, "UPDATE recovery SET next_at = now()"),
    (Chore.RECOVER, "UPDATE recovery SET away_from = now(), away_until = now(), ended_at = NULL, next_at = now()"),
    (Chore.RECOVER, "UPDATE recovery SET refused_reason = 'no', ended_at = now() - interval '1 hour'"),
    (Chore.OFFLINE, "UPDATE portal_config SET offline_events = true"),
    (Chore.OFFLINE, "INSERT INTO offline_queue (portal_id) SELECT id FROM portal_config"),
    (Chore.RELEASE, EVENT.format(state="held")),
    (Chore.ERASE, "INSERT INTO erasure_journal (tenant, until) VALUES ('t', now())"),
    (Chore.ERASE, "INSERT INTO erasure_blob (key) VALUES ('k')"),
)


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    """A portal with a message that has long arrived; its history was looked at a moment ago."""
    ledger = Ledger(database)
    talk = await ledger.talk(await ledger.channel(await ledger.portal()), chat_id=5)
    await ledger.inbound(talk)
    await ledger.run("UPDATE message SET state = 'sent', due_at = now() - interval '1 hour'")
    await ledger.run(
        "INSERT INTO recovery (portal_id, next_at) SELECT id, now() + interval '1 hour' FROM portal_config"
    )
    return ledger


@pytest.fixture
async def app(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[App]:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}
    environ |= {"ENCRYPTION_KEYS": Fernet.generate_key().decode(), "SWEEP_INTERVAL_S": "0.1"}
    async with open_app(Settings.from_env(environ)) as app:
        yield app


async def test_what_is_open_is_told(ledger: Ledger) -> None:
    async with ledger.database.connection() as connection:
        assert await told.waiting(connection) == frozenset()
        for chore, opens in OPENS:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(opens)
            assert await told.waiting(connection) == {chore}, opens
            await transaction.rollback()


async def test_at_rest_a_look_asks_once_for_all_chores(
    ledger: Ledger, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, trips = 0, 0
    waiting, connection = told.waiting, Database.connection

    async def counted_look(connection: Connection) -> frozenset[Chore]:
        nonlocal looked
        looked += 1
        return await waiting(connection)

    def counted(self: Database) -> AbstractAsyncContextManager[Connection]:
        nonlocal trips
        trips += self is app.database
        return connection(self)

    monkeypatch.setattr(told, "waiting", counted_look)
    monkeypatch.setattr(Database, "connection", counted)
    for every in ("_LOOK_S", "_RECOVER_EVERY_S", "_OFFLINE_EVERY_S", "_RELEASE_EVERY_S", "_ERASE_EVERY_S"):
        monkeypatch.setattr(schedule, every, EVERY_S)
    working = schedule.chores_of(app)
    try:
        await _until(lambda: looked >= LOOKS)  # what comes but once a minute is over
        looked, trips = 0, 0
        await _until(lambda: looked >= LOOKS)
        assert trips <= 2 * LOOKS, "a trip a look, and some of what runs beside; it was a dozen"
        # What opens then is done, by the chore itself.
        await ledger.run(EVENT.format(state="held"))
        await _until_free(ledger)
        app.stopping.tell(0.0)
        async with asyncio.timeout(5):
            await asyncio.gather(*working)
    finally:
        await ended(working)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(EVERY_S)


async def _until_free(ledger: Ledger) -> None:
    """Nobody has given a sign of life here, so that a held event waits until it is too old: it is let go then."""
    await ledger.run("UPDATE event SET received_at = now() - interval '1 hour' WHERE state = 'held'")
    async with asyncio.timeout(30):
        while await ledger.value("SELECT count(*) FROM event WHERE state = 'held'"):
            await asyncio.sleep(EVERY_S)
