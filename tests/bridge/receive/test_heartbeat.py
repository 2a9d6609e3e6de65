"""Which events wait until it is known what was lost: none overtakes what another gateway still has in its spool."""

import asyncio

import msgspec
import pytest

from tests.bridge.house import House
from tests.bridge.receive.test_replay import a_form
from zaptrix.bridge.receive.heartbeat import LateStatuses, Watch
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Channel, Portal
from zaptrix.elapsed import elapsed_s
from zaptrix.store.journal import events, recovery
from zaptrix.web.doors.bitrix24_admission import Admission


async def a_watch(house: House) -> Watch:
    """Of a gateway that starts while others are well."""
    await house.ledger.run("UPDATE gateway_beat SET at = now()")
    watch = Watch(house.ledger.database)
    await watch.begin()
    return watch


async def state_of_the_next(house: House, watch: Watch, portal: Portal, talk: Conversation) -> EventState:
    (event,) = await Admission(house.directory, watch).admit(a_form(portal, talk, 1), "r")
    return event.state


async def test_events_go_on_while_the_gateways_are_well(house: House, portal: Portal, talk: Conversation) -> None:
    assert await state_of_the_next(house, await a_watch(house), portal, talk) is EventState.NEW


async def test_who_never_had_a_look_lets_nothing_overtake(house: House, portal: Portal, talk: Conversation) -> None:
    """PostgreSQL was away when it started."""
    watch = Watch(house.ledger.database)
    assert await state_of_the_next(house, watch, portal, talk) is EventState.HELD


async def test_who_has_not_looked_since_an_outage_lets_nothing_overtake(
    house: House, portal: Portal, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL was away from both: one has told of it already, and what the other one spooled comes first."""
    first, second = await a_watch(house), await a_watch(house)
    for watch in (first, second):
        await watch.beat()
        await watch.beat()
    monkeypatch.setattr("zaptrix.bridge.receive.heartbeat.elapsed_s", lambda: elapsed_s() + limits.SILENT_S + 1)
    await house.ledger.run("UPDATE gateway_beat SET at = now() - make_interval(secs => $1)", limits.SILENT_S + 1)
    await first.beat()
    assert await state_of_the_next(house, second, portal, talk) is EventState.HELD
    await second.beat()
    assert await state_of_the_next(house, second, portal, talk) is EventState.HELD  # it knows now
    await house.ledger.run("UPDATE recovery SET ended_at = now()")
    await second.beat()
    assert await state_of_the_next(house, second, portal, talk) is EventState.NEW


async def test_what_was_held_without_need_goes_on_once_a_gateway_has_looked(
    house: House, portal: Portal, talk: Conversation
) -> None:
    (event,) = await Admission(house.directory, Watch(house.ledger.database)).admit(a_form(portal, talk, 1), "r")
    await house.receiver.accept([event])

    async def released() -> int:
        async with house.ledger.database.transaction() as connection:
            return len(await recovery.release_overdue(connection, limits.HOLD_S_MAX, limits.SILENT_S))

    await house.ledger.run("UPDATE gateway_beat SET at = now() - make_interval(secs => $1)", limits.SILENT_S + 1)
    assert await released() == 0  # the first look may yet tell of an outage
    await house.ledger.run("UPDATE gateway_beat SET at = now()")
    assert await released() == 1


async def a_status(house: House, channel: Channel, name: str) -> None:
    lane = incoming_lane(channel.phone_number_id)
    event = NewEvent(
        source=Side.WHATSAPP, name="statuses.sent", key=name.encode(), lane=lane, body=b"{}", request_id=name
    )
    async with house.ledger.database.connection() as connection:
        await events.append(connection, [event])


async def routed(house: House, name: str) -> None:
    await house.ledger.run("UPDATE event SET state = 'routed' WHERE request_id = $1", name)


async def test_a_status_that_nobody_has_read_yet_is_waited_for(
    house: House, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 79: whoever routes receipts was frozen for longer than a proof waits, and texts went twice to WhatsApp."""
    monkeypatch.setattr(limits, "STATUS_READ_S", 0.05)
    await house.ledger.run("UPDATE gateway_beat SET at = now(), statuses_until = now() - interval '1 hour'")
    statuses = LateStatuses(house.ledger.database, 9.0)
    assert await statuses.under_way_s(channel) == 0
    await a_status(house, channel, "one")
    assert await statuses.under_way_s(channel) > 0
    other = msgspec.structs.replace(channel, phone_number_id=f"{channel.phone_number_id}7")
    assert await statuses.under_way_s(other) == 0
    await routed(house, "one")
    assert await statuses.under_way_s(channel) == 0


async def test_a_number_of_which_something_always_comes_is_not_waited_for_for_ever(
    house: House, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATUS_READ_S", 30.0)
    monkeypatch.setattr("zaptrix.bridge.receive.heartbeat._READ_LOOKS", 3_000)
    await house.ledger.run("UPDATE gateway_beat SET at = now(), statuses_until = now() - interval '1 hour'")
    await a_status(house, channel, "before")
    asked = asyncio.create_task(LateStatuses(house.ledger.database, 9.0).under_way_s(channel))
    for number in range(1, 1_000):
        await a_status(house, channel, str(number))
        await routed(house, str(number - 1))
        if number == 5:
            await routed(house, "before")
        if asked.done():
            break
    assert await asked == 0
