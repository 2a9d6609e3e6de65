"""A house of the test's own, and the rooms of it that a test may want to see."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.bridge.house import House, ScriptedPlatform
from tests.store.ledger_rows import Ledger
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.broker.cache.cache import ConversationCache
from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.queues.bells import Bells
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.connection.database import Database, open_database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await open_database(database_url, pool_max=20)
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def house(ledger: Ledger, redis: Redis, bells: Bells) -> House:
    return House(
        ledger=ledger,
        redis=redis,
        bells=bells,
        directory=Directory(ledger.database, ledger.box),
        cache=ConversationCache(redis, Hits(redis), ttl_s=3_600),
        whatsapp=ScriptedPlatform(Side.WHATSAPP),
        bitrix24=ScriptedPlatform(Side.BITRIX24, claims_per_call=10),
    )


@pytest.fixture
async def portal(ledger: Ledger) -> Portal:
    portal = await ledger.portal()
    await ledger.run("UPDATE portal_config SET updated_at = now() - interval '1 minute'")
    return portal


@pytest.fixture
async def channel(ledger: Ledger, portal: Portal) -> Channel:
    channel = await ledger.channel(portal)
    await ledger.run("UPDATE channel SET updated_at = now() - interval '1 minute'")
    return channel


@pytest.fixture
async def talk(ledger: Ledger, channel: Channel) -> Conversation:
    """A conversation that Bitrix24 knows."""
    return await ledger.talk(channel, chat_id=5)
