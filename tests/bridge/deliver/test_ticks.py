"""Arrivals told from memory: at once, once, together, and by the ledger's row when this process does not come to it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace

from tests.bridge.house import UNHURRIED, House, lane_to_whatsapp, now
from tests.bridge.route.test_receipts import a_receipt, tell
from tests.store.ledger_rows import to_bitrix24, to_whatsapp
from zaptrix.bridge.deliver.settler import Judged
from zaptrix.bridge.deliver.tick import Tick
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import (
    FailureScope,
    PlatformError,
    Refused,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
)
from zaptrix.core.delivery.outcome import Accepted, Outcome
from zaptrix.core.delivery.retry import Sent
from zaptrix.core.ids import ChannelId, MessageId
from zaptrix.core.message.kinds import Marks
from zaptrix.core.message.message import Direction, Origin, Side, State, Words
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Call
from zaptrix.store.ledger.claims import Way
from zaptrix.store.ledger.confirmations import ConfirmEnd

SIDES = {Direction.INBOUND: Side.WHATSAPP, Direction.OUTBOUND: Side.BITRIX24}


class Told:
    """What one side is told, call by call. While `gate` is closed no call ends."""

    def __init__(self, house: House, side: Side) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        platform = house.whatsapp if side is Side.WHATSAPP else house.bitrix24
        confirm: Callable[[Sequence[Claim]], Awaitable[list[Outcome]]] = platform.confirm

        async def listening(claims: Call) -> list[Outcome]:
            self.calls.append([claim.message_id for claim in claims])
            await self.gate.wait()
            return await confirm(claims)

        platform.confirm = listening  # type: ignore[method-assign, assignment]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_awaited(house: House, *ids: int) -> None:
    async def so() -> bool:
        return await house.ledger.awaited() == set(ids)

    await until(so)


async def until_told(told: Told, calls: int) -> None:
    async def so() -> bool:
        return len(told.calls) >= calls

    await until(so)


async def claimed(house: House, way: Way) -> list[Claim]:
    found = []
    for row in await house.ledger.claim(way, limit=100):
        tenant = await house.directory.channel(ChannelId(row.channel_id))
        assert tenant is not None
        found.append(row.to_claim(tenant.channel, tenant.portal))
    return found


async def the_claim(house: House, talk: Conversation) -> Claim:
    (claim,) = await claimed(house, to_bitrix24(talk.portal_id))
    return claim


class Delivered:
    """A message that the other side has accepted, and whose settlement is not written yet."""

    def __init__(self, house: House, claim: Claim, direction: Direction, *, followed: bool = False) -> None:
        whatsapp_id = f"wamid.{claim.message_id}" if direction is Direction.OUTBOUND else None
        self.id = claim.message_id
        self._house = house
        accepted = Accepted(whatsapp_id=whatsapp_id)
        self.tick = house.confirmers[SIDES[direction]].arrived(claim, accepted, followed=followed)
        self._judged = Judged(claim=claim, direction=direction, verdict=Sent(accepted), at=now(), tick=self.tick)

    async def settle(self) -> None:
        await self._house.settlers[self._judged.direction].settle([self._judged])


async def inbound(house: House, talk: Conversation) -> Delivered:
    """The oldest that is open in a conversation, or a new one."""
    if await house.settled():
        await house.ledger.inbound(talk)
    return Delivered(house, await the_claim(house, talk), Direction.INBOUND)


async def outbound(house: House, talk: Conversation) -> Delivered:
    await house.ledger.outbound(talk, bitrix_message_id=70)
    (claim,) = await claimed(house, Way(Direction.OUTBOUND, talk.channel_id))
    return Delivered(house, claim, Direction.OUTBOUND)


async def the_row(house: House) -> dict[str, Any]:
    (row,) = await house.ledger.rows("SELECT * FROM confirmation")
    return row


# --- told and settled, in either order --------------------------------------------------------------------------------


async def test_what_is_told_before_it_is_settled_has_no_row_and_rings_nobody(
    house: House, channel: Channel, talk: Conversation
) -> None:
    told = Told(house, Side.WHATSAPP)
    message = await inbound(house, talk)
    await until_told(told, 1)
    await house.confirmers[Side.WHATSAPP].landed()
    await message.settle()
    assert await house.ledger.state(message.id) == "sent"
    assert await house.ledger.awaited() == set()
    assert lane_to_whatsapp(channel) not in await house.rung()
    assert told.calls == [[message.id]]


@pytest.mark.parametrize("deliver", [inbound, outbound])
async def test_what_is_settled_before_it_is_told_has_a_row_until_it_is_told(
    house: House, talk: Conversation, deliver: Callable[[House, Conversation], Awaitable[Delivered]]
) -> None:
    side = Side.WHATSAPP if deliver is inbound else Side.BITRIX24
    told = Told(house, side)
    told.gate.clear()
    message = await deliver(house, talk)
    await until_told(told, 1)
    await message.settle()
    row = await the_row(house)
    assert now() + timedelta(seconds=20) < row["due_at"] < now() + timedelta(seconds=limits.TICK_ROW_S)
    told.gate.set()
    await until_awaited(house)
    assert told.calls == [[message.id]]


async def test_a_process_that_dies_between_settling_and_telling_is_made_good_by_the_row(
    house: House, channel: Channel, talk: Conversation
) -> None:
    told = Told(house, Side.WHATSAPP)
    told.gate.clear()
    message = await inbound(house, talk)
    await until_told(told, 1)
    await message.settle()
    dead = house.confirmers[Side.WHATSAPP]
    await house.ledger.confirm_in([message.id], -10)
    await house.sweep.run()
    assert lane_to_whatsapp(channel) in await house.rung_now()
    drained = asyncio.create_task(house._confirmer(house.whatsapp).drain(channel.id.int % limits.ROUNDS))
    await until_told(told, 2)
    told.gate.set()
    assert await drained
    await until_awaited(house)
    await dead.landed()  # had it only stood still, what it says late changes nothing
    assert await house.ledger.awaited() == set()


async def test_a_settlement_that_is_lost_leaves_no_row_for_a_message_that_was_told(
    house: House, talk: Conversation
) -> None:
    told = Told(house, Side.WHATSAPP)
    message = await inbound(house, talk)
    await until_told(told, 1)
    await house.confirmers[Side.WHATSAPP].landed()
    assert await house.ledger.state(message.id) == "sending"  # it is looked for, and found
    assert await house.ledger.awaited() == set()


async def test_a_receipt_that_settles_it_first_leaves_no_row_behind(
    house: House, channel: Channel, talk: Conversation
) -> None:
    told = Told(house, Side.BITRIX24)
    message = await outbound(house, talk)
    await tell(house, channel, a_receipt(message.id, State.DELIVERED))
    assert await house.ledger.awaited() == {message.id}
    await until_told(told, 1)
    await message.settle()
    await until_awaited(house)
    assert await house.ledger.state(message.id) == "delivered"


DONE = ConfirmEnd(message_id=MessageId(1), again_at=None, costs_an_attempt=False)
AGAIN = ConfirmEnd(message_id=MessageId(1), again_at=now(), costs_an_attempt=True)


@pytest.mark.parametrize("end", [DONE, AGAIN])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("order", ["ewd", "wed", "wde", "ewwd", "wewd", "wwed", "wwde"])
def test_a_ticks_end_is_recorded_once_and_only_where_there_may_be_a_row(
    order: str, ours: bool, end: ConfirmEnd
) -> None:
    """w: the settlement is being written, once more after it gave way; d: it is on disk; e: the call has ended."""
    recorded: list[ConfirmEnd] = []
    tick = Tick(cast("Claim", None), recorded.append, followed=False)
    row = False
    for step in order:
        if step == "w":
            row = tick.row_in_s() is not None
        elif step == "d":
            tick.settled(ours=ours)
        else:
            tick.ended(end)
    assert recorded == ([end] if row or not ours else [])


FAILURES = [
    (Unavailable("503"), 0),
    (TooFast("pace"), 0),
    (Unauthorized("190", scope=FailureScope.CHANNEL), 0),
    (Unclear("timeout"), 1),
]


# --- what comes of the call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
async def test_what_could_not_be_told_is_told_again_by_its_row(
    house: House, channel: Channel, talk: Conversation, early: bool
) -> None:
    failed: list[PlatformError] = []

    async def fail(_claim: Claim) -> Outcome:
        return failed[-1]

    async def put_off() -> bool:
        due_at: datetime = (await the_row(house))["due_at"]
        return due_at > now() + timedelta(seconds=limits.TICK_ROW_S)

    house.whatsapp.patience = UNHURRIED
    told = Told(house, Side.WHATSAPP)
    for number, (outcome, tries) in enumerate(FAILURES, 1):
        house.whatsapp.confirms = fail
        failed.append(outcome)
        told.gate.set() if early else told.gate.clear()
        message = await inbound(house, talk)
        await until_told(told, 2 * number - 1)
        await message.settle()
        told.gate.set()
        await until(put_off)
        assert (await the_row(house))["attempts"] == tries
        house.whatsapp.confirms = house.whatsapp.take_note
        await house.ledger.run("UPDATE confirmation SET due_at = now()")
        await house.drain(lane_to_whatsapp(channel))
        assert await house.ledger.awaited() == set()
        assert told.calls[-2:] == [[message.id]] * 2


async def test_what_is_refused_is_given_up(house: House, talk: Conversation) -> None:
    async def refuse(_claim: Claim) -> Outcome:
        return Refused("100")

    house.whatsapp.confirms = refuse
    told = Told(house, Side.WHATSAPP)
    told.gate.clear()
    message = await inbound(house, talk)
    await message.settle()
    assert await house.ledger.awaited() == {message.id}
    told.gate.set()
    await until_awaited(house)


async def test_what_breaks_is_left_to_the_row(house: House, talk: Conversation) -> None:
    async def broken(_claim: Claim) -> Outcome:
        raise ZeroDivisionError

    house.whatsapp.confirms = broken
    told = Told(house, Side.WHATSAPP)
    message = await inbound(house, talk)
    await until_told(told, 1)
    await message.settle()
    await house.confirmers[Side.WHATSAPP].landed()
    assert await house.ledger.awaited() == {message.id}


# --- together ---------------------------------------------------------------------------------------------------------


async def test_messages_of_one_portal_share_a_call_and_what_comes_meanwhile_shares_the_next(
    house: House, channel: Channel
) -> None:
    told = Told(house, Side.BITRIX24)
    told.gate.clear()
    for number in range(20):
        await house.ledger.outbound(await house.ledger.talk(channel), bitrix_message_id=number + 1)
    claims = await claimed(house, to_whatsapp(channel))
    first = [Delivered(house, claim, Direction.OUTBOUND) for claim in claims[:12]]
    await until_told(told, 1)
    second = [Delivered(house, claim, Direction.OUTBOUND) for claim in claims[12:]]
    told.gate.set()
    await until_told(told, 2)
    assert told.calls == [[each.id for each in first], [each.id for each in second]]


async def test_a_read_mark_waits_a_moment_for_the_next_of_its_conversation_which_speaks_for_both(
    house: House, talk: Conversation, channel: Channel
) -> None:
    told = Told(house, Side.WHATSAPP)
    first, second = await house.ledger.inbound(talk, 2)
    await house.ledger.inbound(await house.ledger.talk(channel))
    claims = await claimed(house, to_bitrix24(talk.portal_id))
    one = Delivered(house, claims[0], Direction.INBOUND, followed=True)
    await one.settle()
    other = Delivered(house, claims[1], Direction.INBOUND)
    await until_told(told, 1)
    assert told.calls == [[other.id]]
    await other.settle()
    await (await inbound(house, talk)).settle()
    await until_awaited(house)
    assert told.calls == [[other.id], [first, second]]


async def test_a_read_mark_whose_next_does_not_come_goes_by_itself(
    house: House, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK_FOLLOWED_S", 0.05)
    told = Told(house, Side.WHATSAPP)
    await house.ledger.inbound(talk, 2)
    one = Delivered(house, await the_claim(house, talk), Direction.INBOUND, followed=True)
    await one.settle()
    await until_awaited(house)
    assert told.calls == [[one.id]]


async def test_while_this_process_is_late_ticks_wait_for_a_place_and_then_go_together(
    house: House, talk: Conversation
) -> None:
    told = Told(house, Side.WHATSAPP)
    house.limit._most = 0
    for _ in range(2):
        await (await inbound(house, talk)).settle()
    assert told.calls == []
    house.limit._most = 64
    await until_awaited(house)
    assert [len(call) for call in told.calls] == [2]


# --- what does not go from memory -------------------------------------------------------------------------------------


NOT_FROM_MEMORY: list[tuple[Direction, dict[str, Any], bool]] = [
    (Direction.INBOUND, {"origin": Origin.GATEWAY}, False),
    (Direction.INBOUND, {"content": Words(plain_text("oi"), marks=Marks(standby=True))}, False),
    (Direction.INBOUND, {"channel": {"mark_read": False}}, False),
    (Direction.INBOUND, {"channel": {"whatsapp_paused_at": now()}}, True),
    (Direction.OUTBOUND, {"origin": Origin.API}, False),
    (Direction.OUTBOUND, {"alone": False}, True),
    (Direction.OUTBOUND, {"channel": {"line_paused_at": now()}}, True),
    (Direction.OUTBOUND, {"portal": {"paused_at": now()}}, True),
]


async def test_what_nobody_waits_for_is_told_nobody_and_what_has_to_wait_has_a_row_that_is_due(
    house: House, talk: Conversation
) -> None:
    for direction, changes, is_awaited in NOT_FROM_MEMORY:
        told = Told(house, SIDES[direction])
        made = house.ledger.inbound if direction is Direction.INBOUND else house.ledger.outbound
        await made(talk)
        owner = talk.portal_id if direction is Direction.INBOUND else talk.channel_id
        (claim,) = await claimed(house, Way(direction, owner))
        fields = {
            name: replace(getattr(claim, name), **value) if isinstance(value, dict) else value
            for name, value in changes.items()
        }
        message = Delivered(house, replace(claim, **fields), direction)
        assert message.tick is None, changes
        await message.settle()
        due = await house.ledger.rows("SELECT message_id FROM confirmation WHERE due_at <= now()")
        assert due == ([{"message_id": message.id}] if is_awaited else []), changes
        assert told.calls == []
        await house.ledger.run("DELETE FROM confirmation")


async def test_a_message_that_came_with_others_of_its_operators_is_not_alone(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await house.ledger.outbound(talk, bitrix_message_id=70)
    await house.ledger.outbound(await house.ledger.talk(channel), bitrix_message_id=71)
    await house.ledger.outbound(await house.ledger.talk(channel), bitrix_message_id=70, part=1)
    assert [claim.alone for claim in await claimed(house, to_whatsapp(channel))] == [False, True, False]


async def test_a_process_that_is_told_to_stop_begins_no_tick_and_leaves_its_rows_due(
    house: House, channel: Channel, talk: Conversation
) -> None:
    told = Told(house, Side.WHATSAPP)
    told.gate.clear()
    flying = await inbound(house, talk)
    await until_told(told, 1)
    await flying.settle()
    waiting = await inbound(house, talk)
    await waiting.settle()
    house.stopping.tell(20.0)
    late = await inbound(house, talk)
    assert late.tick is None
    await late.settle()
    told.gate.set()
    await house.confirmers[Side.WHATSAPP].landed()
    assert told.calls == [[flying.id]]
    rows = await house.ledger.rows("SELECT message_id FROM confirmation WHERE due_at <= now() ORDER BY 1")
    assert [row["message_id"] for row in rows] == [waiting.id, late.id]
