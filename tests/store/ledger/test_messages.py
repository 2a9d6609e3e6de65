"""Writing into the ledger: in order, and once by the platforms' ids."""

from tests.store.ledger_rows import Ledger, inbound, outbound
from zaptrix.core.ids import MessageId
from zaptrix.core.message.message import Notice, Origin
from zaptrix.store.connection.database import StoreRefused
from zaptrix.store.ledger import messages, views


async def test_a_batch_is_numbered_in_its_order(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel())
    written = await ledger.write(*(inbound(talk, str(n)) for n in range(200)))
    assert written == sorted(written)
    texts = [
        row["text"]
        for row in await ledger.rows("SELECT content->'text'->'spans'->0->>'text' AS text FROM message ORDER BY id")
    ]
    assert texts == [str(n) for n in range(200)]


async def test_a_message_that_the_ledger_has_is_left_as_it_is(ledger: Ledger) -> None:
    portal = await ledger.portal()
    channel, second = await ledger.channel(portal), await ledger.channel(portal)
    talk, other = await ledger.talk(channel), await ledger.talk(second)
    await ledger.write(inbound(talk, "first", whatsapp_id="wamid.A"), outbound(talk, "answer", bitrix_message_id=7))
    again = await ledger.write(
        inbound(talk, "again", whatsapp_id="wamid.A"),
        inbound(talk, "new", whatsapp_id="wamid.B"),
        inbound(talk, "twice in one batch", whatsapp_id="wamid.B"),
        inbound(other, "another number's", whatsapp_id="wamid.A"),
        outbound(talk, "again", bitrix_message_id=7),
        outbound(other, "again, by the portal's one count of messages", bitrix_message_id=7),
    )
    assert len(again) == 2
    assert await ledger.value("SELECT count(*) FROM message") == 4


async def test_ids_that_are_absent_make_no_two_messages_the_same(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel())
    notice = inbound(talk, whatsapp_id=None, origin=Origin.GATEWAY, content=Notice("refused", {"code": "1"}))
    assert len(await ledger.write(notice, notice, outbound(talk), outbound(talk))) == 4


async def test_known_messages_of_a_channel_are_told_from_new_ones(ledger: Ledger) -> None:
    channel, other = await ledger.channel(), await ledger.channel()
    await ledger.write(inbound(await ledger.talk(channel), whatsapp_id="wamid.A"))
    async with ledger.database.connection() as connection:
        assert await messages.known(connection, [(channel.id, "wamid.A"), (channel.id, "wamid.B")]) == {
            (channel.id, "wamid.A")
        }
        assert await messages.known(connection, [(other.id, "wamid.A")]) == set()


async def test_a_message_comes_out_as_it_went_in(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel())
    (message_id,) = await ledger.write(outbound(talk, "olá 👋🏽\nlinha 2", bitrix_message_id=7))
    async with ledger.database.connection() as connection:
        found = await views.get(connection, message_id, talk.portal_id)
        assert await views.get(connection, MessageId(999), None) is None
    assert found is not None
    assert found.message.kind == "text"
    assert found.content["text"]["spans"][0]["text"] == "olá 👋🏽\nlinha 2"


async def test_what_a_column_refuses_is_refused_as_a_whole_batch(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel())
    try:
        await ledger.write(inbound(talk), inbound(talk, whatsapp_id="w" * 256))
    except StoreRefused:
        assert await ledger.states() == []
    else:
        raise AssertionError


async def test_the_queues_sizes_are_the_ledgers(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel())
    await ledger.inbound(talk, 3)
    await ledger.outbound(talk, 2)
    await ledger.run("UPDATE message SET state = 'dead' WHERE direction = 'outbound' AND id % 2 = 0")
    await ledger.run("UPDATE message SET created_at = now() - interval '100 seconds'")
    async with ledger.database.connection() as connection:
        sizes = await views.queue_sizes(connection)
    shown = {queue.value: (view.waiting, view.active, view.failed) for queue, view in sizes.items()}
    assert shown == {
        "incoming-messages": (0, 0, 0),
        "outbound-messages": (0, 0, 0),
        "bitrix24-messages": (3, 0, 0),
        "meta-messages": (1, 0, 1),
    }
    assert {round(view.oldest_age_s, -1) for view in sizes.values()} == {0.0, 100.0}


async def test_what_a_pause_holds_does_not_hide_what_else_is_late(ledger: Ledger) -> None:
    """A line holds what customers write, a number what operators answer, a portal both."""
    held, free = await ledger.channel(), await ledger.channel()
    for channel, age in ((held, "1 hour"), (free, "100 seconds")):
        talk = await ledger.talk(channel)
        await ledger.inbound(talk, 1)
        await ledger.outbound(talk, 1)
        await ledger.run(
            "UPDATE message SET created_at = now() - $1::text::interval WHERE channel_id = $2", age, channel.id
        )

    async def ages() -> dict[str, float]:
        async with ledger.database.connection() as connection:
            sizes = await views.queue_sizes(connection)
        return {queue.value: round(view.oldest_age_s, -1) for queue, view in sizes.items() if view.waiting}

    assert await ages() == {"bitrix24-messages": 3600.0, "meta-messages": 3600.0}
    await ledger.run("UPDATE channel SET line_paused_at = now() WHERE id = $1", held.id)
    assert await ages() == {"bitrix24-messages": 100.0, "meta-messages": 3600.0}
    await ledger.run("UPDATE channel SET whatsapp_paused_at = now() WHERE id = $1", held.id)
    assert await ages() == {"bitrix24-messages": 100.0, "meta-messages": 100.0}
    await ledger.run("UPDATE channel SET line_paused_at = NULL, whatsapp_paused_at = NULL")
    await ledger.run("UPDATE portal_config SET paused_at = now() WHERE id = $1", held.portal_id)
    assert await ages() == {"bitrix24-messages": 100.0, "meta-messages": 100.0}
