"""Recovery: each portal's history is looked at, and none waits for another's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.bridge.house import now
from tests.store.ledger_rows import Ledger
from zaptrix.bridge.recover.history import Recovery, RecoveryRules
from zaptrix.bridge.recover.offline_queue import Offline
from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.broker.queues.bells import Bells
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError, Unavailable
from zaptrix.core.event import NewEvent
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Portal
from zaptrix.core.recovery import Chat, ChatState, Look, OperatorReply
from zaptrix.deadlines import Stopping
from zaptrix.store.connection.database import StoreUnavailable


class ScriptedHistories:
    """Implements `core.recovery.Histories`: nothing is new. How a portal answers is `answers`, by default at once."""

    def __init__(self) -> None:
        self.asked: Counter[PortalId] = Counter()
        self.answers: dict[PortalId, Callable[[], Awaitable[object]]] = {}

    async def states(self, portal: Portal, chats: Sequence[Chat]) -> list[ChatState | None]:
        self.asked[portal.id] += 1
        if portal.id in self.answers:
            await self.answers[portal.id]()
        return [None] * len(chats)

    async def looks(self, portal: Portal, asked: Sequence[tuple[Chat, ChatState]]) -> list[Look]:
        raise AssertionError((portal, asked))

    def event(self, chat: Chat, portal: Portal, reply: OperatorReply, *, late: bool, give_up: str | None) -> NewEvent:
        raise AssertionError((chat, portal, reply, late, give_up))


@pytest.fixture
def histories() -> ScriptedHistories:
    return ScriptedHistories()


@pytest.fixture
def recovering(ledger: Ledger, bells: Bells, histories: ScriptedHistories, monkeypatch: pytest.MonkeyPatch) -> Recovery:
    monkeypatch.setattr(limits, "RECOVERY_LOOK_S", 0.02)
    directory, rules = Directory(ledger.database, ledger.box), RecoveryRules(hours=48, round_s=900)
    offline: Offline = None  # type: ignore[assignment]  # no portal here keeps a queue of its own
    ground = Ground(ledger.database, bells, directory, Budgets(ledger.database, {}, now), now, Stopping())
    return Recovery(ground, histories, offline, rules)


async def _a_portal(ledger: Ledger) -> PortalId:
    """With a conversation that was there before the gateway was away."""
    channel = await ledger.channel(await ledger.portal())
    talk = await ledger.talk(channel, chat_id=1767)
    await ledger.run("UPDATE conversation_mapping SET created_at = now() - interval '1 hour' WHERE id = $1", talk.id)
    return channel.portal_id


async def _away(ledger: Ledger, *portal_ids: PortalId) -> None:
    for portal_id in portal_ids:
        await ledger.run(
            "INSERT INTO recovery (portal_id, away_from, away_until, next_at) VALUES ($1, now() - interval '1 minute',"
            " now(), now())",
            portal_id,
        )


async def _asked(histories: ScriptedHistories, portal_id: PortalId) -> None:
    async with asyncio.timeout(20):
        while not histories.asked[portal_id]:
            await asyncio.sleep(0.01)


async def _recovered(ledger: Ledger, portal_id: PortalId) -> None:
    async with asyncio.timeout(20):
        while not await ledger.value("SELECT ended_at IS NOT NULL FROM recovery WHERE portal_id = $1", portal_id):
            await asyncio.sleep(0.01)


async def test_who_comes_due_meanwhile_waits_for_no_other_portal(
    ledger: Ledger, histories: ScriptedHistories, recovering: Recovery
) -> None:
    """Seed 61: a portal whose files were waited for held up one that had been put off for its pace."""
    slow, later = await _a_portal(ledger), await _a_portal(ledger)
    answering = asyncio.Event()
    histories.answers[slow] = answering.wait
    await _away(ledger, slow)
    run = asyncio.create_task(recovering.run())
    await _asked(histories, slow)
    await _away(ledger, later)
    await _recovered(ledger, later)
    assert histories.asked[slow] == 1
    answering.set()
    await run
    await _recovered(ledger, slow)


async def test_no_outage_waits_for_a_portal_that_is_looked_at_in_its_turn(
    ledger: Ledger, histories: ScriptedHistories, recovering: Recovery
) -> None:
    slow = await _a_portal(ledger)
    await ledger.run("INSERT INTO recovery (portal_id, next_at) VALUES ($1, now())", slow)
    answering = asyncio.Event()
    histories.answers[slow] = answering.wait
    run = asyncio.create_task(recovering.run())
    await _asked(histories, slow)
    later = await _a_portal(ledger)
    await _away(ledger, later)
    await _recovered(ledger, later)
    answering.set()
    await run


async def test_a_portal_that_is_put_off_is_not_asked_again_at_once(
    ledger: Ledger, histories: ScriptedHistories, recovering: Recovery
) -> None:
    async def fail() -> None:
        error: PlatformError = Unavailable("away", "states")
        raise error

    portal_id = await _a_portal(ledger)
    histories.answers[portal_id] = fail
    await _away(ledger, portal_id)
    await recovering.run()
    assert histories.asked[portal_id] == 1


async def test_when_the_store_is_away_nobody_is_left_behind(
    ledger: Ledger, histories: ScriptedHistories, recovering: Recovery
) -> None:
    """Who is cut off in the middle is gone on from by the next one."""

    async def fail() -> None:
        raise StoreUnavailable("x")

    broken, slow = await _a_portal(ledger), await _a_portal(ledger)
    histories.answers |= {broken: fail, slow: asyncio.Event().wait}
    await _away(ledger, broken, slow)
    before = asyncio.all_tasks()
    with pytest.raises(StoreUnavailable):
        await recovering.run()
    assert asyncio.all_tasks() <= before
