"""Portals and channels: unique, paused on the right side, and gone with all that is theirs."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.store.ledger_rows import Ledger, outbound, to_whatsapp
from zaptrix.core.delivery.errors import Unauthorized
from zaptrix.core.event import Receipt
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.message.message import Side, State
from zaptrix.core.portal import Channel, Locale, Portal
from zaptrix.store.accounts import api_keys, channels, idempotency, portals
from zaptrix.store.accounts.channels import ChannelFields
from zaptrix.store.accounts.portals import PortalFields, StoredTokens, ValueTaken
from zaptrix.store.ledger import receipts, settlements

HERE = "https://gateway.example"


async def settled(ledger: Ledger) -> None:
    """As if everything had been changed some time ago."""
    for table in ("portal_config", "channel"):
        await ledger.run(f"UPDATE {table} SET updated_at = now() - interval '1 minute'")  # noqa: S608


async def portal_now(ledger: Ledger, portal: Portal) -> Portal:
    async with ledger.database.connection() as connection:
        found = await portals.get(connection, portal.id)
    assert found is not None
    return found


async def channel_now(ledger: Ledger, channel: Channel) -> Channel:
    async with ledger.database.connection() as connection:
        found = await channels.get(connection, channel.id)
    assert found is not None
    return found


async def pause_portal(ledger: Ledger, portal: Portal, reason: str = "invalid_grant") -> bool:
    async with ledger.database.transaction() as connection:
        return await portals.pause(connection, portal.id, reason)


async def pause_channel(ledger: Ledger, channel: Channel, side: Side, reason: str = "190") -> bool:
    async with ledger.database.transaction() as connection:
        return await channels.pause(connection, channel.id, side, reason)


@pytest.mark.parametrize("field", ["portal_url", "member_id"])
async def test_two_portals_never_share_what_tells_them_apart(ledger: Ledger, field: str) -> None:
    await ledger.portal(**{field: "same"})
    with pytest.raises(ValueTaken) as raised:
        await ledger.portal(**{field: "same"})
    assert raised.value.field == field


async def test_a_portal_is_read_whose_language_another_release_knows(ledger: Ledger) -> None:
    portal = await ledger.portal(locale=Locale("es"))
    assert (await portal_now(ledger, portal)).locale == "es"
    await ledger.run("UPDATE portal_config SET locale = 'xx'")
    assert (await portal_now(ledger, portal)).locale is Locale.EN


async def test_a_number_belongs_to_one_channel_in_all_portals(ledger: Ledger) -> None:
    channel = await ledger.channel(phone_number_id="210")
    with pytest.raises(ValueTaken) as raised:
        await ledger.channel(phone_number_id="210")
    assert raised.value.field == "phone_number_id"
    async with ledger.database.connection() as connection:
        assert await channels.by_number(connection, "210") == channel
        assert await channels.by_number(connection, "211") is None


async def test_a_channel_of_no_portal_is_none(ledger: Ledger) -> None:
    async with ledger.database.transaction() as connection:
        fields = ChannelFields(name="x", phone_number_id="1", display_phone_number="1", access_token="t", line_id=1)
        assert await channels.add(connection, PortalId(uuid4()), fields, ledger.box) is None


async def test_a_pause_is_told_once_and_a_change_ends_it(ledger: Ledger) -> None:
    portal = await ledger.portal()
    await settled(ledger)
    assert await pause_portal(ledger, portal)
    assert not await pause_portal(ledger, portal, "another reason")
    assert (await portal_now(ledger, portal)).paused_reason == "invalid_grant"
    async with ledger.database.transaction() as connection:
        changed = await portals.change(connection, portal.id, PortalFields(access_token="new"), ledger.box)
    assert changed is not None
    assert changed.paused_at is None
    assert changed.paused_reason is None


async def test_a_channel_is_paused_on_one_side_alone(ledger: Ledger) -> None:
    channel = await ledger.channel()
    await settled(ledger)
    assert await pause_channel(ledger, channel, Side.WHATSAPP)
    paused = await channel_now(ledger, channel)
    assert (paused.whatsapp_paused_reason, paused.line_paused_at) == ("190", None)
    await settled(ledger)
    assert await pause_channel(ledger, channel, Side.BITRIX24, "line deleted")
    assert not await pause_channel(ledger, channel, Side.WHATSAPP)
    async with ledger.database.transaction() as connection:
        changed = await channels.change(connection, channel.id, ChannelFields(line_id=8), ledger.box)
    assert changed is not None
    assert (changed.whatsapp_paused_at, changed.line_paused_at, changed.registered_at) == (None, None, None)


async def test_a_refusal_of_the_key_that_was_just_replaced_pauses_nothing(ledger: Ledger) -> None:
    channel = await ledger.channel()
    assert not await pause_channel(ledger, channel, Side.WHATSAPP)
    assert not await pause_portal(ledger, await ledger.portal())


async def test_a_refresh_does_not_shield_a_portal_from_its_pause(ledger: Ledger) -> None:
    """Else a portal that refuses every fresh token would be refreshed again and again, for ever."""
    portal = await ledger.portal()
    await settled(ledger)
    tokens = StoredTokens(ledger.database, ledger.box)
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert await tokens.save(portal.id, spent="a-refresh-token", access_token="a", refresh_token="r", expires_at=soon)
    await tokens.moved(portal.id, "https://moved.example/rest/")
    assert await pause_portal(ledger, portal)


async def test_a_portal_that_was_never_given_tokens_says_whose_they_are_to_give(ledger: Ledger) -> None:
    portal = await ledger.portal()
    await ledger.run("UPDATE portal_config SET refresh_token = NULL")
    tokens = StoredTokens(ledger.database, ledger.box)
    for portal_id in (portal.id, PortalId(uuid4())):
        with pytest.raises(Unauthorized):
            await tokens.pair(portal_id)


async def test_a_pair_does_not_overwrite_one_that_was_stored_since(ledger: Ledger) -> None:
    """By an admin, or by the process that took over from one that stood still with its answer in hand."""
    portal = await ledger.portal()
    tokens = StoredTokens(ledger.database, ledger.box)
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert await tokens.save(portal.id, spent="a-refresh-token", access_token="a1", refresh_token="r1", expires_at=soon)
    assert not await tokens.save(
        portal.id, spent="a-refresh-token", access_token="a2", refresh_token="r2", expires_at=soon
    )
    assert (await tokens.pair(portal.id)).refresh_token == "r1"


async def test_one_process_at_a_time_refreshes_a_portal(ledger: Ledger) -> None:
    tokens = StoredTokens(ledger.database, ledger.box)
    portal, other = await ledger.portal(), await ledger.portal()
    inside: list[str] = []

    async def refresh(portal: Portal, name: str) -> None:
        async with tokens.refreshing(portal.id):
            assert name[0] not in {each[0] for each in inside}
            inside.append(name)
            await ledger.value("SELECT pg_sleep(0.02)")
            inside.remove(name)

    await asyncio.gather(*(refresh(portal, f"a{n}") for n in range(3)), *(refresh(other, f"b{n}") for n in range(3)))
    assert inside == []


async def test_lists_are_narrowed_to_one_tenant(ledger: Ledger) -> None:
    one, other = sorted([await ledger.portal(), await ledger.portal()], key=lambda portal: portal.id)
    channel = await ledger.channel(other)
    await ledger.channel(one)
    async with ledger.database.connection() as connection:
        assert [p.id for p in await portals.listed(connection, None, None, 10)] == [one.id, other.id]
        assert [p.id for p in await portals.listed(connection, one.id, None, 10)] == [other.id]
        assert [p.id for p in await portals.listed(connection, None, other.id, 10)] == [other.id]
        assert [c.id for c in await channels.listed(connection, None, other.id, 10)] == [channel.id]
        assert [c.id for c in await channels.of_line(connection, other.id, 7)] == [channel.id]
        assert await channels.of_line(connection, other.id, 8) == []


async def test_deleting_a_portal_takes_all_that_is_its_own_and_nothing_else(ledger: Ledger) -> None:
    doomed, kept = await _furnished(ledger), await _furnished(ledger)
    async with ledger.database.transaction() as connection:
        assert await portals.delete(connection, doomed)
        assert not await portals.delete(connection, doomed)
    left = {
        "portal_config": 1,
        "channel": 1,
        "conversation_mapping": 1,
        "message": 1,
        "attempt": 1,
        "parked_receipt": 1,
        "api_key": 1,
        "idempotency": 1,
    }
    counts = {table: await ledger.value(f"SELECT count(*) FROM {table}") for table in left}  # noqa: S608
    assert counts == left
    assert await ledger.value("SELECT portal_id FROM message") == kept


async def _furnished(ledger: Ledger) -> PortalId:
    """A portal with one of everything."""
    portal = await ledger.portal()
    channel = await ledger.channel(portal)
    talk = await ledger.talk(channel)
    (message_id,) = await ledger.write(outbound(talk))
    (row,) = await ledger.claim(to_whatsapp(channel))
    await ledger.end(row, "pending", costs_an_attempt=True)
    receipt = Receipt(phone_number_id="1", whatsapp_id="w", message_id=None, status=State.READ, at=datetime.now(UTC))
    async with ledger.database.transaction() as connection:
        await settlements.record_failures(
            connection, [settlements.FailedAttempt(message_id=message_id, verdict="retry", code="503", detail="")]
        )
        await receipts.park(connection, [receipts.ChannelReceipt(channel.id, receipt)])
        holder = await api_keys.check(connection, await api_keys.create(connection, "CI", portal.id))
        assert holder is not None
        await idempotency.remember(connection, holder.id, "k", b"f", message_id)
    return portal.id


async def test_every_foreign_key_can_be_followed_without_reading_a_whole_table(ledger: Ledger) -> None:
    """A cascade looks up each deleted row's children: without an index that is a whole table for each."""
    unindexed = await ledger.rows(
        """
        SELECT c.conrelid::regclass::text AS "table", c.conname FROM pg_constraint c
        WHERE c.contype = 'f' AND NOT EXISTS (
            SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)
        """
    )
    assert unindexed == []


async def test_a_channel_waits_for_its_connector_until_it_stands(ledger: Ledger) -> None:
    channel = await ledger.channel()
    async with ledger.database.transaction() as connection:
        assert await channels.unregistered(connection, 10, HERE) == []  # it is being tried right now
    await settled(ledger)
    async with ledger.database.transaction() as connection:
        assert [each.id for each in await channels.unregistered(connection, 10, HERE)] == [channel.id]
        await channels.registered(connection, channel.id, "no such line", HERE)
        assert await channels.registration_error(connection, channel.id) == "no such line"
    await settled(ledger)
    async with ledger.database.transaction() as connection:
        assert [each.id for each in await channels.unregistered(connection, 10, HERE)] == [channel.id]
        await channels.registered(connection, channel.id, None, HERE)
        assert await channels.unregistered(connection, 10, HERE) == []
        assert await channels.registration_error(connection, channel.id) is None


async def test_what_is_not_there_cannot_be_changed(ledger: Ledger) -> None:
    async with ledger.database.transaction() as connection:
        assert await portals.change(connection, PortalId(uuid4()), PortalFields(), ledger.box) is None
        assert await channels.change(connection, ChannelId(uuid4()), ChannelFields(), ledger.box) is None
        assert not await channels.delete(connection, ChannelId(uuid4()))
        assert await portals.get(connection, PortalId(uuid4())) is None
