"""Receipts: found by our own id within their channel, forward only, kept when they are early."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.store.ledger_rows import Ledger, outbound, to_whatsapp
from zaptrix.core.event import Pricing, Receipt
from zaptrix.core.ids import MessageId
from zaptrix.core.message.message import Origin, State
from zaptrix.core.portal import Channel
from zaptrix.store.ledger import messages, receipts
from zaptrix.store.ledger.receipts import Advance, ChannelReceipt, MessageStanding

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_receipt(whatsapp_id: str, status: State = State.DELIVERED, message_id: int | None = None, **more: Any) -> Receipt:
    fields: dict[str, Any] = {"phone_number_id": "1", "at": NOON} | more
    return Receipt(
        whatsapp_id=whatsapp_id,
        status=status,
        message_id=None if message_id is None else MessageId(message_id),
        **fields,
    )


async def standings(ledger: Ledger, channel: Channel, *told: Receipt) -> list[MessageStanding]:
    async with ledger.database.transaction() as connection:
        return await receipts.standings(connection, [ChannelReceipt(channel.id, receipt) for receipt in told])


async def advance(ledger: Ledger, message_id: int, state: State, at: datetime = NOON, **more: Any) -> dict[str, Any]:
    step = Advance(id=MessageId(message_id), state=state, at=at, whatsapp_id="wamid.A", **more)
    async with ledger.database.transaction() as connection:
        await receipts.advance(connection, [step])
    return await ledger.row(message_id)


async def a_sending(ledger: Ledger, **changes: Any) -> tuple[Channel, int]:
    channel = await ledger.channel()
    (message_id,) = await ledger.outbound(await ledger.talk(channel), **changes)
    await ledger.claim(to_whatsapp(channel))
    return channel, message_id


async def test_a_receipt_finds_its_message_by_our_own_id_or_by_metas_within_its_channel(ledger: Ledger) -> None:
    channel, other = await ledger.channel(), await ledger.channel()
    talk, elsewhere = await ledger.talk(channel), await ledger.talk(other)
    (by_ours,) = await ledger.outbound(talk)
    (by_metas,) = await ledger.outbound(talk, whatsapp_id="wamid.A")
    (theirs,) = await ledger.outbound(elsewhere, whatsapp_id="wamid.A")
    (asked,) = await ledger.inbound(talk, whatsapp_id="wamid.Q")
    told = [
        a_receipt("wamid.new", message_id=by_ours),
        a_receipt("wamid.A"),
        a_receipt("wamid.X", message_id=theirs),
        a_receipt("wamid.Q", message_id=asked),
    ]
    found = await standings(ledger, channel, *told)
    assert {each.id for each in found} == {by_ours, by_metas}
    assert found[0].origin is Origin.OPERATOR


async def test_a_receipt_proves_the_send_that_nobody_came_back_to_record(ledger: Ledger) -> None:
    channel, message_id = await a_sending(ledger)
    row = await advance(ledger, message_id, State.DELIVERED)
    assert (row["state"], row["whatsapp_id"], row["attempt_id"]) == ("delivered", "wamid.A", None)
    assert (row["sent_at"], row["delivered_at"], row["read_at"]) == (NOON, NOON, None)
    assert await ledger.claim(to_whatsapp(channel)) == []


async def test_read_tells_of_delivery_too_and_never_moves_an_earlier_time(ledger: Ledger) -> None:
    _, message_id = await a_sending(ledger)
    await advance(ledger, message_id, State.DELIVERED, NOON)
    row = await advance(ledger, message_id, State.READ, NOON + timedelta(minutes=1))
    assert (row["delivered_at"], row["read_at"]) == (NOON, NOON + timedelta(minutes=1))


async def test_a_failure_is_a_dead_letter(ledger: Ledger) -> None:
    _, message_id = await a_sending(ledger)
    await advance(ledger, message_id, State.SENT)
    # As a process of the release before has it told, which is beside us while it is replaced.
    await ledger.run("UPDATE message SET confirm_due_at = now()")
    row = await advance(ledger, message_id, State.DEAD, code="131047", detail="re-engagement")
    assert (row["state"], row["error_code"], row["error_detail"]) == ("dead", "131047", "re-engagement")
    assert row["dead_at"] == NOON
    assert row["confirm_due_at"] is None


async def test_a_receipt_of_what_was_sent_makes_no_new_entry_in_any_index(ledger: Ledger) -> None:
    """A HOT update: the row's new version stays in its page, which has room for it."""
    _, message_id = await a_sending(ledger)
    await advance(ledger, message_id, State.SENT)
    async with ledger.database.transaction() as connection:
        for state in (State.DELIVERED, State.READ, State.PLAYED):
            step = Advance(id=MessageId(message_id), state=state, at=NOON, whatsapp_id="wamid.A")
            await receipts.advance(connection, [step])
        assert await connection.fetchval("SELECT pg_stat_get_xact_tuples_hot_updated('message'::regclass)") == 3
    assert await ledger.state(message_id) == "played"


@pytest.mark.parametrize("told", [State.DELIVERED, State.READ, State.PLAYED])
async def test_what_a_process_of_the_release_before_has_written_of_a_receipt_stands(
    ledger: Ledger, told: State
) -> None:
    """It wrote the state, too; and it goes on beside us while it is replaced."""
    channel, message_id = await a_sending(ledger)
    times = {State.DELIVERED: 1, State.READ: 2, State.PLAYED: 3}[told]
    names = ("delivered_at", "read_at", "played_at")[:times]
    written = ", ".join(f"{name} = now()" for name in names)
    await ledger.run(f"UPDATE message SET state = $1, sent_at = now(), {written}", told.value)  # noqa: S608
    assert await ledger.state(message_id) == told
    (stood,) = await standings(ledger, channel, a_receipt("wamid.A", message_id=message_id))
    assert stood.state is told
    assert (await advance(ledger, message_id, State.PLAYED))["state"] == "played"
    async with ledger.database.transaction() as connection:
        await connection.execute("UPDATE message SET created_at = now() - interval '2 years'")
        assert (await messages.forget(connection, 365, MessageId(0), 10)).gone == 1


async def test_an_early_receipt_waits_for_its_messages_id(ledger: Ledger) -> None:
    channel, other = await ledger.channel(), await ledger.channel()
    talk = await ledger.talk(channel)
    await ledger.outbound(await ledger.talk(other), whatsapp_id="wamid.A")  # the same id on another number
    early = [a_receipt("wamid.A", State.READ), a_receipt("wamid.A", State.SENT), a_receipt("wamid.A", State.SENT)]
    async with ledger.database.transaction() as connection:
        await receipts.park(connection, [ChannelReceipt(channel.id, receipt) for receipt in early])
        await receipts.park(
            connection, [ChannelReceipt(channel.id, receipt) for receipt in early]
        )  # Meta repeats itself
        assert await receipts.unpark(connection) == []
    await ledger.write(outbound(talk, whatsapp_id="wamid.A"))
    async with ledger.database.transaction() as connection:
        found = await receipts.unpark(connection)
        assert [(each.channel_id, each.receipt.status) for each in found] == [
            (channel.id, State.SENT),
            (channel.id, State.READ),
        ]
        assert await receipts.unpark(connection) == []


async def test_a_receipt_that_nobody_came_for_is_forgotten(ledger: Ledger) -> None:
    channel = await ledger.channel()
    async with ledger.database.transaction() as connection:
        await receipts.park(connection, [ChannelReceipt(channel.id, a_receipt("wamid.A"))])
        await receipts.forget_parked(connection, hours=24 * 8)
        assert await connection.fetchval("SELECT count(*) FROM parked_receipt") == 1
        await connection.execute("UPDATE parked_receipt SET parked_at = now() - interval '9 days'")
        await receipts.forget_parked(connection, hours=24 * 8)
        assert await connection.fetchval("SELECT count(*) FROM parked_receipt") == 0


async def test_metas_whole_seconds_do_not_put_an_arrival_before_the_send(ledger: Ledger) -> None:
    _, message_id = await a_sending(ledger)
    await ledger.run("UPDATE message SET state = 'sent', sent_at = $1", NOON + timedelta(seconds=0.7))
    assert (await advance(ledger, message_id, State.DELIVERED))["delivered_at"] == NOON + timedelta(seconds=0.7)
    assert (await advance(ledger, message_id, State.READ))["read_at"] == NOON + timedelta(seconds=0.7)


async def test_a_message_that_was_given_up_and_arrived_is_no_dead_letter(ledger: Ledger) -> None:
    _, message_id = await a_sending(ledger)
    await ledger.run("UPDATE message SET state = 'dead', error_code = 'timeout', dead_at = now()")
    row = await advance(ledger, message_id, State.DELIVERED)
    assert (row["state"], row["error_code"], row["dead_at"]) == ("delivered", None, None)


async def test_the_first_word_on_a_price_stays_and_a_played_voice_message_was_read(ledger: Ledger) -> None:
    _, message_id = await a_sending(ledger)
    price = Pricing(category="utility", type="regular", model="PMP", billable=True)
    row = await advance(ledger, message_id, State.DELIVERED, pricing=price)
    assert (row["price_category"], row["price_type"], row["price_model"]) == ("utility", "regular", "PMP")
    assert row["price_billable"] is True
    other = Pricing(category="service", type="free_entry_point", billable=False)
    row = await advance(ledger, message_id, State.PLAYED, pricing=other)
    assert (row["state"], row["price_category"], row["price_type"]) == ("played", "utility", "regular")
    assert row["price_billable"] is True
    assert row["delivered_at"] <= row["read_at"] <= row["played_at"]


async def test_a_parked_receipt_keeps_its_price(ledger: Ledger) -> None:
    channel = await ledger.channel()
    price = Pricing(category="marketing", billable=True)
    async with ledger.database.transaction() as connection:
        await receipts.park(connection, [ChannelReceipt(channel.id, a_receipt("wamid.P", pricing=price))])
    await ledger.outbound(await ledger.talk(channel), whatsapp_id="wamid.P")
    async with ledger.database.transaction() as connection:
        (told,) = await receipts.unpark(connection)
    assert told.receipt.pricing == price
