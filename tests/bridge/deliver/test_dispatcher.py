"""Delivery: in order, once, and nobody held by somebody else's trouble."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from tests.bridge.house import UNHURRIED, House, chat_of, lane_to_bitrix24, lane_to_whatsapp, now
from tests.store.ledger_rows import to_whatsapp
from zaptrix.bridge.deliver.settler import Judged
from zaptrix.broker.pace.pace import RedisPace
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import (
    FailureScope,
    Refused,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
    Unexpected,
)
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.delivery.outcome import Absent, Accepted, Outcome, Proof
from zaptrix.core.delivery.pace import Bucket, number_bucket, pair_bucket, portal_key
from zaptrix.core.ids import ConversationId, MessageId
from zaptrix.core.message.message import Direction, Origin, Side
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.ports import Call
from zaptrix.store.connection.database import Connection, StoreUnavailable
from zaptrix.store.ledger.claims import ClaimedRow
from zaptrix.whatsapp.codes.codes import error_of
from zaptrix.whatsapp.items import MetaError


async def test_a_conversations_messages_arrive_in_their_order(
    house: House, channel: Channel, talk: Conversation
) -> None:
    written = await house.ledger.outbound(talk, 7)
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[talk.id] == written
    assert set(await house.ledger.states()) == {"sent"}


async def test_several_conversations_share_a_call_and_no_two_messages_of_one_do(
    house: House, channel: Channel, portal: Portal
) -> None:
    talks = [await house.ledger.talk(channel) for _ in range(25)]
    for each in talks:
        await house.ledger.inbound(each, 3)
    await house.drain(lane_to_bitrix24(portal))
    assert {len(taken) for taken in house.bitrix24.took.values()} == {3}
    assert await house.settled()


async def test_conversations_of_a_portal_without_room_share_its_calls(
    house: House, redis: Redis, channel: Channel, portal: Portal
) -> None:
    """Seed 108: a portal without a burst lets two calls a second through, of ten texts each at the most. Conversations
    that began one by one went on one by one, and so did those of each process, while the backlog was deep."""
    bucket = Bucket(key=portal_key(portal.id), rate_per_s=10, burst=1)
    pace, talks, sizes = RedisPace(redis), [await house.ledger.talk(channel) for _ in range(6)], list[int]()
    send, dispatcher = house.bitrix24.send, house.dispatchers[Queue.BITRIX24]

    async def paced(call: Call) -> list[Outcome]:
        await pace.take(bucket)
        sizes.append(len(call))
        return await send(call)

    house.bitrix24.send = paced  # type: ignore[method-assign]
    house.bitrix24.throttled = lambda: pace.wait_s(bucket.key)
    for each in talks:
        await house.ledger.inbound(each, 5)
        await dispatcher.answer(lane_to_bitrix24(portal))
    await house.drain(lane_to_bitrix24(portal))
    assert {len(taken) for taken in house.bitrix24.took.values()} == {5}
    assert len(sizes) <= 12, sizes  # of 30 messages; the first of each came alone
    await dispatcher.landed()


async def test_a_portal_that_others_call_all_the_time_gets_its_messages(
    house: House, channel: Channel, portal: Portal
) -> None:
    """Seed 92: a look at histories booked the portal's pace ahead, and who waited for room never found any."""
    house.bitrix24.throttled = lambda: 1.0
    talks = [await house.ledger.talk(channel) for _ in range(3)]
    for each in talks:
        await house.ledger.inbound(each, 2)
    async with asyncio.timeout(30):
        while set(await house.ledger.states()) != {"sent"}:
            await house.dispatchers[Queue.BITRIX24].answer(lane_to_bitrix24(portal))
            await asyncio.sleep(0.01)
    assert [len(taken) for taken in house.bitrix24.took.values()] == [2, 2, 2]
    await house.dispatchers[Queue.BITRIX24].landed()


async def test_who_ends_while_a_portal_has_no_room_leaves_it_to_a_bell(
    house: House, channel: Channel, portal: Portal
) -> None:
    house.bitrix24.throttled = lambda: 60.0
    await house.ledger.inbound(await house.ledger.talk(channel))
    dispatcher = house.dispatchers[Queue.BITRIX24]
    await dispatcher.answer(lane_to_bitrix24(portal))
    await house.unring()
    await dispatcher.landed()
    assert await house.rung() == {lane_to_bitrix24(portal)}
    assert await house.ledger.states() == ["pending"]


async def test_what_came_while_the_last_verdict_was_written_is_claimed_at_once(
    house: House, channel: Channel, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was no room for it then, and nothing was claimed behind the verdict: only a sweep would have found it."""
    monkeypatch.setattr(house.bitrix24, "calls_at_once", 1)
    first, second = [await house.ledger.talk(channel) for _ in range(2)]
    dispatcher, written, released = house.dispatchers[Queue.BITRIX24], asyncio.Event(), asyncio.Event()
    settle = dispatcher._settler.settle

    async def slow(judged: Sequence[Judged]) -> list[ClaimedRow]:
        rows = await settle(judged)
        written.set()
        await released.wait()
        return rows

    monkeypatch.setattr(dispatcher._settler, "settle", slow)
    await house.ledger.inbound(first)
    dispatcher.waits(portal.id, first.id)
    await written.wait()
    (message_id,) = await house.ledger.inbound(second)
    dispatcher.waits(portal.id, second.id)
    released.set()
    async with asyncio.timeout(30):
        while await house.ledger.state(message_id) != "sent":
            await asyncio.sleep(0.01)
    await dispatcher.landed()


async def test_a_call_that_hangs_holds_no_other_conversation_of_its_portal(
    house: House, channel: Channel, portal: Portal
) -> None:
    """Who has to wait for the portal's pace shares the next call; but no longer than it would wait."""
    hanging, other = [await house.ledger.talk(channel) for _ in range(2)]
    (first,), asked, released = await house.ledger.inbound(hanging), asyncio.Event(), asyncio.Event()

    async def answer(claim: Claim) -> Outcome:
        asked.set()
        if claim.message_id == first:
            await released.wait()
        return await house.bitrix24.take(claim)

    house.bitrix24.answers = answer
    drain = asyncio.create_task(house.drain(lane_to_bitrix24(portal)))
    await asked.wait()
    room_at = asyncio.get_running_loop().time() + 0.3
    house.bitrix24.throttled = lambda: max(0.0, room_at - asyncio.get_running_loop().time())
    (second,) = await house.ledger.inbound(other)
    await house.dispatchers[Queue.BITRIX24].answer(lane_to_bitrix24(portal))
    async with asyncio.timeout(30):
        while await house.ledger.state(second) != "sent":
            await asyncio.sleep(0.01)
    assert not house.bitrix24.throttled()
    released.set()
    await drain


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("side", list(Side))
async def test_whatever_goes_wrong_every_message_arrives_once_and_in_order(
    house: House, channel: Channel, portal: Portal, side: Side, seed: int
) -> None:
    rolls = random.Random(seed)
    platform = house.whatsapp if side is Side.WHATSAPP else house.bitrix24
    lane = lane_to_whatsapp(channel) if side is Side.WHATSAPP else lane_to_bitrix24(portal)
    talks = [await house.ledger.talk(channel, chat_id=5) for _ in range(6)]
    written: dict[ConversationId, list[MessageId]] = {each.id: [] for each in talks}
    for _ in range(5):
        for each in talks:
            make = house.ledger.outbound if side is Side.WHATSAPP else house.ledger.inbound
            written[each.id] += await make(each)

    async def answer(claim: Claim) -> Outcome:
        await asyncio.sleep(rolls.random() * 0.003)
        roll = rolls.random()
        if roll < 0.1 and claim.attempts < 3:
            await platform.take(claim)
            return Unclear("timeout")  # it acted
        for limit, error in (
            (0.2, Unclear("timeout")),
            (0.3, Unavailable("503")),
            (0.35, TooFast("130429", wait_s=0.01)),
            (0.4, TooFast("131056", wait_s=0.01, one_conversation=True)),
        ):
            if roll < limit and claim.attempts < 3:
                return error
        return await platform.take(claim)

    async def proof(claim: Claim) -> Proof:
        return Unavailable("503") if rolls.random() < 0.3 else await platform.look(claim)

    platform.answers, platform.proofs = answer, proof
    await house.run_until(lane, lane, state=house.settled)
    assert platform.took == written
    assert set(await house.ledger.states()) == {"sent"}


async def test_what_follows_the_last_call_to_land_is_not_left_to_the_sweep(house: House, channel: Channel) -> None:
    slow, quick = [await house.ledger.talk(channel) for _ in range(2)]
    written = await house.ledger.outbound(slow, 2)
    await house.ledger.outbound(quick, 1)

    async def answer(claim: Claim) -> Outcome:
        if claim.message_id == written[0]:
            # Lands last, and after a claim that found nothing: its own conversation was all that was left.
            while "sent" not in await house.ledger.states():
                pass
            for _ in range(50):
                await house.ledger.states()
        return await house.whatsapp.take(claim)

    house.whatsapp.answers = answer
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[slow.id] == written


async def test_what_waits_behind_a_call_goes_on_although_others_had_waited_for_room(
    house: House, channel: Channel
) -> None:
    """A call ends while others wait for room, and claims nothing behind it. Then nobody waits any more."""
    house.whatsapp.calls_at_once = 2
    talk, other = [await house.ledger.talk(channel) for _ in range(2)]
    written = await house.ledger.outbound(talk, 2)
    await house.ledger.outbound(other)
    settler, settled = house.settlers[Direction.OUTBOUND], asyncio.Event()
    settle = settler.settle

    async def slowly(judged: Sequence[Judged]) -> list[ClaimedRow]:
        if judged[0].claim.message_id == written[0]:
            await settled.wait()
        return await settle(judged)

    settler.settle = slowly  # type: ignore[method-assign]
    drain = asyncio.create_task(house.drain(lane_to_whatsapp(channel)))
    async with asyncio.timeout(30):
        while house.dispatchers[Queue.META].room(channel.id) != 1:
            await asyncio.sleep(0.01)
        settled.set()
        await drain
    assert house.whatsapp.took[talk.id] == written


async def test_a_failing_conversation_holds_nobody_else(house: House, channel: Channel, talk: Conversation) -> None:
    others = [await house.ledger.talk(channel) for _ in range(5)]
    stuck = await house.ledger.outbound(talk, 2)
    free = [(await house.ledger.outbound(each, 2)) for each in others]

    async def answer(claim: Claim) -> Outcome:
        return Unexpected("odd") if claim.conversation.id == talk.id else await house.whatsapp.take(claim)

    house.whatsapp.answers = answer
    house.whatsapp.patience = UNHURRIED
    await house.drain(lane_to_whatsapp(channel))
    assert [house.whatsapp.took[each.id] for each in others] == free
    assert house.whatsapp.took[talk.id] == []
    assert await house.ledger.state(stuck[1]) == "pending"


async def test_a_limit_of_one_conversation_leaves_the_others_alone(
    house: House, channel: Channel, talk: Conversation
) -> None:
    others = [await house.ledger.talk(channel) for _ in range(12)]
    await house.ledger.outbound(talk)
    for each in others:
        await house.ledger.outbound(each)

    async def answer(claim: Claim) -> Outcome:
        if claim.conversation.id == talk.id:
            return TooFast("131056", wait_s=600, one_conversation=True)
        return await house.whatsapp.take(claim)

    house.whatsapp.answers = answer
    await house.drain(lane_to_whatsapp(channel))
    assert (await house.ledger.states()).count("sent") == 12
    assert (await house.ledger.states()).count("pending") == 1


async def test_a_customer_at_the_limit_of_the_pair_keeps_no_other_of_the_number_waiting(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """As our own buckets count it: what goes to one customer beyond the burst waits, and is never refused by Meta."""
    pace, calm = RedisPace(house.redis), await house.ledger.talk(channel)

    async def answer(claim: Claim) -> Outcome:
        try:
            await pace.take(number_bucket(claim.channel), pair_bucket(claim.conversation))
        except TooFast as error:
            return error
        return await house.whatsapp.take(claim)

    house.whatsapp.answers = answer
    written = await house.ledger.outbound(talk, limits.PAIR_BURST + 1)
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[talk.id] == written[: len(house.whatsapp.took[talk.id])]
    assert await house.ledger.state(written[-1]) == "pending"
    (reply,) = await house.ledger.outbound(calm)
    await house.drain(lane_to_whatsapp(channel))
    assert await house.ledger.state(reply) == "sent"
    assert await house.ledger.state(written[-1]) == "pending"


async def test_a_pair_that_meta_refuses_for_its_pace_holds_nobody_else(
    house: House, channel: Channel, talk: Conversation
) -> None:
    calm = await house.ledger.talk(channel)
    refusal = error_of(MetaError(code=131056, message="pair rate limit hit"))

    async def answer(claim: Claim) -> Outcome:
        return refusal if claim.conversation.id == talk.id else await house.whatsapp.take(claim)

    house.whatsapp.answers = answer
    (first,) = await house.ledger.outbound(talk)
    await house.drain(lane_to_whatsapp(channel))
    (reply,) = await house.ledger.outbound(calm)
    await house.drain(lane_to_whatsapp(channel))
    assert [await house.ledger.state(each) for each in (first, reply)] == ["pending", "sent"]


@pytest.mark.parametrize("outcome", [Unavailable("503"), TooFast("130429", wait_s=30)])
async def test_a_platform_that_has_to_be_left_alone_is_left_alone_and_rung_later(
    house: House, channel: Channel, outcome: Outcome
) -> None:
    for _ in range(20):
        await house.ledger.outbound(await house.ledger.talk(channel))
    house.whatsapp.always(outcome)
    house.whatsapp.patience = UNHURRIED
    await house.drain(lane_to_whatsapp(channel))
    assert len(house.whatsapp.asked) <= house.whatsapp.calls_at_once
    assert set(await house.ledger.states()) == {"pending"}
    assert await house.rung() == {lane_to_whatsapp(channel)}


async def test_who_is_told_to_stop_claims_nothing_more_and_leaves_the_rest_to_others(
    house: House, channel: Channel
) -> None:
    for _ in range(30):
        await house.ledger.outbound(await house.ledger.talk(channel))

    async def told_to_stop(claim: Claim) -> Outcome:
        house.stopping.tell(60.0)
        return await house.whatsapp.take(claim)

    house.whatsapp.answers = told_to_stop
    await house.drain(lane_to_whatsapp(channel))
    states = await house.ledger.states()
    assert 0 < states.count("sent") <= house.whatsapp.calls_at_once
    assert states.count("pending") == 30 - states.count("sent")
    assert lane_to_whatsapp(channel) in await house.rung_now()


async def test_a_retry_that_became_due_while_the_lane_was_busy_is_not_left_to_the_sweep(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """The portal is told of an arrival for a while; meanwhile another message's back-off is over."""
    lane = lane_to_bitrix24(talk.portal_id)
    told = await house.ledger.outbound(talk)
    await house.ledger.run("UPDATE message SET state = 'sent', whatsapp_id = 'w'")
    await house.ledger.confirm_in(told, 0)
    await house.ledger.inbound(await house.ledger.talk(channel))
    house.bitrix24.always(TooFast("busy", wait_s=0.1, one_conversation=True))

    async def slowly(_claim: Claim) -> Outcome:
        await asyncio.sleep(0.3)
        return Accepted()

    house.bitrix24.confirms = slowly
    await house.drain(lane)
    assert lane in await house.rung()


# --- verify -----------------------------------------------------------------------------------------------------------


async def test_what_had_no_clear_answer_and_is_not_there_is_sent_again_once(
    house: House, channel: Channel, talk: Conversation
) -> None:
    (message_id,) = await house.ledger.outbound(talk)
    house.whatsapp.once(Unclear("timeout"))
    house.whatsapp.patience = UNHURRIED
    await house.drain(lane_to_whatsapp(channel))
    assert await house.ledger.state(message_id) == "verifying"
    assert lane_to_whatsapp(channel) in await house.rung()
    await house.ledger.run("UPDATE message SET due_at = now()")
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    assert house.whatsapp.asked == [message_id, message_id]
    assert house.whatsapp.took[talk.id] == [message_id]
    row = await house.ledger.row(message_id)
    assert (row["state"], row["attempts"]) == ("sent", 1)


async def test_what_had_no_clear_answer_and_is_there_is_not_sent_again(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    first, second = await house.ledger.inbound(talk, 2)

    async def answer(claim: Claim) -> Outcome:
        outcome = await house.bitrix24.take(claim)
        return Unclear("timeout") if claim.message_id == first else outcome

    house.bitrix24.answers = answer
    await house.run_until(lane_to_bitrix24(portal), state=house.settled)
    assert house.bitrix24.asked == [first, second]
    assert house.bitrix24.took[talk.id] == [first, second]
    assert await house.ledger.states() == ["sent", "sent"]


async def test_nothing_is_sent_again_while_nobody_can_say(house: House, channel: Channel, talk: Conversation) -> None:
    (message_id,) = await house.ledger.outbound(talk)
    house.whatsapp.once(Unclear("timeout"))
    searches = 0

    async def proof(_claim: Claim) -> Proof:
        nonlocal searches
        searches += 1
        return Unavailable("503") if searches < 4 else Absent()

    house.whatsapp.proofs = proof
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    assert searches == 4
    assert house.whatsapp.asked == [message_id, message_id]
    assert (await house.ledger.row(message_id))["attempts"] == 1  # a search costs nothing


async def test_every_proof_that_is_due_is_looked_for_in_one_slice(house: House, channel: Channel) -> None:
    for _ in range(60):
        await house.ledger.outbound(await house.ledger.talk(channel))
    await house.ledger.run("UPDATE message SET state = 'verifying'")

    async def proof(claim: Claim) -> Proof:
        return Accepted(whatsapp_id=f"wamid.{claim.message_id}")

    house.whatsapp.proofs = proof
    await house.drain(lane_to_whatsapp(channel))
    assert set(await house.ledger.states()) == {"sent"}
    assert house.whatsapp.asked == []


async def test_a_runner_that_died_between_claim_and_settle_is_verified_and_not_trusted(
    house: House, channel: Channel, talk: Conversation
) -> None:
    (taken,) = await house.ledger.outbound(talk)
    (lost,) = await house.ledger.outbound(await house.ledger.talk(channel))
    claimed = await house.ledger.claim(to_whatsapp(channel))
    assert len(claimed) == 2
    house.whatsapp.took[talk.id].append(taken)  # it had sent this one
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.asked == []
    await house.sweep.run()
    assert lane_to_whatsapp(channel) in await house.rung()
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    assert house.whatsapp.asked == [lost]
    assert sorted(house.whatsapp.searched) == [taken, lost]
    assert await house.ledger.states() == ["sent", "sent"]
    for row in claimed:
        assert not await house.ledger.end(row, "dead")  # should it come back after all


async def test_a_call_that_outlives_its_claim_is_cut_off_before_somebody_else_takes_over(
    house: House, channel: Channel, talk: Conversation
) -> None:
    house.lease_s = 0.2
    house.__post_init__()
    house.whatsapp.patience = UNHURRIED
    (message_id,) = await house.ledger.outbound(talk)

    async def hang(_claim: Claim) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    house.whatsapp.answers = hang
    async with asyncio.timeout(30):
        await house.drain(lane_to_whatsapp(channel))
    row = await house.ledger.row(message_id)
    assert (row["state"], row["attempts"], row["error_code"]) == ("verifying", 1, "claim_ran_out")


# --- ends -------------------------------------------------------------------------------------------------------------


async def test_a_bad_key_holds_everything_behind_it_and_costs_nothing(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    for _ in range(10):
        await house.ledger.outbound(await house.ledger.talk(channel))
    (asked,) = await house.ledger.inbound(talk)
    house.whatsapp.always(Unauthorized("190", "token dead", scope=FailureScope.CHANNEL))
    await house.drain(lane_to_whatsapp(channel))
    calls = len(house.whatsapp.asked)
    assert calls <= house.whatsapp.calls_at_once
    await house.drain(lane_to_whatsapp(channel))
    assert len(house.whatsapp.asked) == calls
    assert await house.ledger.value("SELECT whatsapp_paused_reason FROM channel") == "190: token dead"
    assert await house.ledger.value("SELECT max(attempts) FROM message") == 0
    assert await house.ledger.value("SELECT count(*) FROM audit WHERE action = 'channel.pause'") == 1
    await house.drain(lane_to_bitrix24(portal))  # the other side goes on
    assert await house.ledger.state(asked) == "sent"
    house.whatsapp.answers = house.whatsapp.take
    await house.ledger.run("UPDATE channel SET whatsapp_paused_at = NULL")
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    assert (await house.ledger.states()).count("sent") == 11


async def test_the_operator_whose_message_met_a_bad_key_is_told_once_that_it_is_on_hold(
    house: House, channel: Channel, talk: Conversation
) -> None:
    for _ in range(5):
        await house.ledger.outbound(talk)
    house.whatsapp.always(Unauthorized("190/463", "expired", scope=FailureScope.CHANNEL))
    await house.drain(lane_to_whatsapp(channel))
    await house.drain(lane_to_whatsapp(channel))
    (told,) = await house.notices()
    assert (told["code"], told["params"], told["talk"]) == ("on_hold", {"code": "190/463"}, talk.id)


async def test_every_conversation_that_waits_behind_a_bad_key_is_told_once(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    waiting, later, silent = [await house.ledger.talk(channel, chat_id=number) for number in (6, 7, 8)]
    for each in (talk, waiting):
        await house.ledger.outbound(each, 2)
    await house.ledger.inbound(silent)
    house.whatsapp.calls_at_once = 1
    house.whatsapp.always(Unauthorized("190/463", "expired", scope=FailureScope.CHANNEL))
    await house.drain(lane_to_whatsapp(channel))
    told = [one["talk"] for one in await house.notices()]
    assert sorted(told) == sorted([talk.id, waiting.id])

    for _ in range(2):
        await house.drain(await house.operator_says(later, "oi"))
        await house.drain(await house.operator_says(talk, "e aí?"))
    told = [one["talk"] for one in await house.notices()]
    assert told[2:] == [later.id]
    assert lane_to_bitrix24(portal) in await house.rung_now()

    # The key is repaired, and turns bad again: that is news.
    await house.ledger.run("UPDATE channel SET whatsapp_paused_at = NULL, updated_at = now() - interval '1 minute'")
    await house.drain(lane_to_whatsapp(channel))
    told = [one["talk"] for one in await house.notices()]
    assert sorted(told[3:]) == sorted([talk.id, waiting.id, later.id])


async def test_a_portals_bad_key_pauses_the_portal_and_nothing_that_goes_to_whatsapp(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    await house.ledger.inbound(talk)
    (answer,) = await house.ledger.outbound(talk)
    house.bitrix24.always(Unauthorized("invalid_grant", scope=FailureScope.PORTAL))
    await house.drain(lane_to_bitrix24(portal))
    assert await house.ledger.value("SELECT paused_reason FROM portal_config") == "invalid_grant"
    await house.drain(lane_to_whatsapp(channel))
    assert await house.ledger.state(answer) == "sent"


async def test_a_message_that_will_never_be_taken_is_buried_and_the_operator_told_in_the_chat(
    house: House, channel: Channel, talk: Conversation
) -> None:
    refused, second = await house.ledger.outbound(talk, 2)
    house.whatsapp.once(Refused("131047", "24 h", notice="window_closed"))
    await house.drain(lane_to_whatsapp(channel))
    assert await house.ledger.state(refused) == "dead"
    assert await house.ledger.state(second) == "sent"  # it holds nobody
    assert await house.notices() == [
        {"type": "notice", "code": "window_closed", "params": {"code": "131047", "limit": "4096"}, "talk": talk.id}
    ]
    assert lane_to_bitrix24(talk.portal_id) in await house.rung_now()
    await house.drain(lane_to_bitrix24(talk.portal_id))
    (told,) = house.bitrix24.claims
    assert (told.origin, told.bitrix_chat_id) == (Origin.GATEWAY, 5)
    assert told.portal.locale == "pt-BR"


async def test_a_customers_message_that_cannot_be_shown_is_told_of_too(
    house: House, portal: Portal, talk: Conversation
) -> None:
    await house.ledger.inbound(talk)
    house.bitrix24.once(Refused("item_refused"))
    await house.run_until(lane_to_bitrix24(portal), state=house.settled)
    (notice,) = await house.notices()
    assert (notice["code"], notice["params"]["code"]) == ("inbound_lost", "item_refused")
    assert await house.ledger.states() == ["dead", "sent"]


async def test_a_notice_that_cannot_be_shown_tells_nobody_of_itself(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    await house.ledger.outbound(talk)
    house.whatsapp.once(Refused("100"))
    house.bitrix24.always(Refused("no_chat"))
    await house.drain(lane_to_whatsapp(channel))
    await house.drain(lane_to_bitrix24(portal))
    assert await house.ledger.states() == ["dead", "dead"]
    assert len(await house.notices()) == 1


async def test_a_conversation_without_a_chat_has_nobody_to_tell(house: House, channel: Channel) -> None:
    await house.ledger.outbound(await house.ledger.talk(channel))
    house.whatsapp.once(Refused("100"))
    await house.drain(lane_to_whatsapp(channel))
    assert await house.notices() == []


async def test_a_text_that_a_program_sent_is_shown_to_the_operator(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await house.ledger.outbound(talk, origin=Origin.API)
    await house.drain(lane_to_whatsapp(channel))
    (notice,) = await house.notices()
    assert (notice["code"], notice["params"]) == ("sent_by_api", {"text": "resposta 0"})
    assert house.bitrix24.confirmed == []


async def test_every_failed_attempt_is_in_the_timeline_and_pace_is_not(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await house.ledger.outbound(talk)
    house.whatsapp.once(
        TooFast("pace", wait_s=0.01, one_conversation=True), Unavailable("503", "down"), Unclear("timeout")
    )
    await house.run_until(lane_to_whatsapp(channel), state=house.settled)
    rows = await house.ledger.rows("SELECT number, verdict, code, detail FROM attempt ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [
        (1, "retry", "503", "down"),
        (2, "verify", "timeout", ""),
        (2, "snooze", "not_found", ""),
    ]


async def test_where_a_conversation_stands_is_learned_from_the_first_delivery(
    house: House, channel: Channel, portal: Portal
) -> None:
    new = await house.ledger.talk(channel)
    await house.ledger.inbound(new)
    await house.drain(lane_to_bitrix24(portal))
    row = (await house.ledger.rows("SELECT bitrix_chat_id, bitrix_session_id FROM conversation_mapping"))[0]
    assert tuple(row.values()) == (chat_of(new), 1)


async def test_a_verdict_that_postgresql_refuses_takes_no_other_verdict_with_it(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """Two messages of one group; the platform gives one of them an id that no row can hold."""
    (good,) = await house.ledger.outbound(talk)
    (bad,) = await house.ledger.outbound(await house.ledger.talk(channel))

    async def answer(claim: Claim) -> Outcome:
        return Accepted(whatsapp_id="w" * (300 if claim.message_id == bad else 10))

    house.whatsapp.answers = answer
    await house.drain(lane_to_whatsapp(channel))
    assert await house.ledger.state(good) == "sent"
    assert await house.ledger.state(bad) == "sending"  # as if its runner had died: it will be verified


async def test_a_bell_says_plainly_that_postgresql_is_away(house: House, channel: Channel, talk: Conversation) -> None:
    """A worker tells an outage, which passes, from a breakdown, which rings an alarm."""
    await house.ledger.outbound(talk)
    house.ledger.database._pool.terminate()
    with pytest.raises(StoreUnavailable):
        await house.drain(lane_to_whatsapp(channel))


async def test_a_verdict_waits_for_postgresql_and_is_not_searched_for(
    house: House, channel: Channel, talk: Conversation
) -> None:
    """All connections are cut while the call is under way, and again when its verdict is to be written."""
    (message_id,) = await house.ledger.outbound(talk)
    real, cuts = house.ledger.database.connection, 0

    @asynccontextmanager
    async def cut() -> AsyncIterator[Connection]:
        nonlocal cuts
        if house.whatsapp.asked and cuts < 2:
            cuts += 1
            raise StoreUnavailable("ConnectionDoesNotExistError")
        async with real() as connection:
            yield connection

    house.ledger.database.connection = cut  # type: ignore[method-assign]
    await house.drain(lane_to_whatsapp(channel))
    assert cuts == 2
    assert await house.ledger.state(message_id) == "sent"
    assert (house.whatsapp.took[talk.id], house.whatsapp.searched) == ([message_id], [])


async def talks_of_one_round(house: House, count: int) -> list[Conversation]:
    """Conversations of portals of their own, all of them in one round of delivery."""
    by_lane = defaultdict[Lane, list[Conversation]](list)
    while not (full := [talks for talks in by_lane.values() if len(talks) == count]):
        talk = await house.ledger.talk(await house.ledger.channel(await house.ledger.portal()))
        by_lane[lane_to_bitrix24(talk.portal_id)].append(talk)
    return full[0]


@pytest.mark.parametrize(
    "breaks", [ZeroDivisionError("foreign words"), StoreUnavailable("away"), ExceptionGroup("", [OSError()])]
)
async def test_what_breaks_for_one_portal_ends_nobody_elses_delivery_and_nobody_waits(
    house: House, breaks: Exception
) -> None:
    """Three portals of one round: the call of one hangs, what another says breaks us, and the third is well."""
    hanging, breaking, good = await talks_of_one_round(house, 3)
    lane = lane_to_bitrix24(good.portal_id)
    await house.ledger.inbound(hanging)
    (lost,) = await house.ledger.inbound(breaking)
    (first,) = await house.ledger.inbound(good)
    released, broken = asyncio.Event(), asyncio.Event()

    async def answer(claim: Claim) -> Outcome:
        if claim.conversation.id == hanging.id:
            await released.wait()
        if claim.conversation.id == breaking.id:
            broken.set()
            raise breaks
        return await house.bitrix24.take(claim)

    async def arrived(message_id: MessageId) -> None:
        while await house.ledger.state(message_id) != "sent":
            await asyncio.sleep(0.01)

    house.bitrix24.answers = answer
    async with asyncio.timeout(60):
        running = asyncio.create_task(house.drain(lane))
        await broken.wait()
        await arrived(first)
        # The round goes on, though one call of it broke and another one does not end.
        (second,) = await house.ledger.inbound(good)
        await house.dispatchers[Queue.BITRIX24].answer(lane)
        await arrived(second)
        assert not running.done()
        released.set()
        await running
    assert house.dispatchers[Queue.BITRIX24].room(breaking.portal_id) == 0
    assert house.dispatchers[Queue.BITRIX24].room(good.portal_id) > 0
    assert await house.ledger.state(lost) == "sending"  # as if its runner had died: it will be verified


# --- confirmations ----------------------------------------------------------------------------------------------------


async def test_the_portal_is_told_once_when_the_operators_message_reached_whatsapp(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    house.by_rows()
    written = await house.ledger.outbound(talk, 3)
    await house.drain(lane_to_whatsapp(channel))
    assert lane_to_bitrix24(portal) in await house.rung_now()
    await house.drain(lane_to_bitrix24(portal))
    await house.drain(lane_to_bitrix24(portal))
    assert house.bitrix24.confirmed == written


async def test_a_customer_sees_blue_ticks_only_when_the_message_is_in_bitrix24(
    house: House, channel: Channel, portal: Portal, talk: Conversation
) -> None:
    house.by_rows()
    written = await house.ledger.inbound(talk, 2)
    house.bitrix24.always(Unavailable("503"))
    await house.drain(lane_to_bitrix24(portal))
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.confirmed == []
    house.bitrix24.answers = house.bitrix24.take
    await house.run_until(lane_to_bitrix24(portal), state=house.settled)
    assert lane_to_whatsapp(channel) in await house.rung_now()
    await house.drain(lane_to_whatsapp(channel))
    assert sorted(house.whatsapp.confirmed) == written


async def test_a_channel_that_shows_no_blue_ticks_marks_nothing_read(house: House, portal: Portal) -> None:
    discreet = await house.ledger.channel(portal, mark_read=False)
    await house.ledger.inbound(await house.ledger.talk(discreet))
    await house.drain(lane_to_bitrix24(portal))
    await house.drain(lane_to_whatsapp(discreet))
    assert await house.settled()
    assert house.whatsapp.confirmed == []


@pytest.mark.parametrize(
    ("outcome", "tries"),
    [(Unavailable("503"), 0), (TooFast("pace"), 0), (Unclear("timeout"), 1), (Unexpected("odd"), 1)],
)
async def test_an_outage_uses_up_no_try_of_a_confirmation(
    house: House, channel: Channel, talk: Conversation, outcome: Outcome, tries: int
) -> None:
    house.by_rows()
    (message_id,) = await house.ledger.inbound(talk)
    await house.drain(lane_to_bitrix24(talk.portal_id))

    async def fail(_claim: Claim) -> Outcome:
        return outcome

    house.whatsapp.confirms = fail
    house.whatsapp.patience = UNHURRIED
    await house.drain(lane_to_whatsapp(channel))
    (row,) = await house.ledger.rows("SELECT * FROM confirmation WHERE message_id = $1", message_id)
    assert row["attempts"] == tries
    assert now() < row["due_at"] < now() + timedelta(minutes=2)
    assert lane_to_whatsapp(channel) in await house.rung()


async def test_a_confirmation_that_is_refused_is_given_up(house: House, channel: Channel, talk: Conversation) -> None:
    house.by_rows()
    (message_id,) = await house.ledger.inbound(talk)
    await house.drain(lane_to_bitrix24(talk.portal_id))

    async def refuse(_claim: Claim) -> Outcome:
        return Refused("100")

    house.whatsapp.confirms = refuse
    await house.drain(lane_to_whatsapp(channel))
    assert await house.ledger.awaited() == set()
    assert await house.ledger.state(message_id) == "sent"  # it has arrived all the same


# --- a property of the whole ------------------------------------------------------------------------------------------


async def test_no_message_is_ever_claimed_behind_one_that_waits(house: House, channel: Channel) -> None:
    """A slice's wrap-around, its window of calls and its batches leave the order of each conversation alone."""
    talks = [await house.ledger.talk(channel) for _ in range(9)]
    for number in range(4):
        for each in talks[number:]:
            await house.ledger.outbound(each)
    flying: set[object] = set()

    async def answer(claim: Claim) -> Outcome:
        assert claim.conversation.id not in flying
        flying.add(claim.conversation.id)
        await asyncio.sleep(0.001)
        flying.remove(claim.conversation.id)
        return await house.whatsapp.take(claim)

    house.whatsapp.answers = answer
    await asyncio.gather(*(house.drain(lane_to_whatsapp(channel)) for _ in range(3)))
    for taken in house.whatsapp.took.values():
        assert taken == sorted(taken)
    assert await house.settled()


async def test_a_verdict_that_gave_way_to_another_transaction_is_written_at_once(
    house: House, channel: Channel, portal: Portal
) -> None:
    fresh = await house.ledger.talk(channel)  # so that its first delivery tells the conversation's chat
    (message_id,) = await house.ledger.inbound(fresh)
    async with house.ledger.database.transaction() as other:
        await other.execute("SELECT id FROM conversation_mapping WHERE id = $1 FOR NO KEY UPDATE", fresh.id)
        delivery = asyncio.create_task(house.drain(lane_to_bitrix24(portal)))
        waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"
        async with asyncio.timeout(60):
            while not await house.ledger.value(waits):
                assert not delivery.done()
                await asyncio.sleep(0.01)
        # Both wait for each other now; who waited first looks first, and gives way.
        await other.execute("UPDATE message SET error_detail = 'seen' WHERE id = $1", message_id)
    await delivery
    assert await house.ledger.state(message_id) == "sent"
    assert house.bitrix24.took[fresh.id] == [message_id]
