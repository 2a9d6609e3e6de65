"""Receiving: a row before anything is acknowledged, and one bell a lane after it."""

import asyncio

import pytest

from tests.bridge.house import House, a_customer, asked, now
from zaptrix.bridge.receive.receiver import Receiver
from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.broker.queues.bells import Bells
from zaptrix.cli.local.servers import Servers
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import StoreUnavailable, open_database
from zaptrix.store.schema import migrate


def an_event(number: int, lane: str = "210.1", state: EventState = EventState.NEW) -> NewEvent:
    return NewEvent(
        source=Side.WHATSAPP,
        name="messages.text",
        key=number.to_bytes(16, "big"),
        lane=Lane(Queue.INCOMING, lane),
        body=b"{}",
        request_id="r",
        state=state,
    )


async def test_many_requests_at_once_are_all_rows_when_they_are_answered(house: House) -> None:
    await asyncio.gather(*(house.receiver.accept([an_event(n), an_event(n)]) for n in range(300)))
    assert await house.ledger.value("SELECT count(*) FROM event") == 300
    assert await house.rung_now() == {Lane(Queue.INCOMING, "1")}


async def test_what_nobody_can_route_rings_nobody(house: House) -> None:
    await house.receiver.accept([an_event(1, state=EventState.UNROUTABLE)])
    assert await house.rung() == set()


async def test_nothing_is_accepted_while_postgresql_is_away(own_servers: Servers, bells: Bells) -> None:
    await migrate.upgrade(own_servers.postgres.url)
    database = await open_database(own_servers.postgres.url, acquire_timeout_s=1.0)
    receiver = Receiver(database, bells, Budgets(database, {}, now))
    own_servers.postgres.stop()
    results = await asyncio.gather(*(receiver.accept([an_event(n)]) for n in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    own_servers.postgres.start()
    await receiver.accept([an_event(99)])
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM event") == 1
    await database.close()


async def test_who_waits_behind_a_group_that_postgresql_does_not_answer_is_told_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each group would wait its time out behind the one before, and the last of them for minutes."""
    monkeypatch.setattr(limits, "DOOR_STORE_S_MAX", 0.5)
    async with house.ledger.database.transaction() as connection:
        await connection.execute("LOCK TABLE event")
        first = asyncio.create_task(house.receiver.accept([an_event(0)]))
        await asyncio.sleep(0)
        behind = [
            asyncio.create_task(house.receiver.accept([an_event(group * 2_000 + n) for n in range(2_000)]))
            for group in range(1, 6)
        ]
        with pytest.raises(StoreUnavailable):
            await first
        for _ in range(3):
            await asyncio.sleep(0)
        assert [type(each.exception()) for each in behind if each.done()] == [StoreUnavailable] * 5


async def test_what_postgresql_took_after_all_and_is_given_again_is_one_row(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.ledger.database.transaction() as connection:
        await connection.fetchval("SELECT 1")
        # By another connection, where the statement is prepared now: the next one is carried out once it was sent.
        await house.receiver.accept([an_event(1)])
        monkeypatch.setattr(limits, "DOOR_STORE_S_MAX", 0.3)
        await connection.execute("LOCK TABLE event")
        with pytest.raises(StoreUnavailable):
            await house.receiver.accept([an_event(2)])
    monkeypatch.undo()
    async with asyncio.timeout(15):
        while await house.ledger.value("SELECT count(*) FROM event") < 2:  # nobody waits for it any more
            await asyncio.sleep(0.01)
    await house.receiver.accept([an_event(2)])  # as a platform or the spool does
    assert await house.ledger.value("SELECT count(*) FROM event") == 2


async def test_accepting_does_not_wait_for_redis(house: House, channel: Channel) -> None:
    await house.redis.client_pause(5_000)
    silent = asyncio.ensure_future(house.redis.ping())
    await house.happens(Lane(Queue.INCOMING, f"{channel.phone_number_id}.1"), asked(channel, a_customer(), "oi"))
    assert await house.ledger.value("SELECT count(*) FROM event") == 1
    assert not silent.done()
    await silent
