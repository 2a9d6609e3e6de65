"""Settling: a verdict is written by the runner that holds the message, and by no other."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from tests.store.ledger_rows import Ledger, outbound, settlement, to_bitrix24, to_whatsapp
from zaptrix.core.event import Receipt
from zaptrix.core.ids import AttemptId, MessageId, PortalId
from zaptrix.core.limits import ROUNDS
from zaptrix.core.message.message import Direction, State
from zaptrix.core.portal import Channel
from zaptrix.store.ledger import awaited, claims, confirmations, expiry, messages, receipts, settlements, views
from zaptrix.store.ledger.claims import ClaimedRow
from zaptrix.store.ledger.confirmations import ConfirmEnd, LateRound
from zaptrix.store.ledger.receipts import Advance
from zaptrix.store.ledger.settlements import FailedAttempt


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def one_claimed(ledger: Ledger) -> tuple[Channel, ClaimedRow]:
    channel = await ledger.channel()
    await ledger.outbound(await ledger.talk(channel))
    (row,) = await ledger.claim(to_whatsapp(channel))
    return channel, row


async def test_a_message_that_was_taken_keeps_what_the_platform_called_it(ledger: Ledger) -> None:
    _, row = await one_claimed(ledger)
    assert await ledger.end(row, "sent", whatsapp_id="wamid.A", confirm_in_s=0.0)
    now = await ledger.row(row.fields["id"])
    assert (now["state"], now["whatsapp_id"], now["attempts"], now["attempt_id"]) == ("sent", "wamid.A", 0, None)
    assert now["sent_at"] is not None
    assert await ledger.awaited() == {row.fields["id"]}
    assert now["dead_at"] is None


async def test_a_failed_attempt_is_counted_and_pace_is_not(ledger: Ledger) -> None:
    channel, row = await one_claimed(ledger)
    await ledger.end(row, "pending", due_at=soon(-1), error_code="pace")
    (row,) = await ledger.claim(to_whatsapp(channel))
    assert row.fields["attempts"] == 0
    await ledger.end(row, "pending", due_at=soon(-1), error_code="503", costs_an_attempt=True)
    (row,) = await ledger.claim(to_whatsapp(channel))
    assert row.fields["attempts"] == 1


async def test_a_verdict_without_a_time_leaves_the_time_as_it_was(ledger: Ledger) -> None:
    _, row = await one_claimed(ledger)
    before = (await ledger.row(row.fields["id"]))["due_at"]
    await ledger.end(row, "pending")
    assert (await ledger.row(row.fields["id"]))["due_at"] == before


async def test_a_runner_that_comes_back_late_writes_nothing(ledger: Ledger) -> None:
    channel, late = await one_claimed(ledger)
    async with ledger.database.transaction() as connection:
        await expiry.expire(connection, -1.0, -1.0, -1.0)
    assert not await ledger.end(late, "sent", whatsapp_id="wamid.late")
    async with ledger.database.transaction() as connection:
        (proving,) = await claims.claim_to_prove(
            connection, to_whatsapp(channel), AttemptId(uuid4()), limit=1, lease_s=60
        )
    assert not await ledger.end(late, "dead")
    assert await ledger.end(proving, "pending", due_at=soon(-1))
    (again,) = await ledger.claim(to_whatsapp(channel))
    assert not await ledger.end(late, "sent")
    assert await ledger.end(again, "sent", whatsapp_id="wamid.A")
    assert not await ledger.end(again, "dead")  # once
    assert (await ledger.row(late.fields["id"]))["whatsapp_id"] == "wamid.A"


async def test_a_stranger_settles_nothing(ledger: Ledger) -> None:
    _, row = await one_claimed(ledger)
    assert not await ledger.end(row, "sent", attempt_id=AttemptId(uuid4()))
    assert await ledger.state(row.fields["id"]) == "sending"


async def test_of_many_settlements_those_that_are_still_ours_are_written(ledger: Ledger) -> None:
    channel = await ledger.channel()
    for _ in range(3):
        await ledger.outbound(await ledger.talk(channel))
    first, second, third = await ledger.claim(to_whatsapp(channel))
    await ledger.end(second, "dead")
    settled = await ledger.settle(*(settlement(row, "sent") for row in (first, second, third)))
    assert settled == {first.fields["id"], third.fields["id"]}
    assert await ledger.states() == ["sent", "dead", "sent"]


@pytest.mark.parametrize("detail", ["half an emoji \ud83d", "a NUL \x00 in it", "x" * 5_000])
async def test_whatever_a_platform_says_of_an_error_the_verdict_is_written(ledger: Ledger, detail: str) -> None:
    _, row = await one_claimed(ledger)
    code = detail[:100] * 2
    assert await ledger.end(row, "dead", error_code=code, error_detail=detail, costs_an_attempt=True)
    failure = FailedAttempt(message_id=MessageId(row.fields["id"]), verdict="bury", code=code, detail=detail)
    async with ledger.database.transaction() as connection:
        await settlements.record_failures(connection, [failure])
        found = await views.get(connection, MessageId(row.fields["id"]), None)
    assert found is not None
    (attempt,) = found.attempts
    assert (attempt.number, attempt.verdict) == (1, "bury")
    assert attempt.code == found.message.error_code
    assert len(attempt.code) <= 64


async def test_settlements_receipts_and_confirmations_of_the_same_messages_never_wait_in_a_circle(
    ledger: Ledger,
) -> None:
    channel = await ledger.channel()
    talks = [await ledger.talk(channel) for _ in range(40)]
    rolls = random.Random(3)

    def shuffled(rows: Sequence[ClaimedRow]) -> list[ClaimedRow]:
        return rolls.sample(list(rows), len(rows))

    async def settle(rows: list[ClaimedRow]) -> None:
        await ledger.settle(*(settlement(row, "sent", confirm_in_s=0.0) for row in rows))

    async def advance(rows: list[ClaimedRow]) -> None:
        told = [receipts.ChannelReceipt(channel.id, _receipt(row)) for row in rows]
        async with ledger.database.transaction() as connection:
            stood = await receipts.standings(connection, told)
            at = datetime.now(UTC)
            steps = [Advance(id=each.id, state=State.READ, at=at, whatsapp_id=f"wamid.{each.id}") for each in stood]
            await receipts.advance(connection, rolls.sample(steps, len(steps)))

    async def confirm(rows: list[ClaimedRow]) -> None:
        ends = [ConfirmEnd(message_id=row.fields["id"], again_at=None, costs_an_attempt=False) for row in rows]
        async with ledger.database.transaction() as connection:
            await confirmations.end(connection, ends, 5)

    async def withdraw(rows: list[ClaimedRow]) -> None:
        async with ledger.database.transaction() as connection:
            await receipts.standings(connection, [receipts.ChannelReceipt(channel.id, _receipt(row)) for row in rows])
            await awaited.withdraw(connection, [row.fields["id"] for row in rows])
            await awaited.await_now(connection, [row.fields["id"] for row in rows])

    for _ in range(10):
        await ledger.write(*(outbound(talk) for talk in talks))
        rows = await ledger.claim(to_whatsapp(channel), limit=100)
        half = len(rows) // 2
        await asyncio.gather(
            settle(shuffled(rows)[:half]),
            settle(shuffled(rows)),
            advance(shuffled(rows)),
            advance(shuffled(rows)),
            confirm(shuffled(rows)),
            confirm(shuffled(rows)),
            withdraw(shuffled(rows)),
            claim_confirmations(ledger, channel, direction=Direction.OUTBOUND),
        )
    assert set(await ledger.states()) == {"read"}


def _receipt(row: ClaimedRow) -> Receipt:
    message_id = MessageId(row.fields["id"])
    return Receipt(
        phone_number_id="1",
        whatsapp_id=f"wamid.{message_id}",
        message_id=message_id,
        status=State.READ,
        at=datetime.now(UTC),
    )


# --- confirmations ----------------------------------------------------------------------------------------------------


async def confirmable(ledger: Ledger, channel: Channel, count: int = 1) -> list[MessageId]:
    made = await ledger.inbound(await ledger.talk(channel), count)
    await ledger.run("UPDATE message SET state = 'sent'")
    await ledger.confirm_in(made, -1)
    return made


async def claim_confirmations(
    ledger: Ledger, channel: Channel, lease_s: float = 60, direction: Direction = Direction.INBOUND
) -> list[int]:
    owner = channel.id if direction is Direction.INBOUND else channel.portal_id
    async with ledger.database.transaction() as connection:
        due = await confirmations.claim(connection, direction, owner.int % ROUNDS, 10, lease_s)
    assert due.any or not due.rows
    return [row.fields["id"] for row in due.rows]


async def test_a_confirmation_is_in_one_hand_at_a_time_and_taken_up_when_that_hand_is_gone(ledger: Ledger) -> None:
    channel = await ledger.channel()
    first, second = await confirmable(ledger, channel, 2)
    assert await claim_confirmations(ledger, channel, lease_s=-1) == [first, second]
    assert await claim_confirmations(ledger, channel) == [first, second]
    assert await claim_confirmations(ledger, channel) == []


async def test_a_confirmation_is_given_up_after_five_failures_and_outages_do_not_count(ledger: Ledger) -> None:
    channel = await ledger.channel()
    (message_id,) = await confirmable(ledger, channel)

    async def fail(*, costs: bool) -> bool:
        end = ConfirmEnd(message_id=message_id, again_at=soon(), costs_an_attempt=costs)
        async with ledger.database.transaction() as connection:
            await confirmations.end(connection, [end], 5)
        return await ledger.awaited() == {message_id}

    for costs in (True, False, True, False, True, False, True):
        assert await fail(costs=costs)
    assert not await fail(costs=True)


async def test_a_confirmation_waits_while_its_side_is_paused_and_stands_before_nobody(ledger: Ledger) -> None:
    channel = await ledger.channel()
    held = await confirmable(ledger, channel, 12)
    other = await ledger.channel()
    await ledger.run("UPDATE channel SET whatsapp_paused_at = now() WHERE id = $1", channel.id)
    while other.id.int % ROUNDS != channel.id.int % ROUNDS:
        other = await ledger.channel()
    (free,) = await confirmable(ledger, other)
    assert await claim_confirmations(ledger, channel) == []
    assert await claim_confirmations(ledger, channel) == [free]
    async with ledger.database.connection() as connection:
        assert await confirmations.rounds_late(connection, 0.0, ROUNDS) == []
        await ledger.run("UPDATE channel SET whatsapp_paused_at = NULL, line_paused_at = now()")
        await claims.hasten(connection, channel.portal_id)
        assert await claim_confirmations(ledger, channel) == []
        await claims.hasten(connection, channel.id, channel.portal_id)
    assert await claim_confirmations(ledger, channel) == held[:10]


async def test_nothing_is_told_of_a_message_that_failed_after_all_or_that_is_gone(ledger: Ledger) -> None:
    channel = await ledger.channel()
    dead, gone, arrived = await confirmable(ledger, channel, 3)
    await ledger.run("UPDATE message SET state = 'dead' WHERE id = $1", dead)
    await ledger.run("DELETE FROM message WHERE id = $1", gone)
    assert await claim_confirmations(ledger, channel) == [arrived]
    assert await ledger.awaited() == {arrived}


async def test_what_a_tenant_leaves_behind_when_it_is_deleted_is_dropped(ledger: Ledger) -> None:
    channel = await ledger.channel()
    await confirmable(ledger, channel, 3)
    await ledger.run("DELETE FROM portal_config")
    async with ledger.database.connection() as connection:
        assert await confirmations.rounds_late(connection, 0.0, ROUNDS) == [
            LateRound(Direction.INBOUND, channel.id.int % ROUNDS)
        ]
    assert await claim_confirmations(ledger, channel) == []
    assert await ledger.awaited() == set()


async def test_what_a_process_of_the_release_before_leaves_in_its_messages_is_taken_over_once(ledger: Ledger) -> None:
    channel = await ledger.channel()
    late, taken, early = await confirmable(ledger, channel, 3)
    await ledger.run("DELETE FROM confirmation")
    await ledger.run("UPDATE message SET confirm_due_at = now() - interval '1 minute', confirm_attempts = 3")
    await ledger.run("UPDATE message SET confirm_due_at = now() + interval '1 minute' WHERE id = $1", early)
    await ledger.confirm_in([taken], 60)
    async with ledger.database.connection() as connection:
        for _ in range(2):
            await confirmations.take_over(connection, 5.0, 100)
    assert await ledger.awaited() == {late, taken}
    assert await ledger.rows("SELECT id FROM message WHERE confirm_due_at IS NOT NULL") == [{"id": early}]
    assert await claim_confirmations(ledger, channel) == [late]
    end = ConfirmEnd(message_id=late, again_at=soon(), costs_an_attempt=True)
    async with ledger.database.transaction() as connection:
        await confirmations.end(connection, [end, end], 5)
    assert late in await ledger.awaited()
    async with ledger.database.transaction() as connection:
        await confirmations.end(connection, [end], 5)
    assert late not in await ledger.awaited()


# --- by an admin's hand -----------------------------------------------------------------------------------------------


async def dead(ledger: Ledger) -> tuple[PortalId, MessageId]:
    channel, row = await one_claimed(ledger)
    await ledger.end(row, "dead", whatsapp_id="wamid.A", error_code="131047", costs_an_attempt=True)
    return channel.portal_id, MessageId(row.fields["id"])


async def test_a_revived_letter_starts_afresh(ledger: Ledger) -> None:
    _, message_id = await dead(ledger)
    async with ledger.database.transaction() as connection:
        (moved,) = await messages.revive(connection, [message_id, 999], None)
        assert await messages.revive(connection, [message_id], None) == []
    row = await ledger.row(message_id)
    assert moved.lane_id == row["lane_id"]
    assert (row["state"], row["attempts"], row["error_code"], row["dead_at"]) == ("pending", 0, None, None)
    assert row["whatsapp_id"] is None  # what failed under that id is sent under a new one


async def test_a_revived_customers_message_keeps_its_id_so_that_it_is_never_doubled(ledger: Ledger) -> None:
    channel = await ledger.channel()
    (message_id,) = await ledger.inbound(await ledger.talk(channel), whatsapp_id="wamid.B")
    (row,) = await ledger.claim(to_bitrix24(channel.portal_id))
    await ledger.end(row, "dead")
    async with ledger.database.transaction() as connection:
        await messages.revive(connection, [message_id], None)
    assert (await ledger.row(message_id))["whatsapp_id"] == "wamid.B"


async def test_a_dismissed_letter_is_laid_aside_for_good(ledger: Ledger) -> None:
    portal_id, message_id = await dead(ledger)
    async with ledger.database.transaction() as connection:
        assert len(await views.dead_letters(connection, portal_id, None, 10)) == 1
        assert [moved.id for moved in await messages.dismiss(connection, [message_id], portal_id)] == [message_id]
        assert await messages.revive(connection, [message_id], None) == []
        assert await views.dead_letters(connection, None, None, 10) == []


async def test_nobody_moves_the_letters_of_another_portal(ledger: Ledger) -> None:
    _, message_id = await dead(ledger)
    other = await ledger.portal()
    async with ledger.database.transaction() as connection:
        assert await messages.revive(connection, [message_id], other.id) == []
        assert await messages.dismiss(connection, [message_id], other.id) == []
        assert await views.get(connection, message_id, other.id) is None
        assert await views.dead_letters(connection, other.id, None, 10) == []
    assert await ledger.state(message_id) == "dead"


def test_a_settlement_that_says_nothing_more_changes_nothing_more() -> None:
    plain = msgspec.structs.asdict(
        settlements.Settlement(
            message_id=MessageId(1), attempt_id=AttemptId(uuid4()), state="sent", costs_an_attempt=False
        )
    )
    assert {name for name, value in plain.items() if value} == {"message_id", "attempt_id", "state"}
