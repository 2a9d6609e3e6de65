"""Budgets: one portal cannot use up what all need, its conversations go on, and nobody else notices."""

import asyncio
import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from tests.bridge.house import House, a_customer, now
from zaptrix.bridge.tenants.budgets import KEPT_BY_DIGEST, Budgets
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.errors import TooFast
from zaptrix.core.delivery.lanes import Lane, Queue, incoming_lane, outbound_lane
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.ids import EventId, PortalId
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.accounts.budgets import Budget
from zaptrix.store.connection.database import StoreRefused, StoreUnavailable, open_database
from zaptrix.store.journal import events
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

MOST = {Budget.JOURNAL: 10_000, Budget.FILES: 1_000, Budget.RECODING: 500}
HEAVY = b'{"x": "' + b"y" * 20_000 + b'"}'
DIGEST = b"sha256:" + hashlib.sha256(HEAVY).hexdigest().encode()


@pytest.fixture
def budgets(house: House) -> Budgets:
    house.budgets._most = dict(MOST)
    return house.budgets


def an_event(lane: Lane, body: bytes, state: EventState, request_id: str = "r") -> NewEvent:
    source = Side.WHATSAPP if lane.queue is Queue.INCOMING else Side.BITRIX24
    key = uuid4().bytes
    return NewEvent(source=source, name="x", key=key, lane=lane, body=body, request_id=request_id, state=state)


async def bodies(house: House) -> list[bytes]:
    return [row["body"] for row in await house.ledger.rows("SELECT body FROM event ORDER BY id")]


async def test_over_its_budget_what_leads_nowhere_is_kept_by_its_digest(
    house: House, budgets: Budgets, portal: Portal
) -> None:
    other = await house.ledger.portal()
    lost = EventState.UNROUTABLE
    await house.receiver.accept([an_event(outbound_lane(portal.id), b'{"a": 1}', lost)])
    await house.receiver.accept([an_event(outbound_lane(portal.id), HEAVY, lost)])
    await house.receiver.accept([an_event(outbound_lane(other.id), b'{"b": 2}', lost)])
    assert await bodies(house) == [b'{"a": 1}', DIGEST, b'{"b": 2}']
    reasons = await house.ledger.rows("SELECT reason FROM event ORDER BY id")
    assert [row["reason"] for row in reasons] == [None, KEPT_BY_DIGEST, None]


async def test_over_its_budget_an_operators_words_still_go_their_way_and_leave_their_digest(
    house: House, budgets: Budgets, portal: Portal, talk: Conversation
) -> None:
    budgets.spend(portal.id, Budget.JOURNAL, MOST[Budget.JOURNAL])
    lane = await house.operator_says(talk, "ainda chega")
    assert await bodies(house) == [b"{}"]
    await house.drain(lane)
    assert await house.ledger.value("SELECT count(*) FROM message") == 1
    assert await house.ledger.value("SELECT state FROM event") == "routed"
    assert await bodies(house) == [b"sha256:" + hashlib.sha256(b"{}").hexdigest().encode()]


async def test_what_meta_signed_is_kept_whole_for_who_can_route_it_later(house: House, budgets: Budgets) -> None:
    lane = incoming_lane("210987654329999")
    for _ in range(3):
        await house.receiver.accept([an_event(lane, HEAVY, EventState.UNROUTABLE)])
    assert await bodies(house) == [HEAVY] * 3


async def test_who_writes_to_a_number_is_counted_for_no_portal(
    house: House, budgets: Budgets, channel: Channel
) -> None:
    await house.customer_says(channel, "oi", customer=a_customer())
    assert not budgets._unwritten


async def test_an_event_that_is_only_a_digest_is_not_replayed(house: House, budgets: Budgets, portal: Portal) -> None:
    await house.receiver.accept([an_event(outbound_lane(portal.id), HEAVY, EventState.UNROUTABLE)])
    event_id = EventId(await house.ledger.value("SELECT id FROM event"))
    async with house.ledger.database.transaction() as connection:
        assert await events.replay(connection, event_id) is None


async def test_processes_add_up_and_learn_from_each_other(house: House, portal: Portal) -> None:
    one, other = (Budgets(house.ledger.database, MOST, now) for _ in range(2))
    one.spend(portal.id, Budget.FILES, 600)
    other.spend(portal.id, Budget.FILES, 600)
    assert not one.is_over(portal.id, Budget.FILES)
    before = metrics.ALARMS.labels(AlarmKind.OVER_BUDGET)._value.get()
    await one.exchange()
    assert not one.is_over(portal.id, Budget.FILES)
    await other.exchange()
    await one.exchange()
    assert one.is_over(portal.id, Budget.FILES)
    assert other.is_over(portal.id, Budget.FILES)
    assert not one.is_over(portal.id, Budget.RECODING)
    await one.exchange()
    assert metrics.ALARMS.labels(AlarmKind.OVER_BUDGET)._value.get() == before + 2  # once a process
    with pytest.raises(TooFast) as told:
        one.guard(portal.id, Budget.FILES)
    assert told.value.wait_s is not None
    assert 0 < told.value.wait_s <= 86_400


async def test_a_new_day_begins_at_zero(house: House, portal: Portal) -> None:
    at = [datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)]
    budgets = Budgets(house.ledger.database, MOST, lambda: at[0])
    budgets.spend(portal.id, Budget.FILES, 5_000)
    await budgets.exchange()
    assert budgets.is_over(portal.id, Budget.FILES)
    assert budgets.renewed_in_s() == 10
    at[0] = datetime(2026, 3, 2, tzinfo=UTC)
    await budgets.exchange()
    assert not budgets.is_over(portal.id, Budget.FILES)


async def test_nothing_is_bounded_that_is_set_to_zero(house: House, portal: Portal) -> None:
    budgets = Budgets(house.ledger.database, dict.fromkeys(Budget, 0), now)
    budgets.spend(portal.id, Budget.JOURNAL, 10**15)
    await budgets.exchange()
    assert not budgets.is_over(portal.id, Budget.JOURNAL)


async def test_a_portal_that_was_deleted_keeps_nobody_from_counting(house: House, portal: Portal) -> None:
    budgets = Budgets(house.ledger.database, MOST, now)
    budgets.spend(PortalId(uuid4()), Budget.FILES, 5_000)
    budgets.spend(portal.id, Budget.FILES, 5_000)
    await budgets.exchange()
    assert budgets.is_over(portal.id, Budget.FILES)


async def test_a_portal_that_is_deleted_while_its_use_is_added_ends_nothing(house: House, portal: Portal) -> None:
    gone = await house.ledger.portal()
    budgets = Budgets(house.ledger.database, MOST, now)
    budgets.spend(gone.id, Budget.FILES, 5_000)
    budgets.spend(portal.id, Budget.FILES, 5_000)
    async with house.ledger.database.transaction() as other:
        await other.execute("DELETE FROM portal_config WHERE id = $1", gone.id)
        adding = asyncio.create_task(budgets.exchange())
        async with asyncio.timeout(60):
            while not await house.ledger.value("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
    with suppress(StoreRefused):
        await adding
    await budgets.exchange()
    assert budgets.is_over(portal.id, Budget.FILES)


async def test_what_could_not_be_told_is_told_later(house: House, portal: Portal) -> None:
    away = await open_database("postgresql://nobody@/nothing?host=/nowhere", acquire_timeout_s=0.2)
    budgets = Budgets(away, MOST, now)
    budgets.spend(portal.id, Budget.FILES, 5_000)
    with pytest.raises(StoreUnavailable):
        await budgets.exchange()
    await away.close()
    budgets._database = house.ledger.database
    await budgets.exchange()
    assert await house.ledger.value("SELECT file_bytes FROM portal_usage") == 5_000


# --- what is kept, and for how long ----------------------------------------------------------------------------------


async def test_ended_messages_and_old_audit_go_by_age_and_open_ones_stay(
    house: House, channel: Channel, talk: Conversation
) -> None:
    patience = msgspec.structs.replace(house.sweep._patience, message_retention_days=400, audit_retention_days=700)
    house.sweep._patience = patience
    _old, open_one, young = await house.ledger.outbound(talk, 3)
    await house.ledger.run("UPDATE message SET created_at = now() - interval '401 days' WHERE id <> $1", young)
    await house.ledger.run("UPDATE message SET state = 'sent' WHERE id <> $1", open_one)
    await house.ledger.run(
        "INSERT INTO audit (at, actor, action, subject) VALUES (now() - interval '701 days', 'a', 'b', 'old'),"
        " (now(), 'a', 'b', 'new')"
    )
    await house.sweep.keep_house()
    kept = await house.ledger.rows("SELECT id FROM message ORDER BY id")
    assert [row["id"] for row in kept] == [open_one, young]
    assert [row["subject"] for row in await house.ledger.rows("SELECT subject FROM audit")] == ["new"]
    house.sweep._patience = msgspec.structs.replace(patience, message_retention_days=0, audit_retention_days=0)
    await house.ledger.run("UPDATE message SET created_at = now() - interval '30 years', state = 'sent'")
    await house.sweep.keep_house()
    assert await house.ledger.value("SELECT count(*) FROM message") == 2


async def test_more_old_messages_than_one_step_takes_go_all_the_same(
    house: House, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zaptrix.core.limits.FORGET_STEP", 4)
    await house.ledger.outbound(talk, 11)
    await house.ledger.run("UPDATE message SET created_at = now() - interval '2 years', state = 'read'")
    await house.sweep.keep_house()
    assert await house.ledger.value("SELECT count(*) FROM message") == 0
