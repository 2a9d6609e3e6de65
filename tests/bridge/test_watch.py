"""Which events wait until it is known what was lost: none overtakes what another gateway still has in its spool."""

import pytest

from tests.bridge.house import House
from tests.bridge.test_replay import a_form
from zaptrix.bridge.watch import Watch
from zaptrix.core import limits
from zaptrix.core.conversation import Conversation
from zaptrix.core.event import EventState
from zaptrix.core.portal import Portal
from zaptrix.elapsed import elapsed_s
from zaptrix.store import recovery
from zaptrix.web.bitrix24_admission import Admission


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
    monkeypatch.setattr("zaptrix.bridge.watch.elapsed_s", lambda: elapsed_s() + limits.SILENT_S + 1)
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
