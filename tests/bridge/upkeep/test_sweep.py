"""Sweeping: bells that were lost ring again, days are made and forgotten, and twice is as good as once."""

import asyncio
from datetime import timedelta

from tests.bridge.house import House, a_customer, lane_to_bitrix24, lane_to_whatsapp, now
from tests.store.ledger_rows import START, to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.message.message import Direction
from zaptrix.core.portal import Channel, Portal
from zaptrix.deadlines import new_attempt_id, new_worker_id
from zaptrix.store.ledger import claims
from zaptrix.store.processes import workers


async def test_after_redis_was_flushed_every_lane_that_has_work_rings_again(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    incoming = await house.customer_says(channel, "oi", customer=a_customer())
    outgoing = await house.operator_says(talk, "olá")
    await house.ledger.outbound(talk)
    await house.ledger.inbound(talk)
    await house.unring()
    assert await house.rung() == set()
    await house.sweep.run()
    assert await house.rung_now() == {incoming, outgoing, lane_to_whatsapp(channel), lane_to_bitrix24(portal)}


async def test_after_redis_was_flushed_confirmations_are_not_forgotten(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    told = [*await house.ledger.inbound(talk), *await house.ledger.outbound(talk)]
    await house.drain(lane_to_bitrix24(portal))
    await house.drain(lane_to_whatsapp(channel))
    await house.ledger.confirm_in(told, 0)
    await house.unring()
    await house.sweep.run()
    assert await house.rung_now() == {lane_to_whatsapp(channel), lane_to_bitrix24(portal)}
    # Nor those that a process of the release before has left in its messages.
    await house.ledger.run("DELETE FROM confirmation")
    await house.ledger.run("UPDATE message SET confirm_due_at = now() WHERE direction = 'outbound'")
    await house.unring()
    await house.sweep.run()
    assert await house.rung_now() == {lane_to_bitrix24(portal)}


async def test_a_house_with_nothing_to_do_rings_nobody(house: House, talk: Conversation) -> None:
    await house.sweep.run()
    assert await house.rung() == set()


async def test_sweeping_by_several_processes_at_once_is_sweeping_once(
    house: House, channel: Channel, talk: Conversation
) -> None:
    (message_id,) = await house.ledger.outbound(talk)
    await house.ledger.claim(to_whatsapp(channel))
    await asyncio.gather(*(house.sweep.run() for _ in range(4)))
    row = await house.ledger.row(message_id)
    assert (row["state"], row["attempts"]) == ("verifying", 1)


async def test_what_a_worker_held_that_ended_goes_on_with_the_next_sweep(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """Who ended it may have died before it could take over."""
    (message_id,) = await house.ledger.outbound(talk)
    gone = new_worker_id()
    async with house.ledger.database.connection() as connection:
        await workers.register(connection, gone, 60, workers.WorkerPlace("host-1", 7), "1.2.3")
        ask = claims.Ask(channel.id, new_attempt_id(gone), 1)
        await claims.claim_to_send(connection, Direction.OUTBOUND, [ask], after=START)
        await workers.leave(connection, gone)
    await house.unring()
    await house.sweep.take_over()
    assert (await house.ledger.row(message_id))["state"] == "verifying"
    assert await house.rung_now() == {lane_to_whatsapp(channel)}


async def test_keeping_house_makes_the_next_days_and_forgets_the_old_ones(house: House) -> None:
    today = now().date()
    await house.sweep.keep_house()
    await house.sweep.keep_house()
    days = [f"event_{today + timedelta(days=ahead):%Y%m%d}" for ahead in range(3)]
    rows = await house.ledger.rows("SELECT relname FROM pg_class WHERE relname ~ '^event_[0-9]{8}$' ORDER BY 1")
    assert [row["relname"] for row in rows] == days
    old = today - timedelta(days=31)
    await house.ledger.run(
        f"CREATE TABLE event_{old:%Y%m%d} PARTITION OF event FOR VALUES FROM ('{old}') TO ('{old + timedelta(days=1)}')"
    )
    await house.sweep.keep_house()
    rows = await house.ledger.rows("SELECT relname FROM pg_class WHERE relname ~ '^event_[0-9]{8}$' ORDER BY 1")
    assert [row["relname"] for row in rows] == days


async def test_keeping_house_by_several_processes_at_once_is_fine(house: House) -> None:
    await asyncio.gather(*(house.sweep.keep_house() for _ in range(4)))
    assert await house.ledger.value("SELECT count(*) FROM pg_class WHERE relname ~ '^event_[0-9]{8}$'") == 3
